"""The round trip of `strnet-gateway check`: a phantom through the whole gateway, found at its destinations, and rejected again.

It goes by the ordinary road, first C-STORE to last: nothing in the gateway treats it otherwise, but that it is announced as nobody's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from gateway.config import DestinationSettings, Settings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.dicomweb import DicomWebLink, QidoRs
from gateway.delivery.query_scu import QueryScu, until_in
from gateway.delivery.single_store import store_once
from gateway.domain.check import Line, bad, code_of_failure, good, note
from gateway.domain.confirmation import NOT_FOUND
from gateway.domain.delivery import ARRIVED, DeliveryState, Verdict
from gateway.domain.outcome import Release
from gateway.domain.retraction import REJECTION
from gateway.domain.story import DeliveryStory, Explanation, ResultStory
from gateway.errors import DestinationError, NotFoundError
from gateway.ops.check_phantom import CheckPhantom
from gateway.ops.round_trip_plan import CALLING_AE_TITLE, STEP, Plan
from gateway.ops.way_check import facts
from gateway.store.phantom_studies import PhantomStudies
from gateway.store.queries import Queries

_LOOK_SECONDS: Final = 0.2
_SUCCESS: Final = 0
_ASSESSED: Final = "assessed"
_MOST_INSTANCES: Final = 100
_CONFIRMED: Final = {"storage_commitment": DeliveryState.COMMITTED, "find": DeliveryState.FOUND}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """One phantom. own: this gateway's receiver, as a destination. seconds: for each thing that is waited for."""

    settings: Settings
    queries: Queries
    phantoms: PhantomStudies
    plan: Plan
    phantom: CheckPhantom
    own: DestinationSettings
    actor: str
    seconds: float
    clock: Callable[[], float] = field(default=time.monotonic)

    def lines(self) -> Iterator[Line]:
        """Whatever happens on the way, what was sent is rejected again."""
        self.phantoms.announce(self.phantom.study_instance_uid, actor=self.actor)
        try:
            yield from self._there()
        finally:
            rejected = self._rejected()
        yield from rejected

    def _there(self) -> Iterator[Line]:
        begun = self.clock()
        refused = self._sent()
        if refused is not None:
            yield refused
            return
        yield good(STEP, "received", f"0000 after {self._since(begun)}, study {self.phantom.study_instance_uid}")
        begun, story = self.clock(), self._wait(lambda story: any(one.outcome for one in story.instances))
        outcome = next((one.outcome for one in story.instances if one.outcome), None) if story else None
        if outcome != _ASSESSED:
            yield self._late("analysis") if outcome is None else bad(STEP, "analysed", "not_assessed", outcome, detail=outcome)
            return
        yield good(STEP, "analysed", f"by route {self.plan.route} after {self._since(begun)}")
        story = self._wait(lambda story: bool(_clinical(story)))
        results = _clinical(story) if story else ()
        if not results:
            yield self._late("report")
            return
        withheld = {result.release for result in results} - {Release.SENT}
        if withheld:
            yield bad(STEP, "reported", "withheld", detail=", ".join(sorted(withheld)))
            return
        yield good(STEP, "reported", f"{len(results)} objects")
        for destination in self.plan.destinations:
            yield from self._at(destination)

    def _sent(self) -> Line | None:
        """None: this gateway took it."""
        uids = {"sop_class_uid": self.phantom.sop_class_uid, "sop_instance_uid": self.phantom.sop_instance_uid}
        named = {**facts(self.own), "calling_ae_title": CALLING_AE_TITLE}
        try:
            status = store_once(self.own, self.settings.delivery, self.phantom.content, **uids)
        except DestinationError as error:
            rejected = code_of_failure(error.code, error.detail) in ("calling_ae_title_unknown", "rejected_permanently")
            code = "self_not_admitted" if rejected else "self_unreachable"
            return bad(STEP, "received", code, f"{error.code} {error.detail}".strip(), **named, detail=error.code)
        if status != _SUCCESS:
            return bad(STEP, "received", "self_refused", f"{status:04X}", **named, detail=f"{status:04X}")
        return None

    def _at(self, destination: DestinationSettings) -> Iterator[Line]:
        begun = self.clock()
        ended = (*ARRIVED, DeliveryState.DEAD, DeliveryState.CANCELLED)
        story = self._wait(lambda story: all(one.state in ended for one in _deliveries(story, destination.name)))
        found = _deliveries(story, destination.name) if story else ()
        dead = next((one for one in found if one.state not in ARRIVED), None)
        if not found or dead is not None:
            yield self._undelivered(destination, dead, is_open=story is None)
            return
        yield good(destination.name, "delivered", f"{len(found)} objects after {self._since(begun)}")
        yield self._seen(destination)
        if destination.commitment in _CONFIRMED:
            yield self._confirmed(destination)

    def _undelivered(self, destination: DestinationSettings, dead: DeliveryStory | None, *, is_open: bool) -> Line:
        if is_open or dead is None:
            return bad(destination.name, "delivered", "too_slow", detail=f"delivery to {destination.name}")
        detail = f"{dead.last_code or dead.state} {dead.last_status or ''}".strip()
        return bad(destination.name, "delivered", "not_delivered", detail, detail=detail)

    def _seen(self, destination: DestinationSettings) -> Line:
        """By C-FIND, as anybody would look for it there."""
        sent = _clinical(self._story())
        if destination.protocol == "stow_rs":
            return self._searched(destination, sent)
        found: set[str] = set()
        with closing(QueryScu(destination, self.settings.delivery, until=until_in(self.seconds))) as scu:
            try:
                series = scu.series(self.phantom.study_instance_uid, most=_MOST_INSTANCES).found
                for one in series:
                    found |= {*scu.instances(one.study_instance_uid, one.series_instance_uid, most=_MOST_INSTANCES).found}
            except DestinationError as error:
                return note(destination.name, "found", "not_queried", f"{error.code} {error.detail}".strip())
        missing = [result for result in sent if result.sop_instance_uid not in found]
        if missing:
            return bad(destination.name, "found", "not_found", f"{len(missing)} of {len(sent)} objects missing")
        return good(destination.name, "found", f"{len(sent)} objects by C-FIND")

    def _searched(self, destination: DestinationSettings, sent: tuple[ResultStory, ...]) -> Line:
        """By QIDO-RS."""
        with closing(DicomWebLink(destination, self.settings.delivery, CircuitBreaker(failures=len(sent) + 1, seconds=1.0))) as link:
            answers = [QidoRs(link).ask(one.study_instance_uid, "", one.sop_instance_uid, until=until_in(self.seconds)) for one in sent]
        missing = [answer.code for answer in answers if answer.verdict is not Verdict.SENT]
        if not missing:
            return good(destination.name, "found", f"{len(sent)} objects by QIDO-RS")
        if set(missing) == {NOT_FOUND}:
            return bad(destination.name, "found", "not_found", f"{len(missing)} of {len(sent)} objects missing")
        return note(destination.name, "found", "not_queried", ", ".join(sorted(set(missing))))

    def _confirmed(self, destination: DestinationSettings) -> Line:
        wanted, begun = _CONFIRMED[destination.commitment], self.clock()
        story = self._wait(lambda story: all(one.state == wanted for one in _deliveries(story, destination.name)))
        if story is None:
            waiting = [one for one in _deliveries(self._story(), destination.name) if one.state != wanted]
            codes = {attempt.code or "no answer yet" for one in waiting for attempt in one.tried[-1:]}
            detail = ", ".join(sorted(codes)) or "no answer"
            named = {**facts(destination), "own_port": str(self.own.port)}
            return bad(destination.name, wanted, "not_committed", f"{len(waiting)} objects are not", **named, detail=detail)
        return good(destination.name, wanted, f"after {self._since(begun)}")

    def _rejected(self) -> list[Line]:
        """What went out is rejected by a note; what has not is never sent. What comes too late is rejected by the gateway's timer."""
        study = self.phantom.study_instance_uid
        self.phantoms.reject(study, actor=self.actor)
        lines = []
        for destination in self.plan.destinations:
            if not any(one.state in ARRIVED for one in _deliveries(self._story(), destination.name)):
                continue
            begun = self.clock()
            story = self._wait(lambda story, name=destination.name: _is_rejected(story, name))  # type: ignore[misc]
            notes = _deliveries(story or self._story(), destination.name, kind=REJECTION)
            if notes and all(one.state in ARRIVED for one in notes):
                lines.append(good(destination.name, "rejected again", f"after {self._since(begun)}"))
            else:
                detail = ", ".join(sorted({one.last_code or one.state for one in notes})) or "no note was made"
                lines.append(bad(destination.name, "rejected again", "not_rejected", f"study {study}", detail=detail))
        return lines

    def _wait(self, reached: Callable[[Explanation], bool]) -> Explanation | None:
        """The story when it has come so far; None when it has not in time. The store tells nobody: it is asked again and again."""
        deadline = self.clock() + self.seconds
        while True:
            story = self._story()
            if story.instances and reached(story):
                return story
            if self.clock() >= deadline:
                return None
            time.sleep(_LOOK_SECONDS)

    def _story(self) -> Explanation:
        key = self.phantom.study_instance_uid
        try:
            return self.queries.explain(key)
        except NotFoundError:
            return Explanation(key=key, instances=(), refusals=(), results=(), study_jobs=())

    def _late(self, what: str) -> Line:
        return bad(STEP, what, "too_slow", f"not within {self.seconds:g} s", detail=what)

    def _since(self, begun: float) -> str:
        return f"{self.clock() - begun:.1f} s"


def _clinical(story: Explanation) -> tuple[ResultStory, ...]:
    """Its results, without what rejects them."""
    return tuple(result for result in story.results if result.kind != REJECTION)


def _deliveries(story: Explanation, destination: str, *, kind: str | None = None) -> tuple[DeliveryStory, ...]:
    """Of the results, or of those of one kind."""
    wanted = _clinical(story) if kind is None else tuple(result for result in story.results if result.kind == kind)
    return tuple(one for result in wanted for one in result.deliveries if one.destination == destination)


def _is_rejected(story: Explanation, destination: str) -> bool:
    notes = _deliveries(story, destination, kind=REJECTION)
    return bool(notes) and all(one.state in (*ARRIVED, DeliveryState.DEAD) for one in notes)
