"""One study: its current set of assessments becomes one SR and one SC series, once. Idempotent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.config import RouteSettings, Settings
from gateway.dicom.attributes import read_attributes
from gateway.domain.assessment import KeptReading, StoredInstance, StudyResult
from gateway.domain.finding import KneeFinding, ModelIdentity, Predecessor, StudyReport
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceState, Policy, Release
from gateway.errors import GatewayError, OpenConflictError
from gateway.events import Event, log_event
from gateway.inference.decoder import Decoder
from gateway.results.built_result import BuiltResult
from gateway.results.evidence import SourceInstance
from gateway.results.inputs import ReportInputs, SourceImage
from gateway.results.policy import release_for, visible
from gateway.routing.quality import CODES
from gateway.routing.study_route import strictest_route
from gateway.store.instances import Instances
from gateway.store.job_queue import JobQueue
from gateway.store.results import NewResult, NewResultSet, PatientResult, Results
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.report_sources import read_sources
from gateway.workers.study_knees import (
    StudyKnee,
    check_one_person,
    check_one_side_each,
    is_worth_saying,
    one_patient,
    refused_image,
    refused_knee,
    seen_as,
    unique,
)

_ANALYSIS_OPEN_SECONDS: Final = 5.0
"""The end of each analysis pulls the report forward; this is only the longest wait."""
_TEXT: Final = "burned_in_text"
_JUDGED: Final = frozenset(outcome.value for outcome in CODES.values())
"""Refusals by quality: judged anew where the settings or the bundle have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    """What a study's report speaks of."""

    study_instance_uid: str
    knees: tuple[StudyKnee, ...]
    """Also those of an assessed image that were refused."""
    refused: tuple[StoredInstance, ...]
    patient: tuple[str, str]
    """Issuer and patient id."""
    route: RouteSettings
    uid_parts: tuple[str, ...]

    @property
    def assessed(self) -> tuple[StudyKnee, ...]:
        return tuple(knee for knee in self.knees if knee.assessed)

    @property
    def assessment_set(self) -> str:
        return hashlib.sha256("\x1f".join(self.uid_parts).encode()).hexdigest()

    @property
    def images(self) -> tuple[tuple[StoredInstance, bool], ...]:
        """The instances that results name, and whether they are shown: assessed ones, else those that were refused."""
        assessed = dict.fromkeys(knee.instance for knee in self.assessed)
        return tuple((instance, True) for instance in assessed) or tuple((instance, False) for instance in self.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStudy:
    """The report_study job."""

    instances: Instances
    results: Results
    queue: JobQueue
    spool: Spool
    decoder: Decoder
    model: ModelIdentity
    settings: Settings

    def run(self, claim: Claim) -> Ending:
        study = claim.subject
        if self.instances.analysis_is_open(study):
            self.queue.postpone(claim, seconds=_ANALYSIS_OPEN_SECONDS)
            return Ending(Event.JOB_POSTPONED, "analysis_open")
        if self.instances.may_bring_more(study, settle=timedelta(seconds=self.settings.worker.settle_seconds)):
            # the association's end pulls the report forward
            self.queue.postpone(claim, seconds=self.settings.worker.settle_seconds)
            return Ending(Event.JOB_POSTPONED, "association_open")
        return Ending(Event.JOB_DONE, self._report(claim, self.instances.of_study(study)))

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.queue.fail(claim, code=error.code, retry_in_seconds=None)

    def _report(self, claim: Claim, instances: Sequence[StoredInstance]) -> str:
        """Ends the job and returns the code of what it came to."""
        judged = [instance for instance in instances if instance.state == InstanceState.ASSESSED or instance.outcome in _JUDGED]
        rows = self._knees(judged)
        stale = [instance for instance in judged if instance not in {knee.instance for knee in rows}]
        if stale:
            self.instances.analyze_again(claim, stale)
            return "analyze_again"
        # by the rows of these very settings, whatever other settings have made of the instance since
        assessed = [instance for instance in judged if any(knee.assessed for knee in rows if knee.instance == instance)]
        knees = [knee for knee in rows if knee.instance in assessed]
        settled = {instance.sop_instance_uid for instance in assessed}
        # an instance that came again with a corrected header is no longer refused
        refused = [i for i in instances if i not in assessed and is_worth_saying(i) and i.sop_instance_uid not in settled]
        if not knees and not (refused and self.settings.results.report_not_assessed):
            self.queue.finish(claim, code=Release.WITHHELD_NOT_ASSESSED)
            return Release.WITHHELD_NOT_ASSESSED.value
        if self.instances.has_conflict(claim.subject):
            raise OpenConflictError
        study = self._study(claim.subject, knees, assessed, refused)
        if self.results.exists(study.assessment_set):
            log_event(Event.RESULT_EXISTS, study_instance_uid=claim.subject, job_id=claim.job_id)
            self.queue.finish(claim, code="exists")
            return "exists"
        return self._build(claim, study)

    def _knees(self, assessed: Sequence[StoredInstance]) -> list[StudyKnee]:
        return [
            StudyKnee(instance, assessment)
            for instance in assessed
            for assessment in self.instances.assessments(
                instance.instance_id, bundle_hash=self.model.bundle_hash, shaping_hash=self.settings.shaping_hash
            )
        ]

    def _study(self, uid: str, knees: Sequence[StudyKnee], assessed: Sequence[StoredInstance], refused: Sequence[StoredInstance]) -> _Study:
        route = strictest_route(self.settings, (instance.route or "none" for instance in assessed or refused))
        patient = one_patient([*assessed, *refused])
        check_one_side_each(knees)
        return _Study(
            study_instance_uid=uid,
            knees=tuple(unique(knees)),
            refused=tuple(refused),
            patient=patient,
            route=route,
            uid_parts=self._uid_parts(uid, knees, patient, route),
        )

    def _uid_parts(self, study: str, knees: Sequence[StudyKnee], identity: tuple[str, str], route: RouteSettings) -> tuple[str, ...]:
        """Everything that a result's UIDs are derived from, but its kind. What `positive_only` leaves out is another result."""
        digests = sorted({":".join((*seen_as(k), k.assessment.laterality)) for k in knees})
        form = "positive_only" if route.policy is Policy.POSITIVE_ONLY else "whole"
        return (study, *digests, *identity, self.model.bundle_hash, self.settings.shaping_hash, form)

    def _build(self, claim: Claim, study: _Study) -> str:
        sent_before = self.results.last_sent_report(claim.subject)
        report = self._spoken(claim, study, sent_before)
        sources = read_sources(self.spool, self.decoder, study.images)
        check_one_person(tuple(sources.values()))
        study_time = self._study_time(next(iter(sources.values())))
        repeats = self._repeats(study, report, study_time) if sent_before is None else None
        release = release_for(
            study.route.policy,
            report,
            study_time=study_time,
            now=datetime.now(UTC),
            late_after_hours=self.settings.results.late_after_hours,
            report_not_assessed=self.settings.results.report_not_assessed,
            repeats=repeats is not None,
        )
        inputs = ReportInputs(
            report=visible(report, study.route.policy),
            uid_parts=study.uid_parts,
            images=tuple(
                SourceImage(instance_id=instance.instance_id, sop_instance_uid=instance.sop_instance_uid, presented=presented)
                for instance, presented in study.images
            ),
            settings=self.settings.results,
        )
        files = tuple(self._written(built) for built in inputs.build(sources))
        new = NewResultSet(
            study_instance_uid=claim.subject,
            assessment_set=study.assessment_set,
            results=files,
            inputs=inputs.stored(),
            release=release,
            route=study.route.name,
            flagged=report.flagged,
            revision=report.revision,
            predecessor_uid=report.predecessor.sop_instance_uid if report.predecessor else None,
            repeats_uid=repeats.sop_instance_uid if repeats and release is Release.WITHHELD_REPEAT else None,
            bundle_hash=self.model.bundle_hash,
            config_hash=self.settings.config_hash,
            destinations=study.route.destinations,
        )
        return self._commit(claim, new)

    def _spoken(self, claim: Claim, study: _Study, sent_before: StudyResult | None) -> StudyReport:
        """All that there is to say, before the policy takes anything away."""
        current = self.results.current_report(claim.subject)
        return StudyReport(
            study_instance_uid=claim.subject,
            knees=tuple(self._finding(knee, knee.assessment.reading) for knee in study.assessed if knee.assessment.reading is not None),
            not_assessed=(*(refused_image(i) for i in study.refused), *(refused_knee(knee) for knee in study.knees if not knee.assessed)),
            model=self.model,
            started_at=max((knee.assessment.started_at for knee in study.assessed), default=claim.first_claimed_at),
            revision=1 if current is None else current.revision + 1,
            predecessor=None if sent_before is None else _predecessor(sent_before),
            show_severity=self.settings.results.show_severity,
            show_t_score=self.settings.results.show_t_score,
        )

    def _repeats(self, study: _Study, report: StudyReport, study_time: datetime | None) -> PatientResult | None:
        """The result of the patient that this one would only repeat: already sent, within the window, and flagged if this one is.

        A knee that is flagged for the first time is news. Without a patient id or a study date nobody can know whose, or when.
        """
        issuer, patient_id = study.patient
        days = self.settings.results.repeat_days
        if not days or not patient_id or study_time is None or not report.knees:
            return None
        until: date = study_time.date()
        return self.results.sent_to_patient(
            issuer_of_patient_id=issuer,
            patient_id=patient_id,
            first_day=until - timedelta(days=days),
            last_day=until,
            besides_study=study.study_instance_uid,
            flagged_only=report.flagged,
        )

    def _written(self, built: BuiltResult) -> NewResult:
        result_id = new_id()
        return NewResult(
            result_id=result_id,
            kind=built.kind,
            sop_class_uid=built.sop_class_uid,
            sop_instance_uid=built.sop_instance_uid,
            series_instance_uid=built.series_instance_uid,
            file=self.spool.write("result", result_id, (built.content,)),
            sha256=hashlib.sha256(built.content).hexdigest(),
        )

    def _commit(self, claim: Claim, new: NewResultSet) -> str:
        # after a database error the files stay: the commit may have happened although its answer was lost
        if not self.results.commit(claim, new):
            for file in new.results:
                self.spool.remove(file.file)
            self.queue.finish(claim, code="exists")
            return "exists"
        return new.release.value

    def _finding(self, knee: StudyKnee, reading: KeptReading) -> KneeFinding:
        assessment = knee.assessment
        content = self.spool.read_verified(reading.saliency_file, reading.saliency_digest)
        saliency = np.load(BytesIO(content), allow_pickle=False)
        return KneeFinding(
            sop_instance_uid=knee.instance.sop_instance_uid,
            laterality=assessment.laterality,
            laterality_source=assessment.laterality_source,
            position=assessment.position,
            decision=assessment.decision,
            logit=reading.logit,
            score=reading.score,
            severity_score=reading.severity_score,
            t_score=reading.t_score,
            age_years=assessment.age_years,
            sex=assessment.sex,
            region=assessment.region,
            quality_flags=assessment.quality_flags,
            engine_profile=reading.engine_profile,
            pixel_digest=assessment.pixel_digest,
            saliency=tuple(tuple(float(value) for value in row) for row in saliency),
            text_suspected=assessment.measures.get(_TEXT, 0.0) >= self.settings.quality.burned_in_text.threshold,
        )

    def _study_time(self, source: SourceInstance) -> datetime | None:
        attributes = read_attributes(source.dataset)
        clock = (attributes.study_time or "000000").partition(".")[0].ljust(6, "0")
        try:
            local = datetime.strptime(attributes.study_date + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007  its zone follows
        except ValueError:
            return None
        return local.replace(tzinfo=ZoneInfo(self.settings.results.timezone))


def _predecessor(sent: StudyResult) -> Predecessor:
    return Predecessor(
        sop_class_uid=sent.sop_class_uid, sop_instance_uid=sent.sop_instance_uid, series_instance_uid=sent.series_instance_uid
    )
