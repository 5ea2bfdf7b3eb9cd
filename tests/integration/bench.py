"""A gateway without processes and sockets: a real store and spool; the network and the decoder are doubles with known answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread

from gateway.config import Settings, parse_settings
from gateway.demo.rendering import _lines
from gateway.domain.finding import ModelIdentity, Region
from gateway.domain.identifiers import new_id
from gateway.domain.job import JobKind
from gateway.domain.outcome import KneeDecision
from gateway.domain.story import Explanation
from gateway.errors import GatewayError
from gateway.inference.analyzer import Answer, Question, Reading
from gateway.inference.decoder import Prepared, PreparedKnee
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from gateway.receive.storage_scp import StorageScp, StoreRequest
from gateway.routing.router import Router
from gateway.store.analyses import Analyses
from gateway.store.bundles import Bundles
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.corrections import Corrections
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.job_bell import PollingBell
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries
from gateway.store.receipts import Receipts
from gateway.store.rejections import Rejections
from gateway.store.repeats import Repeats
from gateway.store.result_sets import ResultSets
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.analyze_instance import AnalyzeInstance
from gateway.workers.apply_correction import ApplyCorrection
from gateway.workers.attempt import Attempts, GivesUp
from gateway.workers.gate import Gate
from gateway.workers.pipeline import Pipeline
from gateway.workers.reject_report import RejectReport
from gateway.workers.report_study import ReportStudy
from gateway.workers.retry import Backoff, RetryPolicy
from gateway.workers.study_leave import StudyLeave
from gateway.workers.worker import JobHandler, WorkerLoop

EXPLICIT = "1.2.840.10008.1.2.1"
MODEL = ModelIdentity(
    name="STR-Net",
    version="test",
    weights_sha256="a" * 64,
    bundle_hash="b" * 64,
    intended_use="demonstration",
    screening_threshold=0.44,
    manufacturer="test",
    device_uid="2.25.1",
    evidence="",
)


@dataclass
class DecoderDouble:
    """Answers by the file's pixel digest; raises what a test tells it to."""

    error: Exception | None = None
    knees: int = 1
    measures: dict[str, float] = field(default_factory=dict)
    digests: list[str] = field(default_factory=lambda: ["e" * 64])
    """Of the network's input, file by file; the last one goes on."""
    knee_measures: tuple[dict[str, float], ...] = ({}, {})

    def prepare(self, path: Path) -> Prepared:
        if self.error is not None:
            raise self.error
        stored = dcmread(path)
        digest = self.digests.pop(0) if len(self.digests) > 1 else self.digests[0]
        return Prepared(
            pixel_digest=hashlib.sha256(stored.PixelData).hexdigest(),
            rows=stored.Rows,
            columns=stored.Columns,
            notes=("no_window",),
            measures=self.measures,
            knees=tuple(
                PreparedKnee(
                    position=position,
                    region=Region(left=100 * position - 90, top=10, right=100 * position, bottom=250),
                    image=np.zeros((512, 512), np.uint8),
                    image_sha256=digest,
                    measures=measures,
                )
                for position, measures in enumerate(self.knee_measures[: self.knees], 1)
            ),
        )

    def present(self, path: Path) -> Any:
        return (dcmread(path).pixel_array >> 4).astype(np.uint8)


@dataclass
class AnalyzerDouble:
    """Flags the images whose covariates or order a test names."""

    profile: str = "double"
    flagged: list[bool] = field(default_factory=lambda: [True])
    error: GatewayError | None = None

    def read_all(self, asked: Sequence[Question]) -> tuple[Answer, ...]:
        return tuple(self.error or tuple(self._read() for _ in question.knees) for question in asked)

    def _read(self) -> Reading:
        flag = self.flagged.pop(0) if len(self.flagged) > 1 else self.flagged[0]
        return Reading(
            decision=KneeDecision.FLAGGED if flag else KneeDecision.NOT_FLAGGED,
            logit=1.0 if flag else -1.0,
            score=73.1 if flag else 26.9,
            threshold=0.44,
            severity_logit=0.0,
            severity_score=50.0 if flag else None,
            t_score=None,
            saliency=np.ones((16, 16), np.float32),
            profile=self.profile,
        )


def patient(study: int) -> PhantomStudy:
    return PhantomStudy(
        seed=3,
        number=study,
        patient_name="A^B",
        patient_id=f"P{study}",
        birth_date="19500101",
        sex="F",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        accession_number=f"ACC{study}",
    )


