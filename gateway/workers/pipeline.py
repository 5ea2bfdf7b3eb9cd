"""A lane of a role in three threads: one prepares what comes next, the caller's asks the network, one records.

The network never waits for a file, a decoder or a commit while there is a queue; and an image that comes alone waits for nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from gateway.domain.job import Claim, JobKind
from gateway.errors import DatabaseUnavailableError, GatewayError
from gateway.events import Event, log_event
from gateway.store.job_bell import JobBell
from gateway.workers.attempt import Attempts, Ending, GivesUp, unexpected
from gateway.workers.gate import AlwaysOpen, Gate

_DATABASE_PAUSE_SECONDS = 1.0
_CLOSED_PAUSE_SECONDS = 0.5

Begun = TypeVar("Begun")
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class StagedHandler(GivesUp, Protocol[Begun, Question, Answer]):
    """A kind of job in three parts. The first and the last may block and fail for their job alone."""

    def prepare(self, claim: Claim) -> Begun: ...

    def question(self, begun: Begun) -> Question | None:
        """What the network is to be asked; None = nothing, the job goes on to its end."""
        ...

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer | GatewayError]:
        """One answer per question; an error concerns its question only."""
        ...

    def finish(self, claim: Claim, begun: Begun, answer: Answer | GatewayError | None) -> Ending:
        """Ends the job, in one transaction with what it made. Raises the answer where it is an error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work(Generic[Begun, Question]):
    claim: Claim
    begun: Begun
    question: Question | None
    since: float


