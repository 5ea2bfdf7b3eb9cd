"""What may become of a study's results: the policy over what the store knows of the patient's other reports and of the images' road."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from pydicom.dataset import Dataset

from gateway.config import Settings
from gateway.dicom.characters import text
from gateway.domain.finding import StudyReport
from gateway.domain.outcome import Release
from gateway.domain.told import ToldReport
from gateway.results.moment import latest_study_time
from gateway.results.policy import release_for
from gateway.results.repeat import repeated_report
from gateway.store.instances import Instances
from gateway.store.results import Results
from gateway.workers.reported_study import ReportedStudy
from gateway.workers.study_knees import told


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """repeats: the report of another study that leaves nothing new to tell. patient_digest, study_date: as a report's row keeps them."""

    release: Release
    repeats: ToldReport | None
    patient_digest: str | None
    study_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRelease:
    """By today's settings and the rows as they are."""

    instances: Instances
    results: Results
    settings: Settings

    def of(self, study: ReportedStudy, report: StudyReport, header: Dataset, destinations: tuple[str, ...], *, was_sent: bool) -> Judged:
        """header: of one of the study's images. destinations: where the results may go. was_sent: an earlier revision was."""
        study_time = latest_study_time(header, self.settings.results.timezone)
        patient = study.patient_digest(text(header, "PatientBirthDate"))
        # the archive must not keep an older statement of this very study
        repeats = None if was_sent else self._repeats(study, destinations, patient, study_time)
        release = release_for(
            study.route.policy,
            report,
            study_time=study_time,
            now=datetime.now(UTC),
            late_after_hours=self.settings.results.late_after_hours,
            report_not_assessed=self.settings.results.report_not_assessed,
            has_destination=bool(study.route.destinations),
            is_live=bool(destinations),
            repeats=repeats is not None,
            ingested=self._is_ingested(study),
        )
        return Judged(
            release=release,
            repeats=repeats if release is Release.WITHHELD_REPEAT else None,
            patient_digest=patient,
            study_date=study_time.date() if study_time else None,
        )

    def _is_ingested(self, study: ReportedStudy) -> bool:
        """For a clinical destination, an image that no sender is known to have sent by C-STORE."""
        found = (self.settings.destination(name) for name in study.route.destinations)
        if not any(one is not None and one.destination_class == "clinical" for one in found):
            return False
        images = {*(knee.instance.instance_id for knee in study.knees), *(instance.instance_id for instance in study.refused)}
        return self.instances.any_not_sent_here(sorted(images))

    def _repeats(
        self, study: ReportedStudy, destinations: tuple[str, ...], patient_digest: str | None, study_time: datetime | None
    ) -> ToldReport | None:
        if patient_digest is None:
            return None
        return repeated_report(
            told(study.assessed),
            self.results.told_to_patient(patient_digest, besides_study=study.study_instance_uid),
            study_date=study_time.date() if study_time else None,
            repeat_days=self.settings.results.repeat_days,
            destinations=destinations,
        )
