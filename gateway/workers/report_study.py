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
from gateway.dicom.characters import text
from gateway.dicom.part10 import read_header
from gateway.dicom.uids import derived_uid
from gateway.domain.assessment import Assessment, KeptReading, StoredInstance
from gateway.domain.finding import KneeFinding, ModelIdentity, NotAssessed, Predecessor, StudyReport, UnassessedKnee
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState, Policy, Release
from gateway.errors import GatewayError, OpenConflictError, PatientConflictError, SideConflictError
from gateway.events import Event, log_event
from gateway.inference.decoder import Decoder
from gateway.results.evidence import SourceInstance
from gateway.results.policy import release_for, visible
from gateway.results.study_report import build_results
from gateway.routing.quality import CODES
from gateway.store.instances import Instances
from gateway.store.job_queue import JobQueue
from gateway.store.results import NewResult, NewResultSet, Results
from gateway.store.spool import Spool
from gateway.workers.evidence_file import verified_path
from gateway.workers.worker import Ending

_ANALYSIS_OPEN_SECONDS: Final = 5.0
"""The end of each analysis pulls the report forward; this is only the longest wait."""
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
_TEXT: Final = "burned_in_text"
_JUDGED: Final = frozenset(outcome.value for outcome in CODES.values())
"""Refusals by quality: judged anew where the settings or the bundle have changed."""
_FROM_STRICTEST: Final = (Policy.SHADOW, Policy.SILENT, Policy.POSITIVE_ONLY, Policy.ALL)


@dataclass(frozen=True, slots=True)
class _Knee:
    instance: StoredInstance
    assessment: Assessment

    @property
    def assessed(self) -> bool:
        return self.assessment.decision.assessed


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
        refused = [i for i in instances if i not in assessed and _is_worth_saying(i) and i.sop_instance_uid not in settled]
        if not knees and not (refused and self.settings.results.report_not_assessed):
            self.queue.finish(claim, code=Release.WITHHELD_NOT_ASSESSED)
            return Release.WITHHELD_NOT_ASSESSED.value
        if self.instances.has_conflict(claim.subject):
            raise OpenConflictError
        route = _strictest_route(self.settings, assessed or refused)
        identity = _one_patient([*assessed, *refused])
        _one_side_each(knees)
        parts = self._uid_parts(claim.subject, knees, identity, route)
        assessment_set = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
        if self.results.exists(assessment_set):
            log_event(Event.RESULT_EXISTS, study_instance_uid=claim.subject, job_id=claim.job_id)
            self.queue.finish(claim, code="exists")
            return "exists"
        return self._build(claim, _unique(knees), refused, route, parts, assessment_set)

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
        digests = sorted({":".join((*_seen_as(k), k.assessment.laterality)) for k in knees})
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
    ) -> str:
        assessed = [knee for knee in knees if knee.assessed]
        current = self.results.current_report(claim.subject)
        sent_before = self.results.last_sent_report(claim.subject)
        report = StudyReport(
            study_instance_uid=claim.subject,
            knees=tuple(self._finding(knee, knee.assessment.reading) for knee in assessed if knee.assessment.reading is not None),
            not_assessed=(*(_refused_image(i) for i in refused), *(_refused_knee(knee) for knee in knees if not knee.assessed)),
            model=self.model,
            started_at=max((knee.assessment.started_at for knee in assessed), default=claim.first_claimed_at),
            revision=1 if current is None else current.revision + 1,
            predecessor=Predecessor(
                sop_class_uid=sent_before.sop_class_uid,
                sop_instance_uid=sent_before.sop_instance_uid,
                series_instance_uid=sent_before.series_instance_uid,
            )
            if sent_before is not None
            else None,
            show_severity=self.settings.results.show_severity,
            show_t_score=self.settings.results.show_t_score,
        )
        shown = visible(report, route.policy)
        sources = self._sources(assessed, refused if not assessed else ())
        _one_person(tuple(sources.values()))
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
        return self._commit(claim, tuple(files), report, route, release, assessment_set)

    def _commit(
        self, claim: Claim, files: tuple[NewResult, ...], report: StudyReport, route: RouteSettings, release: Release, assessment_set: str
    ) -> str:
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
        # after a database error the files stay: the commit may have happened although its answer was lost
        if not self.results.commit(claim, new):
            for file in files:
                self.spool.remove(file.file)
            self.queue.finish(claim, code="exists")
            return "exists"
        return release.value

    def _finding(self, knee: _Knee, reading: KeptReading) -> KneeFinding:
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

    def _sources(self, knees: Sequence[_Knee], refused: Sequence[StoredInstance]) -> dict[str, SourceInstance]:
        sources: dict[str, SourceInstance] = {}
        for knee in knees:
            path = verified_path(self.spool, knee.instance)
            sources[knee.instance.sop_instance_uid] = SourceInstance(dataset=read_header(path), presentation=self.decoder.present(path))
        for instance in refused:
            path = verified_path(self.spool, instance)
            sources[instance.sop_instance_uid] = SourceInstance(dataset=read_header(path), presentation=None)
        return sources

    def _study_time(self, source: SourceInstance) -> datetime | None:
        attributes = read_attributes(source.dataset)
        clock = (attributes.study_time or "000000").partition(".")[0].ljust(6, "0")
        try:
            local = datetime.strptime(attributes.study_date + clock, "%Y%m%d%H%M%S")  # noqa: DTZ007  its zone follows
        except ValueError:
            return None
        return local.replace(tzinfo=ZoneInfo(self.settings.results.timezone))


