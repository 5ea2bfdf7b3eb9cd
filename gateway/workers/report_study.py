"""One study: its current set of assessments becomes one SR and one SC series, once. Idempotent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.config import RouteSettings, Settings
from gateway.dicom.attributes import read_attributes
from gateway.dicom.part10 import read_header
from gateway.dicom.uids import derived_uid
from gateway.domain.assessment import Assessment, StoredInstance
from gateway.domain.finding import KneeFinding, ModelIdentity, NotAssessed, Predecessor, StudyReport
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState, Policy, Release
from gateway.errors import GatewayError, PatientConflictError
from gateway.events import Event, log_event
from gateway.inference.decoder import Decoder
from gateway.results.evidence import SourceInstance
from gateway.results.policy import release_for, visible
from gateway.results.study_report import build_results
from gateway.store.instances import Instances
from gateway.store.job_queue import JobQueue
from gateway.store.results import NewResult, NewResultSet, Results
from gateway.store.spool import Spool

_ANALYSIS_OPEN_SECONDS: Final = 5.0
"""The end of each analysis pulls the report forward; this is only the longest wait."""
_ASSOCIATION_OPEN_SECONDS: Final = 0.1
_NOT_A_KNEE_STUDY: Final = frozenset(
    {
        InstanceOutcome.INELIGIBLE_ROUTE,
        InstanceOutcome.INELIGIBLE_MODALITY,
        InstanceOutcome.INELIGIBLE_SOP_CLASS,
        InstanceOutcome.INELIGIBLE_BODY_PART,
        InstanceOutcome.INELIGIBLE_BODY_PART_UNKNOWN,
        InstanceOutcome.INELIGIBLE_OWN_RESULT,
    }
)
"""Nobody waits for a knee result of these: a chest radiograph gets no report that says so."""
_FROM_STRICTEST: Final = (Policy.SHADOW, Policy.SILENT, Policy.POSITIVE_ONLY, Policy.ALL)


@dataclass(frozen=True, slots=True)
class _Knee:
    instance: StoredInstance
    assessment: Assessment


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

    def run(self, claim: Claim) -> None:
        study = claim.subject
        if self.instances.analysis_is_open(study):
            self.queue.postpone(claim, seconds=_ANALYSIS_OPEN_SECONDS)
        elif self.instances.may_bring_more(study, settle=timedelta(seconds=self.settings.worker.settle_seconds)):
            self.queue.postpone(claim, seconds=_ASSOCIATION_OPEN_SECONDS)
        else:
            self._report(claim, self.instances.of_study(study))

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.queue.fail(claim, code=error.code, retry_in_seconds=None)

    def _report(self, claim: Claim, instances: Sequence[StoredInstance]) -> None:
        assessed = [instance for instance in instances if instance.state == InstanceState.ASSESSED]
        knees = self._knees(assessed)
        stale = [instance for instance in assessed if instance not in {knee.instance for knee in knees}]
        if stale:
            self.instances.analyze_again(claim, stale)
            return
        refused = [instance for instance in instances if _is_worth_saying(instance)]
        if not knees and not (refused and self.settings.results.report_not_assessed):
            self.queue.finish(claim, code=Release.WITHHELD_NOT_ASSESSED)
            return
        route = _strictest_route(self.settings, assessed or refused)
        identity = _one_patient([*assessed, *refused])
        parts = self._uid_parts(claim.subject, knees, identity, route)
        assessment_set = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
        if self.results.exists(assessment_set):
            log_event(Event.RESULT_EXISTS, study_instance_uid=claim.subject, job_id=claim.job_id)
            self.queue.finish(claim, code="exists")
            return
        self._build(claim, _unique(knees), refused, route, parts, assessment_set)

    def _knees(self, assessed: Sequence[StoredInstance]) -> list[_Knee]:
        return [
            _Knee(instance, assessment)
            for instance in assessed
            for assessment in self.instances.assessments(
                instance.instance_id, bundle_hash=self.model.bundle_hash, shaping_hash=self.settings.shaping_hash
            )
        ]

    def _uid_parts(self, study: str, knees: Sequence[_Knee], identity: tuple[str, str], route: RouteSettings) -> tuple[str, ...]:
        """Everything that a result's UIDs are derived from, but its kind. What `positive_only` leaves out is another result."""
        digests = sorted({f"{knee.assessment.pixel_digest}:{knee.assessment.position}" for knee in knees})
        form = "positive_only" if route.policy is Policy.POSITIVE_ONLY else "whole"
        return (study, *digests, *identity, self.model.bundle_hash, self.settings.shaping_hash, form)

    def _build(
        self,
        claim: Claim,
        knees: Sequence[_Knee],
        refused: Sequence[StoredInstance],
        route: RouteSettings,
        parts: tuple[str, ...],
        assessment_set: str,
    ) -> None:
        current = self.results.current_report(claim.subject)
        sent_before = current is not None and current.release == Release.SENT
        report = StudyReport(
            study_instance_uid=claim.subject,
            knees=tuple(self._finding(knee) for knee in knees),
            not_assessed=tuple(
                NotAssessed(sop_instance_uid=i.sop_instance_uid, sop_class_uid=i.sop_class_uid, outcome=i.outcome or "") for i in refused
            ),
            model=self.model,
            started_at=max((knee.assessment.started_at for knee in knees), default=claim.first_claimed_at),
            revision=1 if current is None else current.revision + 1,
            predecessor=Predecessor(
                sop_class_uid=current.sop_class_uid,
                sop_instance_uid=current.sop_instance_uid,
                series_instance_uid=current.series_instance_uid,
            )
            if current is not None and sent_before
            else None,
            show_severity=self.settings.results.show_severity,
            show_t_score=self.settings.results.show_t_score,
        )
        shown = visible(report, route.policy)
        sources = self._sources(knees, refused if not knees else ())
        release = release_for(
            route.policy,
            report,
            study_time=self._study_time(next(iter(sources.values()))),
            now=datetime.now(UTC),
            late_after_hours=self.settings.results.late_after_hours,
            report_not_assessed=self.settings.results.report_not_assessed,
        )
        built = build_results(shown, sources, self.settings.results, lambda kind: derived_uid((*parts, kind)))
        files: list[NewResult] = []
        for one in built:
            result_id = new_id()
            files.append(
                NewResult(
                    result_id=result_id,
                    kind=one.kind,
                    sop_class_uid=one.sop_class_uid,
                    sop_instance_uid=one.sop_instance_uid,
                    series_instance_uid=one.series_instance_uid,
                    file=self.spool.write("result", result_id, (one.content,)),
                    sha256=hashlib.sha256(one.content).hexdigest(),
                )
            )
        self._commit(claim, tuple(files), report, route, release, assessment_set)

    def _commit(
        self, claim: Claim, files: tuple[NewResult, ...], report: StudyReport, route: RouteSettings, release: Release, assessment_set: str
    ) -> None:
        new = NewResultSet(
            study_instance_uid=claim.subject,
            assessment_set=assessment_set,
            results=files,
            release=release,
            route=route.name,
            flagged=report.flagged,
            revision=report.revision,
            predecessor_uid=report.predecessor.sop_instance_uid if report.predecessor else None,
            bundle_hash=self.model.bundle_hash,
            config_hash=self.settings.config_hash,
            destinations=route.destinations,
        )
        kept = False
        try:
            kept = self.results.commit(claim, new)
        finally:
            if not kept:
                # no row names these files: another worker was first, or the database is gone
                for file in files:
                    self.spool.remove(file.file)
        if not kept:
            self.queue.finish(claim, code="exists")

    def _finding(self, knee: _Knee) -> KneeFinding:
        assessment = knee.assessment
        content = self.spool.read_verified(assessment.saliency_file, assessment.saliency_digest)
        saliency = np.load(BytesIO(content), allow_pickle=False)
        return KneeFinding(
            sop_instance_uid=knee.instance.sop_instance_uid,
            laterality=assessment.laterality,
            laterality_source=assessment.laterality_source,
            position=assessment.position,
            decision=assessment.decision,
            logit=assessment.logit,
            score=assessment.score,
            severity_score=assessment.severity_score,
            t_score=assessment.t_score,
            age_years=assessment.age_years,
            sex=assessment.sex,
            region=assessment.region,
            quality_flags=assessment.quality_flags,
            engine_profile=assessment.engine_profile,
            pixel_digest=assessment.pixel_digest,
            saliency=tuple(tuple(float(value) for value in row) for row in saliency),
        )

    def _sources(self, knees: Sequence[_Knee], refused: Sequence[StoredInstance]) -> dict[str, SourceInstance]:
        sources: dict[str, SourceInstance] = {}
        for knee in knees:
            path = self.spool.path(knee.instance.file)
            sources[knee.instance.sop_instance_uid] = SourceInstance(dataset=read_header(path), presentation=self.decoder.present(path))
        for instance in refused:
            sources[instance.sop_instance_uid] = SourceInstance(dataset=read_header(self.spool.path(instance.file)), presentation=None)
        return sources

    def _study_time(self, source: SourceInstance) -> datetime | None:
        attributes = read_attributes(source.dataset)
        clock = (attributes.study_time or "000000").partition(".")[0].ljust(6, "0")
        try:
            local = datetime.strptime(attributes.study_date + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007  its zone follows
        except ValueError:
            return None
        return local.replace(tzinfo=ZoneInfo(self.settings.results.timezone))


def _unique(knees: Sequence[_Knee]) -> list[_Knee]:
    """The same pixels under several SOP Instance UIDs are one image."""
    seen: dict[tuple[str, int], _Knee] = {}
    for knee in knees:
        seen.setdefault((knee.assessment.pixel_digest, knee.assessment.position), knee)
    return list(seen.values())


def _is_worth_saying(instance: StoredInstance) -> bool:
    return instance.state != InstanceState.ASSESSED and instance.outcome not in _NOT_A_KNEE_STUDY


def _strictest_route(settings: Settings, instances: Sequence[StoredInstance]) -> RouteSettings:
    """The study's images may have come by several routes; the strictest policy holds for their common result."""
    routes = [route for name in {instance.route for instance in instances} if name and (route := settings.route(name))]
    if not routes:
        return RouteSettings(name="none", policy=Policy.SHADOW)
    return min(routes, key=lambda route: (_FROM_STRICTEST.index(route.policy), route.name))


def _one_patient(instances: Sequence[StoredInstance]) -> tuple[str, str]:
    """Issuer and patient id. A study that names two patients gets no result: nobody can know whose it would be."""
    identities = {(instance.issuer_of_patient_id, instance.patient_id) for instance in instances}
    if len(identities) > 1:
        raise PatientConflictError
    return identities.pop()
