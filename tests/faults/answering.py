"""Destinations that answer, refuse and break off as they are told; they speak bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.images import IMPLICIT
from tests.peers.raw_scp import Visitor

_SC: Final = "1.2.840.10008.5.1.4.1.1.7"
_TIMES: Final = 2
"""A passing trouble passes after so many."""


@dataclass
class Peer:
    """A destination. behaves: what it does in one association, and what it may ask: whether its trouble is still there."""

    behaves: Callable[[Visitor, Peer], None]
    troubles: int = 0
    """Requests, or associations, that met its trouble."""
    stored: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, visitor: Visitor) -> None:
        self.behaves(visitor, self)

    def is_in_trouble(self) -> bool:
        with self.lock:
            self.troubles += 1
            return self.troubles <= _TIMES

    def keep(self, request: Any) -> None:
        with self.lock:
            self.stored.append(str(request.AffectedSOPInstanceUID))


def says(status: int, *, at_first: bool = False) -> Peer:
    """at_first: for some requests, and stores afterwards."""

    def behaves(visitor: Visitor, peer: Peer) -> None:
        visitor.accept()
        while True:
            request = visitor.request()
            given = status if not at_first or peer.is_in_trouble() else 0
            if given in (0, 0x0111) or given >> 12 == 0xB:
                peer.keep(request)
            visitor.answer(request, given)

    return Peer(behaves)


def stores(visitor: Visitor, peer: Peer) -> None:
    while True:
        request = visitor.request()
        peer.keep(request)
        visitor.answer(request, 0)


def refuses_all(visitor: Visitor, _: Peer) -> None:
    visitor.accept(only=set())
    visitor.read()


def rejects_at_first(visitor: Visitor, peer: Peer) -> None:
    if peer.is_in_trouble():
        visitor.reject()
        return
    visitor.accept()
    stores(visitor, peer)


def aborts_within_at_first(visitor: Visitor, peer: Peer) -> None:
    visitor.accept()
    if peer.is_in_trouble():
        visitor.read()
        visitor.abort()
        return
    stores(visitor, peer)


def aborts_instead_of_answering_at_first(visitor: Visitor, peer: Peer) -> None:
    visitor.accept()
    if peer.is_in_trouble():
        visitor.request()
        visitor.abort()
        return
    stores(visitor, peer)


def aborts_after(visitor: Visitor, peer: Peer) -> None:
    visitor.accept()
    request = visitor.request()
    peer.keep(request)
    visitor.answer(request, 0)
    visitor.abort()


def answers_another(visitor: Visitor, peer: Peer) -> None:
    """0000 to a message that nobody sent, and then the truth."""
    visitor.accept()
    while True:
        request = visitor.request()
        visitor.answer(request, 0, message_id=(request.MessageID + 1000) % 65536)
        visitor.answer(request, 0xA900)


def loses_its_answer(again: int) -> Peer:
    """Stores each object, and its answer never comes; again: what it says when it is sent it once more."""

    def behaves(visitor: Visitor, peer: Peer) -> None:
        visitor.accept()
        while True:
            request = visitor.request()
            if request.AffectedSOPInstanceUID not in peer.stored:
                peer.keep(request)
                return
            visitor.answer(request, again)

    return Peer(behaves)


def no_reports(visitor: Visitor, peer: Peer) -> None:
    visitor.accept(only={_SC})
    stores(visitor, peer)


def implicit_only(visitor: Visitor, peer: Peer) -> None:
    visitor.accept(syntax=IMPLICIT)
    stores(visitor, peer)