class Pipeline(Generic[Begun, Question, Answer]):
    """batch: questions that the network takes at once; up to twice as many are prepared ahead. broken: this process cannot go on."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        kind: JobKind,
        handler: StagedHandler[Begun, Question, Answer],
        bell: JobBell,
        batch: int,
        broken: Callable[[], bool] = lambda: False,
        gate: Gate | None = None,
    ) -> None:
        self._attempts = attempts
        self._kind = kind
        self._handler = handler
        self._bell = bell
        self._batch = batch
        self._ahead = 2 * batch
        self._broken = broken
        self._gate = gate or AlwaysOpen()
        self._prepared: SimpleQueue[_Work[Begun, Question] | None] = SimpleQueue()
        self._answered: SimpleQueue[tuple[_Work[Begun, Question], Answer | GatewayError | None] | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._waiting = 0
        """Prepared, and not yet taken by the network's thread."""
        self._inside = 0
        """Prepared, and not yet recorded."""
        self._defect: BaseException | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set, or this process cannot go on. What the network has begun with is recorded; the rest goes back."""
        preparing = self._thread("preparing", self._prepare_all, stop)
        recording = self._thread("recording", self._record_all, stop)
        try:
            self._ask_all(stop)
        finally:
            # the other lanes of this process end too
            stop.set()
            self._give_back_prepared()
            self._answered.put(None)
            preparing.join()
            recording.join()
        if self._defect is not None:
            raise self._defect

    def run_claims(self, claims: Sequence[Claim]) -> None:
        """The same steps in the caller's thread, one after the other."""
        works = [work for work in map(self._begin, claims) if work is not None]
        asked = [work for work in works if work.question is not None]
        answers = dict(zip((work.claim for work in asked), self._ask(asked), strict=True)) if asked else {}
        for work in works:
            self._record(work, answers.get(work.claim))

    def _thread(self, name: str, work: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
        """A defect in a thread ends the process by way of the caller's: it must not live on with a part of it dead."""

        def guarded() -> None:
            try:
                work(stop)
            except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
                self._defect = error
                stop.set()

        thread = threading.Thread(target=guarded, name=name)
        thread.start()
        return thread

    def _prepare_all(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._prepare_next(stop)
        finally:
            self._prepared.put(None)

    def _prepare_next(self, stop: threading.Event) -> None:
        if self._gate.is_due():
            self._pass_gate(stop)
        if not self._gate.is_open():
            stop.wait(_CLOSED_PAUSE_SECONDS)
            return
        room = self._room(stop)
        if not room:
            return
        try:
            self._attempts.give_back_stranded()
            claims = self._attempts.claimed.claim((self._kind,), limit=room)
            if not claims:
                self._bell.wait((self._kind,), stop)
        except DatabaseUnavailableError as error:
            log_event(Event.JOB_CLAIMED, level="error", error_class=type(error).__name__)
            stop.wait(_DATABASE_PAUSE_SECONDS)
            return
        for claim in claims:
            self._prepare(claim, stop)

    def _pass_gate(self, stop: threading.Event) -> None:
        self._wait_until_empty(stop)
        if stop.is_set():
            return
        try:
            self._gate.step()
        except Exception as error:  # noqa: BLE001  the worker's edge; what fails here must not end the worker again and again
            self._gate.failed(unexpected(error))
        if self._broken():
            # the network's thread waits for an image, and would not look
            stop.set()

    def _prepare(self, claim: Claim, stop: threading.Event) -> None:
        if claim.is_suspect:
            self._wait_until_empty(stop)
        if stop.is_set():
            self._give_back(claim)
            return
        work = self._begin(claim)
        if work is None:
            return
        with self._changed:
            self._inside += 1
            self._waiting += work.question is not None
        if work.question is None:
            self._answered.put((work, None))
        else:
            self._prepared.put(work)
        if claim.is_suspect:
            self._wait_until_empty(stop)

    def _begin(self, claim: Claim) -> _Work[Begun, Question] | None:
        since = time.monotonic()

        def work() -> _Work[Begun, Question]:
            begun = self._handler.prepare(claim)
            return _Work(claim=claim, begun=begun, question=self._handler.question(begun), since=since)

        return self._attempts.step(claim, work)

    def _room(self, stop: threading.Event) -> int:
        """How many jobs may be claimed; waits until it is one at least, 0 when `stop` is set meanwhile."""
        with self._changed:
            while not stop.is_set():
                room = min(self._ahead - self._waiting, 4 * self._ahead - self._inside)
                if room > 0:
                    return room
                self._changed.wait(0.5)
        return 0

    def _wait_until_empty(self, stop: threading.Event) -> None:
        with self._changed:
            while self._inside and not stop.is_set():
                self._changed.wait(0.5)

    def _ask_all(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self._broken():
            works = self._take()
            if not works:
                return
            if stop.is_set():
                for work in works:
                    self._give_back(work.claim)
                return
            for work, answer in zip(works, self._ask(works), strict=True):
                self._answered.put((work, answer))

    def _take(self) -> list[_Work[Begun, Question]]:
        """What is there, up to a batch; waits for the first only. Empty at the end."""
        works: list[_Work[Begun, Question]] = []
        first = self._prepared.get()
        with suppress(Empty):
            while first is not None:
                works.append(first)
                if len(works) == self._batch:
                    break
                first = self._prepared.get_nowait()
        if first is None:
            # the end is there for whoever asks next, too
            self._prepared.put(None)
        with self._changed:
            self._waiting -= len(works)
            self._changed.notify_all()
        return works

    def _ask(self, works: Sequence[_Work[Begun, Question]]) -> Sequence[Answer | GatewayError | None]:
        questions = [work.question for work in works if work.question is not None]
        try:
            return self._handler.answer(questions)
        except Exception as error:  # noqa: BLE001  the worker's edge; each job fails by itself, and is tried again alone
            return [unexpected(error)] * len(works)

    def _record_all(self, stop: threading.Event) -> None:
        """Ends when there is nothing left."""
        while (answered := self._answered.get()) is not None:
            self._record(*answered)
            if self._broken():
                # the network's thread may be waiting for an image, and would not look
                stop.set()
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _record(self, work: _Work[Begun, Question], answer: Answer | GatewayError | None) -> None:
        ending = self._attempts.step(work.claim, lambda: self._handler.finish(work.claim, work.begun, answer))
        if ending is not None:
            self._attempts.ended(work.claim, ending, time.monotonic() - work.since)

    def _give_back_prepared(self) -> None:
        while (work := self._prepared.get()) is not None:
            self._give_back(work.claim)

    def _give_back(self, claim: Claim) -> None:
        # without a database its lease runs out
        with suppress(DatabaseUnavailableError):
            self._attempts.give_back(claim)