@dataclass
class Bench:
    """A gateway without processes and sockets."""

    database: Database
    spool: Spool
    settings: Settings
    decoder: DecoderDouble
    analyzer: AnalyzerDouble
    model: ModelIdentity = MODEL
    lease_seconds: float = 60
    """For how long a sender may still be at it."""
    other_bundles: frozenset[str] = frozenset()

    def receive(self, number: int = 1, *, study: int = 1, association: str | None = None, **changes: object) -> str:
        side = "R" if number % 2 else "L"
        instance = phantom_instance(patient(study), phantom_parameters(side=side, rows=300, columns=220), instance_number=number)
        for keyword, value in changes.items():
            setattr(instance, keyword, value)
        buffer = BytesIO()
        instance.save_as(buffer, enforce_file_format=False)
        content = buffer.getvalue()
        self.take(
            content[content.index(b"\x08\x00\x05\x00") :],
            sop_class_uid=str(instance.SOPClassUID),
            sop_instance_uid=str(instance.SOPInstanceUID),
            association=association,
        )
        return str(instance.SOPInstanceUID)

    def take(self, content: bytes, *, sop_class_uid: str, sop_instance_uid: str, association: str | None = None) -> None:
        """A C-STORE of an encoded data set in Explicit VR Little Endian."""
        answer = StorageScp(Receipts(self.database, "test", self.spool), self.spool).answer(
            StoreRequest(
                affected_sop_class_uid=sop_class_uid,
                affected_sop_instance_uid=sop_instance_uid,
                negotiated_sop_class_uid=sop_class_uid,
                transfer_syntax_uid=EXPLICIT,
                content=BytesIO(content),
                association_id=association,
            )
        )
        assert answer.status == 0

    def work(self, *, rounds: int = 30) -> None:
        """Runs every due job of the worker role."""
        queue = JobQueue(self.database, lease_seconds=60, max_lease_expiries=3)
        report = ReportStudy(
            instances=Instances(self.database),
            analyses=Analyses(self.database),
            results=Results(self.database),
            result_sets=ResultSets(self.database),
            repeats=Repeats(self.database),
            queue=queue,
            spool=self.spool,
            decoder=self.decoder,  # type: ignore[arg-type]
            model=self.model,
            settings=self.settings,
            leave=StudyLeave(
                bundles=Bundles(self.database),
                settings=self.settings,
                bundle_hash=self.model.bundle_hash,
                other_bundles=self.other_bundles,
            ),
        )
        analyze = self.analyze
        reject = RejectReport(
            rejections=Rejections(self.database),
            queue=queue,
            spool=self.spool,
            lease_seconds=self.lease_seconds,
            config_hash=self.settings.config_hash,
        )
        of_studies: dict[JobKind, JobHandler] = {JobKind.REJECT_REPORT: reject, JobKind.REPORT_STUDY: report}
        correct = ApplyCorrection(instances=Instances(self.database), corrections=Corrections(self.database), spool=self.spool)
        attempts = self.attempts(queue, {JobKind.ANALYZE_INSTANCE: analyze, JobKind.APPLY_CORRECTION: correct, **of_studies})
        corrections = WorkerLoop(attempts=attempts, handlers={JobKind.APPLY_CORRECTION: correct}, bell=PollingBell(0.01))
        reports = WorkerLoop(attempts=attempts, handlers=of_studies, bell=PollingBell(0.01))
        analyses = self.analyses(attempts, analyze)
        for _ in range(rounds):
            for claim in attempts.claimed.claim((JobKind.APPLY_CORRECTION,)):
                corrections.run_one(claim)
            for claim in attempts.claimed.claim(tuple(of_studies)):
                reports.run_one(claim)
            analyses.run_claims(attempts.claimed.claim((JobKind.ANALYZE_INSTANCE,)))

    def analyze_all(self) -> None:
        """Runs every due analysis, and no report."""
        analyze, queue = self.analyze, JobQueue(self.database, lease_seconds=60, max_lease_expiries=3)
        attempts = self.attempts(queue, {JobKind.ANALYZE_INSTANCE: analyze})
        analyses = self.analyses(attempts, analyze)
        while claims := attempts.claimed.claim((JobKind.ANALYZE_INSTANCE,)):
            analyses.run_claims(claims)

    @staticmethod
    def attempts(queue: JobQueue, handlers: dict[JobKind, GivesUp], *, retry_seconds: float = 0.001) -> Attempts:
        policy = RetryPolicy(max_attempts=3, backoff=Backoff(first_seconds=retry_seconds, max_seconds=retry_seconds))
        return Attempts(queue=queue, claimed=ClaimedJobs(queue, "test:worker:1"), handlers=handlers, policy=policy)

    @staticmethod
    def analyses(
        attempts: Attempts, analyze: AnalyzeInstance, broken: Callable[[], bool] = lambda: False, gate: Gate | None = None
    ) -> Pipeline[Any, Any, Any]:
        kind = JobKind.ANALYZE_INSTANCE
        return Pipeline(attempts=attempts, kind=kind, handler=analyze, bell=PollingBell(0.01), batch=1, broken=broken, gate=gate)

    @property
    def analyze(self) -> AnalyzeInstance:
        return AnalyzeInstance(
            instances=Instances(self.database),
            analyses=Analyses(self.database),
            spool=self.spool,
            keep_map=lambda content: self.spool.write("saliency", new_id(), (content,)),
            router=Router(self.settings),
            decoder=self.decoder,  # type: ignore[arg-type]
            analyzer=self.analyzer,  # type: ignore[arg-type]
            quality=self.settings.quality,
            bundle_hash=self.model.bundle_hash,
            shaping_hash=self.settings.shaping_hash,
        )

    def story(self, key: str) -> Explanation:
        return Queries(self.database).explain(key)

    def study(self, key: str) -> str:
        return self.story(key).instances[0].study_instance_uid

    def outcome(self, key: str) -> str | None:
        return self.story(key).instances[0].outcome

    def sr_text(self, sop_instance_uid: str) -> str:
        study = self.story(sop_instance_uid).results[0].study_instance_uid
        (name,) = [r.file for r in Results(self.database).of_study(study) if r.sop_instance_uid == sop_instance_uid]
        return "\n".join(_lines(dcmread(self.spool.path(name)), 0))

    def report_texts(self, key: str) -> str:
        files = [r.file for r in Results(self.database).of_study(self.story(key).instances[0].study_instance_uid) if r.kind == "sr"]
        return "\n".join(line for name in files for line in _lines(dcmread(self.spool.path(name)), 0))


def new_bench(database: Database, spool: Spool, policy: str = "all", **sections: Any) -> Bench:
    """results: over defaults that withhold nothing as late."""
    results = {"late_after_hours": 0, **sections.pop("results", {})}
    settings = parse_settings(
        {
            "routes": [{"name": "r", "policy": policy, "destinations": ["pacs"]}],
            "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "test"}],
            "results": results,
            **sections,
        }
    )
    return Bench(database, spool, settings, DecoderDouble(), AnalyzerDouble())
