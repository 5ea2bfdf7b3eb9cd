"""The worker (the model), and what it shares with the sender."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from gateway.app.role import DRAIN_SHARE, EXIT_ANEW, Role, record_start
from gateway.app.role_line import RoleLine
from gateway.app.timers import worker_timers
from gateway.config import Settings
from gateway.domain.identifiers import new_id, owner_name
from gateway.domain.job import JobKind
from gateway.store.audit_log import AuditLog
from gateway.store.bundles import Bundles
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.corrections import Corrections
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.job_bell import job_bell
from gateway.store.job_queue import JobQueue
from gateway.store.rejections import Rejections
from gateway.store.repeats import Repeats
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.attempt import Attempts, GivesUp
from gateway.workers.lanes import Lane, run_lanes
from gateway.workers.retry import Backoff, RetryPolicy
from gateway.workers.worker import JobHandler, WorkerLoop

_NO_LIMIT: Final = sys.maxsize


def run_worker(settings: Settings, database: Database, stop: threading.Event, line: RoleLine) -> int:
    from gateway.app.bundle_choice import BundleWatch, choose_bundle, say_if_in_shadow
    from gateway.app.constancy import worker_self_test
    from gateway.inference.analyzer import Analyzer
    from gateway.inference.decoder import Decoder
    from gateway.routing.router import Router
    from gateway.workers.analyze_instance import AnalyzeInstance
    from gateway.workers.apply_correction import ApplyCorrection
    from gateway.workers.pipeline import Pipeline
    from gateway.workers.reject_report import RejectReport
    from gateway.workers.report_study import ReportStudy
    from gateway.workers.study_leave import StudyLeave

    choice = choose_bundle(settings, database)
    bundle, watch = choice.bundle, BundleWatch(choice, database, stop)
    say_if_in_shadow(settings, choice)
    queue = queue_of(settings, database)
    with Decoder(settings.worker, bundle.model.preprocessing) as decoder, ExitStack() as closing:
        analyzer = Analyzer(bundle, settings.model)
        spool, instances = Spool(settings.spool.folder), Instances(database)
        analyze = AnalyzeInstance(
            instances=instances,
            spool=spool,
            keep_map=lambda content: spool.write("saliency", new_id(), (content,)),
            router=Router(settings, accept_for_processing=bundle.model.preprocessing.accept_for_processing),
            decoder=decoder,
            analyzer=analyzer,
            quality=settings.quality,
            bundle_hash=bundle.identity.bundle_hash,
            shaping_hash=settings.shaping_hash,
        )
        # a decoder of their own, started with the first report: images that are hard to decode do not hold reports up
        report_decoder = Decoder(settings.worker, bundle.model.preprocessing)
        closing.callback(report_decoder.close)
        report = ReportStudy(
            instances=instances,
            results=Results(database),
            repeats=Repeats(database),
            queue=queue,
            spool=spool,
            decoder=report_decoder,
            model=bundle.identity,
            settings=settings,
            leave=StudyLeave(
                bundles=Bundles(database),
                settings=settings,
                bundle_hash=bundle.identity.bundle_hash,
                other_bundles=choice.others,
            ),
        )
        claimed = ClaimedJobs(queue, owner_name(Role.WORKER))
        self_test = worker_self_test(settings, database, bundle, analyze)
        closing.enter_context(worker_timers(settings, database, queue, claimed, self_test.tick, watch.look))
        correct = ApplyCorrection(instances=instances, corrections=Corrections(database), spool=spool)
        reject = RejectReport(
            rejections=Rejections(database),
            queue=queue,
            spool=spool,
            lease_seconds=settings.worker.lease_seconds,
            config_hash=settings.config_hash,
        )
        # what must not be believed any more is taken back before anything new is said
        of_studies: dict[JobKind, JobHandler] = {JobKind.REJECT_REPORT: reject, JobKind.REPORT_STUDY: report}
        handlers: dict[JobKind, GivesUp] = {JobKind.ANALYZE_INSTANCE: analyze, JobKind.APPLY_CORRECTION: correct, **of_studies}
        attempts = attempts_of(settings, queue, claimed, Role.WORKER, handlers)
        bell = closing.enter_context(job_bell(database, queue, poll_seconds=settings.worker.poll_seconds))

        record_start(AuditLog(database, owner_name(Role.WORKER)), Role.WORKER, line, bundle_hash=bundle.identity.bundle_hash)

        def broken() -> bool:
            return analyzer.broken or spool.broken or database.broken

        analyses = Pipeline(
            attempts=attempts,
            kind=JobKind.ANALYZE_INSTANCE,
            handler=analyze,
            bell=bell,
            batch=min(settings.worker.batch_size, analyzer.batch),
            broken=broken,
            gate=self_test,
        )
        reports = WorkerLoop(attempts=attempts, handlers=of_studies, bell=bell, broken=broken)
        corrections = WorkerLoop(attempts=attempts, handlers={JobKind.APPLY_CORRECTION: correct}, bell=bell, broken=broken)
        _run(settings, stop, attempts, analyses.run, reports.run, corrections.run)
    # a failed device stays failed for this process, and so does a failed fsync: the supervisor starts another one
    return 1 if broken() else EXIT_ANEW if watch.has_changed else 0


def _run(settings: Settings, stop: threading.Event, attempts: Attempts, *lanes: Lane) -> None:
    """The lanes until they end; a job that a stalled decoder holds longer than the grace period goes back to the queue."""
    if not run_lanes(stop, *lanes, grace_seconds=settings.serve.grace_seconds * DRAIN_SHARE):
        attempts.give_back_in_hand()


def queue_of(settings: Settings, database: Database) -> JobQueue:
    return JobQueue(database, lease_seconds=settings.worker.lease_seconds, max_lease_expiries=settings.worker.max_lease_expiries)


def attempts_of(settings: Settings, queue: JobQueue, claimed: ClaimedJobs, role: Role, handlers: Mapping[JobKind, GivesUp]) -> Attempts:
    return Attempts(queue=queue, claimed=claimed, handlers=handlers, policy=_policy(settings, role))


def _policy(settings: Settings, role: Role) -> RetryPolicy:
    """A delivery is tried for days, whatever the number of attempts; deliver_result knows when it has been too long."""
    patient = settings.delivery if role is Role.SENDER else settings.worker
    return RetryPolicy(
        max_attempts=_NO_LIMIT if role is Role.SENDER else settings.worker.max_attempts,
        backoff=Backoff(first_seconds=patient.retry_first_seconds, max_seconds=patient.retry_max_seconds),
    )
