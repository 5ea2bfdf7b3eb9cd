"""The worker: the model. Beside each other a lane of analyses, one of reports with a decoder of its own, and one of corrections."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass

from gateway.app.bundle_choice import BundleChoice, BundleWatch, choose_bundle, say_if_in_shadow
from gateway.app.constancy import worker_self_test
from gateway.app.job_roles import attempts_of, queue_of
from gateway.app.role import DRAIN_SHARE, EXIT_ANEW, Role, record_start
from gateway.app.role_line import RoleLine
from gateway.app.timers import worker_timers
from gateway.config import Settings
from gateway.domain.identifiers import new_id, owner_name
from gateway.domain.job import JobKind
from gateway.inference.analyzer import Analyzer, Bundle
from gateway.inference.decoder import Decoder
from gateway.routing.router import Router
from gateway.store.analyses import Analyses
from gateway.store.audit_log import AuditLog
from gateway.store.bundles import Bundles
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.corrections import Corrections
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.job_bell import JobBell, job_bell
from gateway.store.job_queue import JobQueue
from gateway.store.rejections import Rejections
from gateway.store.repeats import Repeats
from gateway.store.result_sets import ResultSets
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.analyze_instance import AnalyzeInstance
from gateway.workers.apply_correction import ApplyCorrection
from gateway.workers.attempt import Attempts, GivesUp
from gateway.workers.gate import Gate
from gateway.workers.lanes import Lane, run_lanes
from gateway.workers.pipeline import Pipeline
from gateway.workers.reject_report import RejectReport
from gateway.workers.report_study import ReportStudy
from gateway.workers.study_leave import StudyLeave
from gateway.workers.worker import JobHandler, WorkerLoop


def run_worker(settings: Settings, database: Database, stop: threading.Event, line: RoleLine) -> int:
    choice = choose_bundle(settings, database)
    bundle, watch = choice.bundle, BundleWatch(choice, settings, database, stop)
    say_if_in_shadow(settings, choice)
    queue = queue_of(settings, database)
    with ExitStack() as closing:
        worker = _opened(settings, database, choice, queue, closing)
        handlers = worker.handlers()
        claimed = ClaimedJobs(queue, owner_name(Role.WORKER))
        self_test = worker_self_test(settings, database, bundle, handlers.analyze)
        closing.enter_context(worker_timers(settings, database, queue, claimed, self_test.tick, watch.look))
        attempts = attempts_of(settings, queue, claimed, Role.WORKER, handlers.all)
        bell = closing.enter_context(job_bell(database, queue, poll_seconds=settings.worker.poll_seconds))
        record_start(AuditLog(database, owner_name(Role.WORKER)), Role.WORKER, line, bundle_hash=bundle.identity.bundle_hash)
        _run(settings, stop, attempts, *worker.lanes(handlers, attempts, bell, self_test))
    # a failed device stays failed for this process, and so does a failed fsync: the supervisor starts another one
    return 1 if worker.broken() else EXIT_ANEW if watch.has_changed else 0


def _opened(settings: Settings, database: Database, choice: BundleChoice, queue: JobQueue, closing: ExitStack) -> _Worker:
    """closing: ends the decoders."""
    decoder = closing.enter_context(Decoder(settings.worker, choice.bundle.model.preprocessing))
    analyzer = Analyzer(choice.bundle, settings.model)
    # a decoder of their own, started with the first report: images that are hard to decode do not hold reports up
    report_decoder = Decoder(settings.worker, choice.bundle.model.preprocessing)
    closing.callback(report_decoder.close)
    return _Worker(
        settings=settings,
        database=database,
        bundle=choice.bundle,
        other_bundles=choice.others,
        queue=queue,
        spool=Spool(settings.spool.folder),
        analyzer=analyzer,
        decoder=decoder,
        report_decoder=report_decoder,
    )


def _run(settings: Settings, stop: threading.Event, attempts: Attempts, *lanes: Lane) -> None:
    """The lanes until they end; a job that a stalled decoder holds longer than the grace period goes back to the queue."""
    if not run_lanes(stop, *lanes, grace_seconds=settings.serve.grace_seconds * DRAIN_SHARE):
        attempts.give_back_in_hand()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handlers:
    """One for each kind of the worker's jobs."""

    analyze: AnalyzeInstance
    correct: ApplyCorrection
    reject: RejectReport
    report: ReportStudy

    @property
    def of_corrections(self) -> dict[JobKind, JobHandler]:
        return {JobKind.APPLY_CORRECTION: self.correct}

    @property
    def of_studies(self) -> dict[JobKind, JobHandler]:
        """What must not be believed any more is taken back before anything new is said."""
        return {JobKind.REJECT_REPORT: self.reject, JobKind.REPORT_STUDY: self.report}

    @property
    def all(self) -> dict[JobKind, GivesUp]:
        return {JobKind.ANALYZE_INSTANCE: self.analyze, **self.of_corrections, **self.of_studies}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    settings: Settings
    database: Database
    bundle: Bundle
    other_bundles: frozenset[str]
    """Hashes of the configured bundles that are not used."""
    queue: JobQueue
    spool: Spool
    analyzer: Analyzer
    decoder: Decoder
    """Of the analyses."""
    report_decoder: Decoder

    def broken(self) -> bool:
        """This process cannot go on."""
        return self.analyzer.broken or self.spool.broken or self.database.broken

    def lanes(self, handlers: _Handlers, attempts: Attempts, bell: JobBell, gate: Gate) -> tuple[Lane, ...]:
        """gate: of the analyses."""
        analyses = Pipeline(
            attempts=attempts,
            kind=JobKind.ANALYZE_INSTANCE,
            handler=handlers.analyze,
            bell=bell,
            batch=min(self.settings.worker.batch_size, self.analyzer.batch),
            broken=self.broken,
            gate=gate,
        )
        reports = WorkerLoop(attempts=attempts, handlers=handlers.of_studies, bell=bell, broken=self.broken)
        corrections = WorkerLoop(attempts=attempts, handlers=handlers.of_corrections, bell=bell, broken=self.broken)
        return analyses.run, reports.run, corrections.run

    def handlers(self) -> _Handlers:
        return _Handlers(analyze=self._analyze(), correct=self._correct(), reject=self._reject(), report=self._report())

    def _analyze(self) -> AnalyzeInstance:
        return AnalyzeInstance(
            instances=Instances(self.database),
            analyses=Analyses(self.database),
            spool=self.spool,
            keep_map=lambda content: self.spool.write("saliency", new_id(), (content,)),
            router=Router(self.settings, accept_for_processing=self.bundle.model.preprocessing.accept_for_processing),
            decoder=self.decoder,
            analyzer=self.analyzer,
            quality=self.settings.quality,
            bundle_hash=self.bundle.identity.bundle_hash,
            shaping_hash=self.settings.shaping_hash,
        )

    def _correct(self) -> ApplyCorrection:
        return ApplyCorrection(instances=Instances(self.database), corrections=Corrections(self.database), spool=self.spool)

    def _reject(self) -> RejectReport:
        return RejectReport(
            rejections=Rejections(self.database),
            queue=self.queue,
            spool=self.spool,
            lease_seconds=self.settings.worker.lease_seconds,
            config_hash=self.settings.config_hash,
        )

    def _report(self) -> ReportStudy:
        return ReportStudy(
            instances=Instances(self.database),
            analyses=Analyses(self.database),
            results=Results(self.database),
            result_sets=ResultSets(self.database),
            repeats=Repeats(self.database),
            queue=self.queue,
            spool=self.spool,
            decoder=self.report_decoder,
            model=self.bundle.identity,
            settings=self.settings,
            leave=self._leave(),
        )

    def _leave(self) -> StudyLeave:
        return StudyLeave(
            bundles=Bundles(self.database),
            settings=self.settings,
            bundle_hash=self.bundle.identity.bundle_hash,
            other_bundles=self.other_bundles,
        )
