"""The constancy self-test: phantoms through a worker's own decoder and engine, beside the bundle's golden vectors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.config import ModelSettings, WorkerSettings, parse_settings
from gateway.domain.alarm import AlarmCode
from gateway.domain.job import JobKind
from gateway.domain.operator import Operator
from gateway.domain.self_test import SeenPhantom, SelfTestResult
from gateway.errors import DatabaseUnavailableError, DecodeError, EngineFailedError, SelfTestError, SpoolError
from gateway.inference.analyzer import Analyzer, Bundle, open_bundle
from gateway.inference.decoder import Decoder
from gateway.inference.references import References
from gateway.ops.self_test import RETRY_SECONDS, START_DELAY_SECONDS, SelfTest
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries
from gateway.store.self_tests import SelfTests
from gateway.store.spool import Spool
from gateway.workers.phantom_path import PhantomPath, _OfNobody, _Unwritten
from tests.integration.bench import Bench, new_bench
from tests.integration.test_store import record_test_bundle

BOUND = 60
"""Only bounds a test that fails."""
DAY = 86400.0


@dataclass(frozen=True)
class Worker:
    """What is slow to open, once for all tests."""

    bundle: Bundle
    analyzer: Analyzer
    decoder: Decoder
    changed: Decoder
    """With another margin of the foreground crop than the bundle has."""


@pytest.fixture(scope="module")
def worker(demonstration_bundle: Path) -> Iterator[Worker]:
    bundle = open_bundle(demonstration_bundle)
    preprocessing = bundle.model.preprocessing
    assert preprocessing.margin == 0.03
    with Decoder(WorkerSettings(), preprocessing) as decoder, Decoder(WorkerSettings(), replace(preprocessing, margin=0.04)) as changed:
        yield Worker(bundle, Analyzer(bundle, ModelSettings(engine="torch", device="cpu")), decoder, changed)


@pytest.fixture
def bench(database: Database, spool: Spool) -> Bench:
    record_test_bundle(database)
    return new_bench(database, spool, "all")


@pytest.fixture
def plain(store: Database, spool: Spool) -> Bench:
    """On SQLite only: of the database nothing is asked."""
    return new_bench(store, spool, "all")


def path_of(here: Bench, worker: Worker, decoder: Decoder) -> PhantomPath:
    here.decoder, here.analyzer, here.model = decoder, worker.analyzer, worker.bundle.identity  # type: ignore[assignment]
    return PhantomPath(
        references=References(worker.bundle),
        analyze=here.analyze,
        model=worker.bundle.identity,
        decoder=decoder,
        spool=here.spool,
        settings=here.settings,
    )


def events(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(text("SELECT event FROM audit_event WHERE event LIKE 'self_test:%' ORDER BY seq")))


def files(spool: Spool) -> list[Path]:
    return [path for kind in ("instance", "saliency", "result", "self_test") for path in spool.path(kind).rglob("*") if path.is_file()]


def test_phantoms_come_through_as_the_bundle_says_and_leave_nothing_behind(bench: Bench, worker: Worker, database: Database) -> None:
    before = Queries(database).status()
    found = self_test(OnlyFirst(path_of(bench, worker, worker.decoder)), database)
    run(found)
    (result,) = SelfTests(database).of_each_worker()
    assert (result.passed, result.phantoms, result.profile) == (True, 1, "torch-cpu-float32")
    assert result.logit_difference is not None
    assert result.logit_difference < 2.6e-3
    assert events(database) == ["self_test:passed"]
    assert found.is_open()
    after = Queries(database).status()
    assert replace(after, self_tests=()) == replace(before, self_tests=())
    assert files(bench.spool) == []


def test_changed_margin_of_the_crop_stops_analyses_until_an_operator_accepts_it(bench: Bench, worker: Worker, database: Database) -> None:
    uid = bench.receive()
    path = path_of(bench, worker, worker.changed)
    found = self_test(OnlyFirst(path), database, clock=time.monotonic)
    with running(bench, found) as stop:
        wait_for(lambda: events(database) == ["self_test:deviated"], stop)
        (result,) = SelfTests(database).of_each_worker()
        assert "1:input" in result.deviations
        assert bench.outcome(uid) is None
        assert not found.is_open()
        SelfTests(database).accept(result.worker, Operator(name="ann", reason="INC-1"))
        wait_for(lambda: bench.outcome(uid) is not None, stop)
    assert events(database) == ["self_test:deviated", "self_test:accepted"]
    assert [file for file in files(bench.spool) if "self_test" in file.parts] == []


def test_every_golden_phantom_of_the_bundle_passes_whatever_the_rules_of_the_site(plain: Bench, worker: Worker) -> None:
    plain.settings = parse_settings(
        {
            "peers": [{"name": "x", "ae_title": "X", "routes": ["r"]}],
            "routes": [{"name": "r", "when": {"keyword": "Modality", "equals": "CR"}}],
            "eligibility": {"min_age_years": 95},
            "quality": {"blank": {"action": "refuse", "threshold": 0.0}},
            "results": {"language": "zh"},
        }
    )
    path = path_of(plain, worker, worker.decoder)
    assert [path.send(number).deviations for number in range(len(path))] == [()] * 4


def test_phantom_that_is_refused_is_a_deviation_by_its_code(plain: Bench, worker: Worker) -> None:
    path = path_of(plain, worker, worker.decoder)

    class Blank:
        def prepare(self, file: Path) -> object:
            return replace(worker.decoder.prepare(file), measures={"blank": 1.0})

    here = replace(path, analyze=replace(path.analyze, decoder=Blank()))  # type: ignore[arg-type]
    assert here.send(0) == SeenPhantom(deviations=("quality_blank",), profile="")


# the rules of when and whether, with phantoms that answer what a test says


@dataclass
class PathDouble:
    """Two phantoms. answers: what comes of each; errors are raised."""

    answers: list[SeenPhantom | Exception] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return 2

    def send(self, number: int) -> SeenPhantom:
        self.sent.append(number)
        answer = self.answers.pop(0) if self.answers else SeenPhantom(deviations=(), profile="double")
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class OnlyFirst:
    """One phantom of a path is enough for a test."""

    path: PhantomPath

    def __len__(self) -> int:
        return 1

    def send(self, number: int) -> SeenPhantom:
        return self.path.send(number)


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


def self_test(
    path: object,
    database: Database,
    clock: Callable[[], float] | None = None,
    *,
    due: bool = True,
    every_seconds: float = DAY,
    bundle_hash: str = "b" * 64,
) -> SelfTest:
    clock = clock or Clock()
    found = SelfTest(
        path,  # type: ignore[arg-type]
        SelfTests(database),
        Alarms(database, "test"),
        worker="host",
        actor="test",
        bundle_hash=bundle_hash,
        every_seconds=every_seconds,
        clock=clock,
        now=clock.now if isinstance(clock, Clock) else lambda: datetime.now(UTC),
    )
    if due:
        found.request()
    return found


def alarms(database: Database) -> list[tuple[AlarmCode, str]]:
    return [(alarm.code, alarm.subject) for alarm in Alarms(database, "test").standing()]


def run(found: SelfTest) -> None:
    while found.is_due():
        found.step()


def is_due_after(seconds: float, clock: Clock, found: SelfTest) -> bool:
    """What the timer's tick comes to when so much more time has passed."""
    clock.seconds += seconds
    found.tick()
    return found.is_due()


