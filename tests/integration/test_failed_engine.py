"""An engine or device that fails stays failed for its process: the job is tried again, and the worker ends to be started anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.config import ModelSettings
from gateway.domain.finding import Region
from gateway.domain.job import JobKind
from gateway.errors import EngineFailedError, EngineMemoryError, GatewayError
from gateway.inference.analyzer import Analyzer, open_bundle
from gateway.inference.decoder import PreparedKnee
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from gateway.workers.retry import Backoff
from gateway.workers.worker import WorkerLoop
from strnet_core.engines import choose, verification
from strnet_core.errors import DeviceMemoryError
from tests.integration.bench import Bench


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


class FailingEngine:
    profile = "torch-cuda-bfloat16"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def predict(self, *_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("raised", "expected", "broken"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), EngineFailedError, True),
        (DeviceMemoryError("one image does not fit"), EngineMemoryError, False),
    ],
)
def test_lost_device_breaks_the_analyzer_and_a_full_one_does_not(
    demonstration_bundle: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[GatewayError], broken: bool
) -> None:
    monkeypatch.setattr(choose, "open_engine", lambda *_, **__: FailingEngine(raised))
    monkeypatch.setattr(verification, "verify_bundle", lambda *_: None)
    analyzer = Analyzer(open_bundle(demonstration_bundle), ModelSettings())
    region = Region(left=0, top=0, right=1, bottom=1)
    knee = PreparedKnee(position=1, region=region, image=np.zeros((512, 512), np.uint8), image_sha256="0" * 64, measures={})
    with pytest.raises(expected):
        analyzer.read([knee], None)
    assert analyzer.broken is broken


def test_worker_with_a_failed_engine_ends_after_its_job_and_leaves_the_next_one(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive(1)
    here.receive(2)
    here.analyzer.error = EngineFailedError("RuntimeError")
    ended = []
    loop = WorkerLoop(
        queue=JobQueue(database, lease_seconds=60, max_lease_expiries=3),
        handlers={JobKind.ANALYZE_INSTANCE: here.analyze},
        owner="test:worker:1",
        poll_seconds=0.01,
        max_attempts=3,
        backoff=Backoff(first_seconds=60, max_seconds=60),
        broken=lambda: not ended.append(True),
    )
    worker = threading.Thread(target=loop.run, args=(threading.Event(),), daemon=True)
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
    assert len(ended) == 1
    jobs = sorted((job.state, job.last_code or "") for instance in here.story("ACC1").instances for job in instance.jobs)
    assert jobs == [("queued", ""), ("retry", "failed_engine")]
