"""One study: its current set of assessments becomes one SR and one SC series, once. Idempotent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.config import Settings
from gateway.domain.assessment import KeptReading, StoredInstance, StudyResult
from gateway.domain.finding import KneeFinding, ModelIdentity, Predecessor, StudyReport
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceState, Release
from gateway.errors import (
    BundleChangesError,
    BundleRetiredError,
    GatewayError,
    OpenConflictError,
    RevisionTakenError,
    SourcePurgedError,
)
from gateway.events import Event, log_event
from gateway.inference.decoder import Decoder
from gateway.results.inputs import ReportInputs, SourceImage
from gateway.routing.quality import CODES
from gateway.store.analyses import Analyses
from gateway.store.instances import Instances
from gateway.store.job_queue import JobQueue
from gateway.store.repeats import Repeats
from gateway.store.result_sets import NewResultSet, ResultSets
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.knee_finding import knee_finding
from gateway.workers.report_sources import read_sources
from gateway.workers.reported_study import ReportedStudy, reported_study
from gateway.workers.result_file import written_result
from gateway.workers.study_knees import (
    StudyKnee,
    check_one_person,
    is_worth_saying,
    newest_of_each,
    refused_image,
    refused_knee,
    told,
)
from gateway.workers.study_leave import StudyLeave
from gateway.workers.study_release import StudyRelease

_OTHER_BUNDLE_SECONDS: Final = 5.0
"""The worker is being started anew with the live bundle."""
_ANALYSIS_OPEN_SECONDS: Final = 5.0
"""The end of each analysis pulls the report forward; this is only the longest wait."""
_BUNDLE_RETIRED_SECONDS: Final = 30.0
_JUDGED: Final = frozenset(outcome.value for outcome in CODES.values())
"""Refusals by quality: judged anew where the settings or the bundle have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStudy:
    """The report_study job."""

    instances: Instances
    analyses: Analyses
    results: Results
    result_sets: ResultSets
    repeats: Repeats
    queue: JobQueue
    spool: Spool
    decoder: Decoder
    model: ModelIdentity
    settings: Settings
    leave: StudyLeave

    def run(self, claim: Claim) -> Ending:
        study = claim.subject
        if self.instances.analysis_is_open(study):
            self.queue.postpone(claim, seconds=_ANALYSIS_OPEN_SECONDS)
            return Ending(Event.JOB_POSTPONED, "analysis_open")
        if self.instances.may_bring_more(study, settle=timedelta(seconds=self.settings.worker.settle_seconds)):
            # the association's end pulls the report forward
            self.queue.postpone(claim, seconds=self.settings.worker.settle_seconds)
            return Ending(Event.JOB_POSTPONED, "association_open")
        try:
            return Ending(Event.JOB_DONE, self._report(claim, self.instances.of_study(study)))
        except BundleRetiredError as error:
            # waits for the other bundle, which assesses the study anew
            self.queue.postpone(claim, seconds=_BUNDLE_RETIRED_SECONDS)
            return Ending(Event.JOB_POSTPONED, error.code)
        except RevisionTakenError as error:
            self.queue.postpone(claim, seconds=0)
            return Ending(Event.JOB_POSTPONED, error.code)
        except BundleChangesError as error:
            self.queue.postpone(claim, seconds=_OTHER_BUNDLE_SECONDS)
            return Ending(Event.JOB_POSTPONED, error.code)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.queue.fail(claim, code=error.code, retry_in_seconds=None)

    def _report(self, claim: Claim, instances: Sequence[StoredInstance]) -> str:
        """Ends the job and returns the code of what it came to."""
        if self.results.bundle_is_retired(self.model.bundle_hash):
            raise BundleRetiredError(self.model.bundle_hash)
        judged = [instance for instance in instances if instance.state == InstanceState.ASSESSED or instance.outcome in _JUDGED]
        rows = self._knees(judged)
        stale = [instance for instance in judged if instance not in {knee.instance for knee in rows}]
        if any(instance.purged for instance in stale):
            raise SourcePurgedError(claim.subject)
        if stale:
            self.analyses.analyze_again(claim, stale)
            return "analyze_again"
        # by the rows of these very settings, whatever other settings have made of the instance since
        assessed = [instance for instance in judged if any(knee.assessed for knee in rows if knee.instance == instance)]
        knees = [knee for knee in rows if knee.instance in assessed]
        settled = {instance.sop_instance_uid for instance in assessed}
        # an instance that came again with a corrected header is no longer refused
        refused = newest_of_each(i for i in instances if i not in assessed and is_worth_saying(i) and i.sop_instance_uid not in settled)
        if not knees and not (refused and self.settings.results.report_not_assessed):
            self.queue.finish(claim, code=Release.WITHHELD_NOT_ASSESSED)
            return Release.WITHHELD_NOT_ASSESSED.value
        if self.instances.has_conflict(claim.subject):
            raise OpenConflictError
        study = reported_study(
            claim.subject,
            knees,
            assessed,
            refused,
            settings=self.settings,
            bundle_hash=self.model.bundle_hash,
            decided=self.instances.decided_cases(claim.subject),
        )
        standing = self.results.standing(study.assessment_set)
        if standing == "exists" and self.repeats.is_void(study.assessment_set):
            release = self._judge_again(claim, study, self.leave.destinations(study))
            if release is not None:
                return release.value
        if standing is not None:
            log_event(Event.RESULT_EXISTS, study_instance_uid=claim.subject, job_id=claim.job_id, code=standing)
            self.queue.finish(claim, code=standing)
            return standing
        return self._build(claim, study, self.leave.destinations(study))

    def _knees(self, assessed: Sequence[StoredInstance]) -> list[StudyKnee]:
        return [
            StudyKnee(instance, assessment)
            for instance in assessed
            for assessment in self.instances.assessments(
                instance.instance_id, bundle_hash=self.model.bundle_hash, shaping_hash=self.settings.shaping_hash
            )
        ]

    def _build(self, claim: Claim, study: ReportedStudy, destinations: tuple[str, ...]) -> str:
        sent_before = self.results.last_sent_report(claim.subject)
        report = self._spoken(claim, study, sent_before)
        sources = read_sources(self.spool, self.decoder, study.images)
        check_one_person(tuple(sources.values()))
        first = next(iter(sources.values())).dataset
        judged = self._release.of(study, report, first, destinations, was_sent=sent_before is not None)
        inputs = ReportInputs(
            report=report,
            uid_parts=study.uid_parts,
            images=tuple(
                SourceImage(instance_id=instance.instance_id, sop_instance_uid=instance.sop_instance_uid, presented=presented)
                for instance, presented in study.images
            ),
            settings=self.settings.results,
        )
        new = NewResultSet(
            study_instance_uid=claim.subject,
            assessment_set=study.assessment_set,
            results=tuple(written_result(self.spool, built) for built in inputs.build(sources)),
            inputs=inputs.stored(),
            patient_digest=judged.patient_digest,
            study_date=judged.study_date,
            told=told(study.assessed),
            release=judged.release,
            route=study.route.name,
            routes=study.routes,
            policy=study.route.policy,
            flagged=report.flagged,
            revision=report.revision,
            predecessor_uid=report.predecessor.sop_instance_uid if report.predecessor else None,
            repeats_uid=judged.repeats.sop_instance_uid if judged.repeats else None,
            bundle_hash=self.model.bundle_hash,
            config_hash=self.settings.config_hash,
            destinations=destinations,
            closed=tuple(name for name in study.route.destinations if name not in destinations),
        )
        return self._commit(claim, new)

    def _judge_again(self, claim: Claim, study: ReportedStudy, destinations: tuple[str, ...]) -> Release | None:
        """What a report that was withheld as a repeat comes to now that the other one is taken back; None: it stays withheld."""
        sent_before = self.results.last_sent_report(claim.subject)
        sources = read_sources(self.spool, self.decoder, study.images)
        check_one_person(tuple(sources.values()))
        first, report = next(iter(sources.values())).dataset, self._spoken(claim, study, sent_before)
        judged = self._release.of(study, report, first, destinations, was_sent=sent_before is not None)
        repeats_uid = judged.repeats.sop_instance_uid if judged.repeats else None
        return self.repeats.judge_again(claim, study.assessment_set, judged.release, repeats_uid=repeats_uid, destinations=destinations)

    @property
    def _release(self) -> StudyRelease:
        return StudyRelease(instances=self.instances, results=self.results, settings=self.settings)

    def _spoken(self, claim: Claim, study: ReportedStudy, sent_before: StudyResult | None) -> StudyReport:
        return StudyReport(
            study_instance_uid=claim.subject,
            knees=tuple(self._finding(knee, knee.assessment.reading) for knee in study.assessed if knee.assessment.reading is not None),
            not_assessed=(*(refused_image(i) for i in study.refused), *(refused_knee(knee) for knee in study.knees if not knee.assessed)),
            model=self.model,
            started_at=max((knee.assessment.started_at for knee in study.assessed), default=claim.first_claimed_at),
            revision=self.results.last_revision(claim.subject) + 1,
            predecessor=None if sent_before is None else _predecessor(sent_before),
            show_severity=self.settings.results.show_severity,
            show_t_score=self.settings.results.show_t_score,
        )

    def _commit(self, claim: Claim, new: NewResultSet) -> str:
        # after a database error the files stay: the commit may have happened although its answer was lost
        try:
            committed = self.result_sets.commit(claim, new)
        except (RevisionTakenError, BundleRetiredError):
            self._remove(new)
            raise
        if committed is None:
            self._remove(new)
            self.queue.finish(claim, code="exists")
            return "exists"
        return committed.value

    def _remove(self, new: NewResultSet) -> None:
        for file in new.results:
            self.spool.remove(file.file)

    def _finding(self, knee: StudyKnee, reading: KeptReading) -> KneeFinding:
        if reading.saliency_purged:
            raise SourcePurgedError(knee.instance.instance_id)
        uid = knee.instance.sop_instance_uid
        return knee_finding(uid, knee.assessment, reading, spool=self.spool, quality=self.settings.quality)


def _predecessor(sent: StudyResult) -> Predecessor:
    return Predecessor(
        sop_class_uid=sent.sop_class_uid, sop_instance_uid=sent.sop_instance_uid, series_instance_uid=sent.series_instance_uid
    )