def wait_for(condition: Callable[[], bool], stop: threading.Event) -> None:
    deadline = threading.Event()
    for _ in range(BOUND * 20):
        if condition():
            return
        assert not stop.is_set(), "the lane has ended"
        deadline.wait(0.05)
    raise AssertionError("it did not happen")


@contextmanager
def running(here: Bench, gate: SelfTest) -> Iterator[threading.Event]:
    """The lane of analyses, with this gate."""
    stop = threading.Event()
    queue = JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)
    analyze = here.analyze
    lane = here.analyses(here.attempts(queue, {JobKind.ANALYZE_INSTANCE: analyze}), analyze, gate=gate)
    thread = threading.Thread(target=lane.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(BOUND)


DEVIATES = SeenPhantom(deviations=("input", "logit"), profile="double", logit_difference=1.5, saliency_difference=float("inf"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    from gateway.store import schema

    found = Database(f"sqlite:///{tmp_path / 'rules.db'}")
    schema.ensure(found)
    yield found
    found.close()


def latest(store: Database) -> SelfTestResult:
    (found,) = SelfTests(store).of_each_worker()
    return found


def test_first_one_waits_for_the_images_that_waited_and_then_comes_daily(store: Database) -> None:
    clock, path = Clock(), PathDouble()
    found = self_test(path, store, clock, due=False)
    found.tick()
    assert not found.is_due()
    assert is_due_after(START_DELAY_SECONDS, clock, found)
    run(found)
    assert not is_due_after(DAY - 1, clock, found)
    assert is_due_after(1, clock, found)
    assert path.sent == [0, 1]


def latest_exists(store: Database) -> bool:
    return bool(SelfTests(store).of_each_worker())


def test_worker_that_starts_again_goes_by_what_was_recorded(store: Database) -> None:
    clock = Clock()
    run(self_test(PathDouble(), store, clock))
    clock.seconds = DAY / 2
    found = self_test(PathDouble(), store, clock, due=False)
    assert not is_due_after(DAY / 2 - 1, clock, found)
    assert is_due_after(1, clock, found)


def test_deviation_outlives_a_restart_and_ends_with_a_self_test_that_passes(store: Database) -> None:
    clock = Clock()
    first = self_test(PathDouble([DEVIATES]), store, clock)
    run(first)
    assert latest(store).deviations == ("1:input", "1:logit")
    assert (latest(store).logit_difference, latest(store).saliency_difference) == (1.5, None)
    assert not first.is_open()
    assert alarms(store) == [(AlarmCode.CONSTANCY, "host")]
    again = self_test(PathDouble([DEVIATES]), store, clock, due=False)
    assert again.is_due()
    assert not again.is_open()
    run(again)
    clock.seconds += RETRY_SECONDS
    again.tick()
    run(again)
    assert again.is_open()
    assert latest(store).passed
    assert alarms(store) == []


def test_never_means_never_but_a_worker_that_stands_still_looks_again(store: Database) -> None:
    clock = Clock()
    found = self_test(PathDouble([DEVIATES]), store, clock, due=False, every_seconds=0.0)
    assert not is_due_after(10 * DAY, clock, found)
    found.request()
    run(found)
    assert is_due_after(RETRY_SECONDS, clock, found)


@pytest.mark.parametrize("error", [SpoolError("full"), DatabaseUnavailableError("gone")])
def test_disk_or_database_in_trouble_is_no_deviation(store: Database, error: Exception) -> None:
    clock, path = Clock(), PathDouble([SeenPhantom(deviations=(), profile="double"), error])
    found = self_test(path, store, clock)
    run(found)
    assert not latest_exists(store)
    assert found.is_open()
    clock.seconds += 60
    found.tick()
    run(found)
    assert path.sent == [0, 1, 0, 1]
    assert latest(store).passed


@pytest.mark.parametrize(("error", "code"), [(DecodeError("x"), "failed_decode"), (EngineFailedError("x"), "failed_engine")])
def test_part_of_the_way_that_fails_is_a_deviation(store: Database, error: Exception, code: str) -> None:
    found = self_test(PathDouble([error]), store)
    run(found)
    assert latest(store).deviations == (f"1:{code}",)
    assert not found.is_open()


def test_only_a_deviation_can_be_accepted_and_who_did_is_recorded(store: Database) -> None:
    tests, ann = SelfTests(store), Operator(name="ann", reason="INC-1")
    for worker in ("host", "other"):
        with pytest.raises(SelfTestError):
            tests.accept(worker, ann)
    clock = Clock()
    found = self_test(PathDouble([DEVIATES]), store, clock)
    run(found)
    assert tests.accept("host", ann).accepted_by == "operator:ann"
    clock.seconds += 2
    assert found.is_open()
    assert alarms(store) == []
    with pytest.raises(SelfTestError):
        tests.accept("host", ann)
    assert events(store) == ["self_test:deviated", "self_test:accepted"]
    # accepted is not passed: the next one deviates again, and stops again
    again = self_test(PathDouble([DEVIATES]), store, clock)
    run(again)
    assert not again.is_open()


def test_operators_word_holds_until_the_next_daily_one(store: Database) -> None:
    clock, path = Clock(), PathDouble([DEVIATES])
    found = self_test(path, store, clock)
    run(found)
    assert is_due_after(RETRY_SECONDS, clock, found)
    found.step()
    SelfTests(store).accept("host", Operator(name="ann", reason="INC-1"))
    assert found.is_open()
    assert not found.is_due()
    assert not is_due_after(DAY - 1, clock, found)
    assert is_due_after(1, clock, found)
    # anew, and not where the repetition was broken off
    found.step()
    assert path.sent == [0, 1, 0, 0]


def test_alarm_ends_with_the_operators_word_also_while_the_worker_is_away(store: Database) -> None:
    clock = Clock()
    run(self_test(PathDouble([DEVIATES]), store, clock))
    SelfTests(store).accept("host", Operator(name="ann", reason="INC-1"))
    assert alarms(store) == []
    assert self_test(PathDouble(), store, clock, due=False).is_open()
    with store.reading() as session:
        ended = session.scalars(text("SELECT actor FROM audit_event WHERE event = 'alarm:cleared'")).all()
    assert ended == ["operator:ann"]


def test_worker_that_starts_says_what_stands_for_its_own_bundle(store: Database) -> None:
    clock = Clock()
    run(self_test(PathDouble([DEVIATES]), store, clock))
    Alarms(store, "test").clear(AlarmCode.CONSTANCY, "host")
    self_test(PathDouble(), store, clock, due=False)
    assert alarms(store) == [(AlarmCode.CONSTANCY, "host")]
    self_test(PathDouble(), store, clock, due=False, every_seconds=0.0, bundle_hash="c" * 64)
    assert alarms(store) == []


def test_another_bundle_begins_anew(store: Database) -> None:
    run(self_test(PathDouble([DEVIATES]), store))
    assert SelfTests(store).latest("host", "c" * 64) is None


def test_stand_ins_for_the_store_of_a_phantom_have_no_database() -> None:
    with pytest.raises(AttributeError, match="_database"):
        _OfNobody().get("x")
    with pytest.raises(AttributeError, match="_database"):
        _Unwritten().analyze_again(None, ())  # type: ignore[arg-type]