def _refused_image(instance: StoredInstance) -> NotAssessed:
    return NotAssessed(sop_instance_uid=instance.sop_instance_uid, sop_class_uid=instance.sop_class_uid, outcome=instance.outcome or "")


def _refused_knee(knee: _Knee) -> NotAssessed:
    """One knee of an image whose other knee was assessed."""
    assessment = knee.assessment
    return NotAssessed(
        sop_instance_uid=knee.instance.sop_instance_uid,
        sop_class_uid=knee.instance.sop_class_uid,
        outcome=assessment.decision.value,
        knee=UnassessedKnee(position=assessment.position, laterality=assessment.laterality, region=assessment.region),
    )


def _unique(knees: Sequence[_Knee]) -> list[_Knee]:
    """The same image under several SOP Instance UIDs is one: the same pixels that the network saw alike."""
    seen: dict[tuple[str, str, str], _Knee] = {}
    for knee in knees:
        seen.setdefault(_seen_as(knee), knee)
    return list(seen.values())


def _seen_as(knee: _Knee) -> tuple[str, str, str]:
    """Stored pixels, knee, and the network's input: another window or polarity over the same pixels is another image to the network."""
    assessment = knee.assessment
    return assessment.pixel_digest, str(assessment.position), assessment.preprocessed_digest


def _is_worth_saying(instance: StoredInstance) -> bool:
    return instance.state != InstanceState.ASSESSED and instance.outcome not in _NOT_A_KNEE_STUDY


def _strictest_route(settings: Settings, instances: Sequence[StoredInstance]) -> RouteSettings:
    """The study's images may have come by several routes: the strictest policy holds, and the destinations that all of them have."""
    # a route that is no longer configured cannot say what it would allow
    names = sorted({instance.route or "none" for instance in instances})
    routes = [settings.route(name) or RouteSettings(name=name, policy=Policy.SHADOW) for name in names]
    strictest = min(routes, key=lambda route: _FROM_STRICTEST.index(route.policy))
    common = tuple(name for name in strictest.destinations if all(name in route.destinations for route in routes))
    return strictest.model_copy(update={"destinations": common})


def _one_patient(instances: Sequence[StoredInstance]) -> tuple[str, str]:
    """Issuer and patient id. A study that names two patients gets no result: nobody can know whose it would be."""
    identities = {(instance.issuer_of_patient_id, instance.patient_id) for instance in instances}
    if len(identities) > 1:
        raise PatientConflictError
    return identities.pop()


def _one_side_each(knees: Sequence[_Knee]) -> None:
    """The same pixels with two sides: one of the two headers is wrong, and nobody here can know which."""
    sides: dict[tuple[str, int], set[str]] = {}
    for knee in knees:
        sides.setdefault((knee.assessment.pixel_digest, knee.assessment.position), set()).add(knee.assessment.laterality)
    if any(len(found) > 1 for found in sides.values()):
        raise SideConflictError


def _one_person(sources: Sequence[SourceInstance]) -> None:
    """Without a patient id, name and birth date have to agree."""
    people = {
        (text(source.dataset, "PatientName"), text(source.dataset, "PatientBirthDate"))
        for source in sources
        if not text(source.dataset, "PatientID")
    }
    if len(people) > 1:
        raise PatientConflictError
