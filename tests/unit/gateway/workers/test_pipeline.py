"""The pipeline over the queue's memory double: ahead of the network, in batches, each job's trouble its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from gateway.domain.job import Claim, JobKind, JobState
from gateway.errors import DatabaseUnavailableError, DecodeError, GatewayError, ImplausibleOutputError
from gateway.events import Event
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.workers.attempt import Attempts, Ending
from gateway.workers.gate import Gate
from gateway.workers.lanes import run_lanes
from gateway.workers.pipeline import Pipeline
from gateway.workers.retry import Backoff, RetryPolicy
from tests.doubles.memory_queue import MemoryJob, MemoryQueue

KIND = JobKind.ANALYZE_INSTANCE
BOUND = 20
"""Only bounds a test that fails."""


@dataclass
class Handler:
    """Prepares, answers and records by a job's subject; `hard` fails before, `poison` at, `late` after the network."""

    queue: MemoryQueue
    batches: list[list[str]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    network: threading.Event = field(default_factory=threading.Event)
    """The network answers while this is set."""
    asked: threading.Event = field(default_factory=threading.Event)
    crash: BaseException | None = None

    def __post_init__(self) -> None:
        self.network.set()

    def prepare(self, claim: Claim) -> str:
        if claim.subject.startswith("hard"):
            raise DecodeError("hard")
        if claim.subject.startswith("defect"):
            raise KeyError("CANARY")
        with self.queue.changed:
            self.prepared.append(claim.subject)
            self.queue.changed.notify_all()
        return claim.subject

    def question(self, begun: str) -> str | None:
        return None if begun.startswith("refused") else begun

    def answer(self, questions: Sequence[str]) -> list[str | GatewayError]:
        self.batches.append(list(questions))
        self.asked.set()
        assert self.network.wait(BOUND)
        if self.crash is not None:
            raise self.crash
        return [ImplausibleOutputError("poison") if q.startswith("poison") else q for q in questions]

    def finish(self, claim: Claim, begun: str, answer: str | GatewayError | None) -> Ending:
        if isinstance(answer, GatewayError):
            raise answer
        if begun.startswith("late"):
            raise DecodeError("late")
        assert answer == (None if begun.startswith("refused") else begun)
        self.queue.finish(claim, code="assessed")
        return Ending(Event.JOB_DONE, "assessed")

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.queue.fail(claim, code=error.code, retry_in_seconds=None)


class MemoryBell:
    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    def wait(self, kinds: Sequence[JobKind], stop: threading.Event) -> None:
        with self._queue.changed:
            self._queue.changed.wait_for(lambda: stop.is_set() or self._queue.seconds_until_due(kinds) == 0, 0.05)


@dataclass
class Lane:
    queue: MemoryQueue
    handler: Handler
    claimed: ClaimedJobs
    batch: int = 4
    broken: Callable[[], bool] = lambda: False
    gate: Gate | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                self.run()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self.handler.network.set()
            self.stop.set()
            thread.join(BOUND)
        assert not thread.is_alive()
        if raised:
            raise raised[0]

    def run(self) -> None:
        policy = RetryPolicy(max_attempts=3, backoff=Backoff(first_seconds=0.001, max_seconds=0.001))
        attempts = Attempts(queue=self.queue, claimed=self.claimed, handlers={KIND: self.handler}, policy=policy)
        bell = MemoryBell(self.queue)
        Pipeline(attempts=attempts, kind=KIND, handler=self.handler, bell=bell, batch=self.batch, broken=self.broken, gate=self.gate).run(
            self.stop
        )

    def add(self, *subjects: str) -> None:
        for subject in subjects:
            self.queue.enqueue(KIND, subject)

    def states(self) -> dict[str, str]:
        return {job.subject: str(job.state) for job in self.queue.jobs.values()}

    def all_end(self) -> bool:
        return self.queue.wait_for(lambda jobs: all(ended(job) for job in jobs.values()), BOUND)


def ended(job: MemoryJob) -> bool:
    return job.state in (JobState.DONE, JobState.DEAD, JobState.HELD)


@pytest.fixture
def lane() -> Lane:
    queue = MemoryQueue()
    return Lane(queue, Handler(queue), ClaimedJobs(queue, "host:worker:1"))


def test_image_that_comes_alone_does_not_wait_for_company(lane: Lane) -> None:
    with lane.running():
        lane.add("alone")
        assert lane.all_end()
    assert lane.handler.batches == [["alone"]]


def test_what_waits_while_the_network_is_busy_is_prepared_meanwhile_and_goes_together(lane: Lane) -> None:
    lane.handler.network.clear()
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add("a", "b", "c", "d", "e")
        assert lane.queue.wait_for(lambda _jobs: set("abcde") <= set(lane.handler.prepared))
        lane.handler.network.set()
        assert lane.all_end()
    assert lane.handler.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


def test_no_more_is_claimed_than_is_prepared_ahead(lane: Lane) -> None:
    lane.handler.network.clear()
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add(*(f"i{number}" for number in range(30)))
        assert lane.queue.wait_for(lambda _jobs: len(lane.handler.prepared) == 1 + 2 * lane.batch)
        assert list(lane.states().values()).count("running") == 1 + 2 * lane.batch
        lane.handler.network.set()
        assert lane.all_end()
    assert set(lane.states().values()) == {"done"}


def test_poison_fails_by_itself_and_its_neighbours_are_assessed(lane: Lane) -> None:
    lane.add("a", "hard", "poison", "b", "defect", "late", "refused", "c")
    with lane.running():
        assert lane.all_end()
    states = lane.states()
    assert {name for name, state in states.items() if state == "done"} == {"a", "b", "c", "refused"}
    assert {name for name, state in states.items() if state == "dead"} == {"hard", "poison", "defect", "late"}
    assert "refused" not in [name for batch in lane.handler.batches for name in batch]


def test_defect_in_the_network_is_tried_again_one_by_one(lane: Lane) -> None:
    lane.handler.network.clear()
    lane.handler.crash = ValueError("CANARY")
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add("a", "b")
        assert lane.queue.wait_for(lambda _jobs: len(lane.handler.prepared) == 3)
        lane.handler.network.set()
        assert lane.all_end()
    assert ["a", "b"] in lane.handler.batches
    assert lane.handler.batches.count(["a"]) == lane.handler.batches.count(["b"]) == 2
    assert set(lane.states().values()) == {"dead"}


def test_suspect_goes_through_the_network_alone_and_nothing_is_prepared_behind_it(lane: Lane) -> None:
    lane.add("suspect")
    (claim,) = lane.queue.claim((KIND,), "host:worker:0")
    lane.queue.fail(claim, code="failed_engine", retry_in_seconds=0.0)
    lane.add("a", "b")
    lane.handler.network.clear()
    with lane.running():
        assert lane.handler.asked.wait(BOUND)
        assert lane.handler.prepared == ["suspect"]
        lane.handler.network.set()
        assert lane.all_end()
    assert lane.handler.batches[0] == ["suspect"]


def test_stop_records_what_the_network_had_and_gives_the_rest_back(lane: Lane) -> None:
    lane.handler.network.clear()
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add("a", "b", "c")
        assert lane.queue.wait_for(lambda _jobs: len(lane.handler.prepared) == 4)
        lane.stop.set()
        lane.handler.network.set()
    assert lane.states() == {"first": "done", "a": "queued", "b": "queued", "c": "queued"}
    assert [job.attempts for job in lane.queue.jobs.values()] == [0, 0, 0, 0]


def test_broken_network_ends_the_lane_and_its_jobs_come_back(lane: Lane) -> None:
    broken = threading.Event()
    lane.broken = broken.is_set
    lane.batch = 1
    lane.handler.network.clear()
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add("a", "b")
        assert lane.queue.wait_for(lambda _jobs: len(lane.handler.prepared) == 3)
        broken.set()
        lane.handler.network.set()
        assert lane.stop.wait(BOUND)
    assert lane.states() == {"first": "done", "a": "queued", "b": "queued"}


def test_leases_of_prepared_jobs_are_renewed_and_of_ended_ones_no_longer(lane: Lane) -> None:
    lane.handler.network.clear()
    renewed: list[set[str]] = []
    renew = lane.queue.renew
    lane.queue.renew = lambda claims: (renewed.append({c.subject for c in claims}), renew(claims))[1]  # type: ignore[method-assign]
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.add("a", "b")
        assert lane.queue.wait_for(lambda _jobs: len(lane.handler.prepared) == 3)
        lane.claimed.renew()
        lane.handler.network.set()
        assert lane.all_end()
    lane.claimed.renew()
    assert renewed == [{"first", "a", "b"}, set()]


def test_job_whose_end_could_not_be_recorded_comes_back_without_an_attempt(lane: Lane) -> None:
    finish, failed = lane.queue.finish, []

    def fails_once(claim: Claim, *, code: str) -> None:
        if not failed:
            failed.append(claim)
            raise DatabaseUnavailableError("double")
        finish(claim, code=code)

    lane.queue.finish = fails_once  # type: ignore[method-assign]
    lane.add("first")
    with lane.running():
        assert lane.all_end()
    assert (lane.states(), lane.queue.jobs[1].attempts) == ({"first": "done"}, 0)
    assert lane.handler.batches == [["first"], ["first"]]


def test_late_writer_is_dropped_and_the_lane_goes_on(lane: Lane) -> None:
    lane.handler.network.clear()
    with lane.running():
        lane.add("first")
        assert lane.handler.asked.wait(BOUND)
        lane.queue.expire_leases(owner="host:worker:1")
        (other,) = lane.queue.claim((KIND,), "host:worker:2")
        lane.handler.network.set()
        lane.add("a")
        assert lane.queue.wait_for(lambda jobs: jobs[2].state is JobState.DONE)
        assert lane.states()["first"] == "running"
        lane.queue.finish(other)


def test_defect_of_a_thread_ends_the_process_instead_of_stalling_it(lane: Lane) -> None:
    class Defect(BaseException):
        pass

    def prepare(_claim: Claim) -> str:
        raise Defect

    lane.handler.prepare = prepare  # type: ignore[method-assign]
    lane.add("a")
    with pytest.raises(Defect):
        lane.run()


def test_lanes_live_and_end_together() -> None:
    stop, ended_too = threading.Event(), threading.Event()

    def failing(_stop: threading.Event) -> None:
        raise ZeroDivisionError

    def first(until: threading.Event) -> None:
        assert until.wait(BOUND)
        ended_too.set()

    with pytest.raises(ZeroDivisionError):
        run_lanes(stop, first, failing, grace_seconds=30)
    assert ended_too.is_set()


@dataclass
class GateDouble:
    """Due for so many steps; notes what was on its way at each."""

    lane: Lane
    steps: int = 0
    opened: threading.Event = field(default_factory=threading.Event)
    on_the_way: list[int] = field(default_factory=list)
    defect: Exception | None = None
    failures: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.opened.set()

    def is_due(self) -> bool:
        return self.steps > 0

    def step(self) -> None:
        self.steps -= 1
        self.on_the_way.append(len(self.lane.claimed._claims))
        if self.steps == 0:
            self.done.set()
        if self.defect is not None:
            raise self.defect

    def failed(self, error: GatewayError) -> None:
        self.failures.append(type(error.__cause__).__name__)

    def is_open(self) -> bool:
        return self.opened.is_set()


def test_step_of_the_gate_finds_an_empty_lane_and_jobs_go_between_steps(lane: Lane) -> None:
    lane.gate = gate = GateDouble(lane)
    lane.handler.network.clear()
    with lane.running():
        lane.add("a")
        assert lane.handler.asked.wait(BOUND)
        lane.add("b")
        gate.steps = 3
        assert gate.on_the_way == []
        lane.handler.network.set()
        assert lane.all_end()
        assert gate.done.wait(BOUND)
    assert gate.on_the_way == [0, 0, 0]


def test_nothing_is_claimed_while_the_gate_is_closed_and_its_steps_go_on(lane: Lane) -> None:
    lane.gate = gate = GateDouble(lane, steps=2)
    gate.opened.clear()
    lane.add("a")
    with lane.running():
        assert gate.done.wait(BOUND)
        assert lane.states() == {"a": "queued"}
        gate.opened.set()
        assert lane.all_end()
    assert lane.states() == {"a": "done"}


def test_defect_at_the_gate_is_told_to_it_and_the_lane_goes_on(lane: Lane) -> None:
    lane.gate = gate = GateDouble(lane, steps=1, defect=KeyError("CANARY"))
    lane.add("a")
    with lane.running():
        assert lane.all_end()
    assert gate.failures == ["KeyError"]


def test_process_that_cannot_go_on_after_a_step_ends(lane: Lane) -> None:
    lane.gate = gate = GateDouble(lane, steps=1)
    lane.broken = gate.done.is_set
    with lane.running():
        assert lane.stop.wait(BOUND)
