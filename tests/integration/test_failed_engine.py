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
from gateway.errors import ImplausibleOutputError as OurImplausibleOutputError
from gateway.inference.analyzer import Analyzer, Question, open_bundle
from gateway.inference.decoder import PreparedKnee
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from strnet_core.engines import choose, verification
from strnet_core.engines.base import Prediction
from strnet_core.errors import DeviceMemoryError, ImplausibleOutputError
from tests.integration.bench import Bench


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


class FailingEngine:
    profile = "torch-cuda-bfloat16"
    batch = 8

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
    first, second = analyzer.read_all((question(), question()))
    assert (type(first), type(second)) == (expected, expected)
    assert analyzer.broken is broken


def question(mark: int = 0) -> Question:
    """About two knees of an image whose pixels are `mark`."""
    region, image = Region(left=0, top=0, right=1, bottom=1), np.full((512, 512), mark, np.uint8)
    knees = (PreparedKnee(position=position, region=region, image=image, image_sha256="0" * 64, measures={}) for position in (1, 2))
    return Question(knees=tuple(knees), covariates=None)


class PoisonedEngine(FailingEngine):
    """Says which image it saw; a batch with an image of 66 fails."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def predict(self, images: np.ndarray, covariates: tuple[object, ...]) -> tuple[Prediction, ...]:
        self.asked.append(len(images))
        assert len(covariates) == len(images)
        marks = images[:, 0, 0].tolist()
        if 66 in marks:
            raise ImplausibleOutputError
        saliency = np.ones((16, 16), np.float32)
        return tuple(
            Prediction(screening_logit=float(mark), severity_logit=0.0, t_score=None, saliency=saliency, profile=self.profile)
            for mark in marks
        )


def test_poison_in_a_batch_costs_its_neighbours_nothing_and_answers_stay_with_their_images(
    demonstration_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PoisonedEngine()
    monkeypatch.setattr(choose, "open_engine", lambda *_, **__: engine)
    monkeypatch.setattr(verification, "verify_bundle", lambda *_: None)
    analyzer = Analyzer(open_bundle(demonstration_bundle), ModelSettings())
    good = analyzer.read_all((question(1), question(2)))
    assert [[reading.logit for reading in answer] for answer in good if not isinstance(answer, GatewayError)] == [[1, 1], [2, 2]]
    before, poison, after = analyzer.read_all((question(3), question(66), question(4)))
    assert isinstance(poison, OurImplausibleOutputError)
    assert [[reading.logit for reading in answer] for answer in (before, after) if not isinstance(answer, GatewayError)] == [[3, 3], [4, 4]]
    assert engine.asked == [4, 6, 2, 2, 2]


def test_worker_with_a_failed_engine_ends_after_its_job_and_leaves_the_next_one(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive(1)
    here.receive(2)
    here.analyzer.error = EngineFailedError("RuntimeError")
    asked, read_all = threading.Event(), here.analyzer.read_all
    here.analyzer.read_all = lambda questions: (asked.set(), read_all(questions))[1]  # type: ignore[method-assign]
    analyze = here.analyze
    queue = JobQueue(database, lease_seconds=60, max_lease_expiries=3)
    attempts = here.attempts(queue, {JobKind.ANALYZE_INSTANCE: analyze}, retry_seconds=60)
    worker = threading.Thread(target=here.analyses(attempts, analyze, asked.is_set).run, args=(threading.Event(),), daemon=True)
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
    jobs = sorted((job.state, job.last_code or "") for instance in here.story("ACC1").instances for job in instance.jobs)
    assert jobs == [("queued", ""), ("retry", "failed_engine")]
