"""Faults 24 to 26: what a destination answers, refuses and breaks off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.faults.answering import (
    Peer,
    aborts_after,
    aborts_instead_of_answering_at_first,
    aborts_within_at_first,
    answers_another,
    implicit_only,
    loses_its_answer,
    no_reports,
    refuses_all,
    rejects_at_first,
    says,
)
from tests.faults.fault import Fault, Point
from tests.faults.images import encode
from tests.faults.knees import phantom
from tests.faults.ledger import Ledger
from tests.faults.senders import send_all
from tests.faults.sending import RESULTS, WAIT_SECONDS, attempts, codes, sending, states, to
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace
from tests.peers.raw_scp import RawScp

_BUFFER: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Case:
    """states: of the deliveries in the end; codes: of their attempts; stored: objects that the destination holds."""

    peer: Peer
    states: list[str]
    codes: list[str]
    stored: int = 0
    is_at_once: bool = False
    """One attempt each, no more."""


def _seen(w: Workplace, cases: Mapping[str, Case]) -> Iterator[Point]:
    """One knee goes to all of these destinations."""
    scps = {name: w.enter(RawScp(case.peer, receive_buffer=_BUFFER)) for name, case in cases.items()}
    # none of them is silent: a machine that is busy is no reason to give one up
    gateway = sending(w, *(to(name, scp.port) for name, scp in scps.items()), response_seconds=20, message_seconds=30)
    ledger = w.ledger(gateway)
    yield Point("answer", send_all(gateway.port, [encode(phantom(1))], w.log), ["0000"])
    happens(lambda: all(_is_over(ledger, name, case) for name, case in cases.items()), WAIT_SECONDS)
    for name, case in cases.items():
        yield Point(f"{name}: deliveries", states(ledger, name), case.states)
        yield Point("attempts told", codes(ledger, name), case.codes)
        yield Point("objects that it has", len(case.peer.stored), case.stored)
        if case.is_at_once:
            yield Point("attempts each", sorted(set(attempts(ledger, name))), [1])
    yield Point("sender died", len(gateway.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _is_over(ledger: Ledger, name: str, case: Case) -> bool:
    tried = attempts(ledger, name)
    enough = 1 if case.is_at_once or case.states != ["pending"] else 2
    return len(tried) == RESULTS and min(tried) >= enough and states(ledger, name) == case.states


def refuses(w: Workplace) -> Iterator[Point]:
    sent, dead = ["sent"], ["dead"]
    yield from _seen(
        w,
        {
            "A900": Case(says(0xA900), dead, ["class_mismatch"], is_at_once=True),
            "C000": Case(says(0xC000), dead, ["cannot_understand"], is_at_once=True),
            "0122": Case(says(0x0122), dead, ["class_not_supported"], is_at_once=True),
            "no context": Case(Peer(refuses_all), dead, ["context_refused"], is_at_once=True),
            "A700 at first": Case(says(0xA700, at_first=True), sent, ["peer_out_of_resources", "success"], RESULTS),
            "0110 at first": Case(says(0x0110, at_first=True), sent, ["peer_processing_failure", "success"], RESULTS),
            "0111": Case(says(0x0111), sent, ["already_there"], RESULTS, is_at_once=True),
            "stores, its answer lost, then 0111": Case(loses_its_answer(0x0111), sent, ["already_there", "association_lost"], RESULTS),
            "stores, its answer lost, then 0000": Case(loses_its_answer(0), sent, ["association_lost", "success"], RESULTS),
            "rejects at first": Case(Peer(rejects_at_first), sent, ["association_rejected_transient", "success"], RESULTS),
            "aborts within the data set at first": Case(Peer(aborts_within_at_first), sent, ["association_lost", "success"], RESULTS),
            "aborts before the answer at first": Case(
                Peer(aborts_instead_of_answering_at_first), sent, ["association_lost", "success"], RESULTS
            ),
        },
    )


def answers_oddly(w: Workplace) -> Iterator[Point]:
    yield from _seen(
        w,
        {
            "B007": Case(says(0xB007), ["sent"], ["warning"], RESULTS, is_at_once=True),
            "1234": Case(says(0x1234), ["pending"], ["unknown_status"]),
            "0000 to another message, then A900": Case(Peer(answers_another), ["dead"], ["class_mismatch"], is_at_once=True),
            "0000, then A-ABORT": Case(Peer(aborts_after), ["sent"], ["success"], RESULTS, is_at_once=True),
        },
    )


def takes_little(w: Workplace) -> Iterator[Point]:
    """The report is refused at once, and its pictures go all the same."""
    yield from _seen(
        w,
        {
            "no SR": Case(Peer(no_reports), ["dead", "sent"], ["context_refused", "success"], RESULTS - 1, is_at_once=True),
            "Implicit VR Little Endian only": Case(Peer(implicit_only), ["dead"], ["context_refused"], is_at_once=True),
        },
    )


FAULTS = (
    Fault(
        number=24,
        what="the PACS refuses: A900, Cxxx, 0122, no context, A700, 0110, 0111; rejects, aborts within and before its answer; stores and loses its answer",
        expected="A900, Cxxx, 0122 and a refused context are dead at once; A7xx, 01xx and what is broken off are tried again; 0111 is sent; one copy",
        how="a destination for each that speaks bytes; `retry_max_seconds` 1",
        scenario=refuses,
        seconds=400,
    ),
    Fault(
        number=25,
        what="the PACS answers Bxxx, an unknown status, to another message, or aborts after 0000",
        expected="Bxxx is sent, with a warning; an unknown status is a failure; the answer to another message is ignored; 0000 counts",
        how="a destination for each that speaks bytes",
        scenario=answers_oddly,
        seconds=400,
    ),
    Fault(
        number=26,
        what="the PACS takes Implicit VR Little Endian only; it takes no SR",
        expected="dead at once for want of a context; Secondary Captures are sent all the same",
        how="a destination for each that speaks bytes",
        scenario=takes_little,
        seconds=400,
    ),
)
