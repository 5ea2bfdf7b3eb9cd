"""What a peer may cost the receiver: sizes, times and connections."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.config import ReceiverSettings

_KIBIBYTE: Final = 1024
_MEBIBYTE: Final = 1024 * 1024


class Cut(StrEnum):
    """Why the receiver refused or closed a connection; the `reason` of the event."""

    ADDRESS_LIMIT = "address_limit"
    CONNECTION_LIMIT = "connection_limit"
    OUT_OF_DESCRIPTORS = "out_of_descriptors"
    TLS_HANDSHAKE = "tls_handshake"
    PDU_DEADLINE = "pdu_deadline"
    PDU_TOO_LONG = "pdu_too_long"
    NOT_DICOM = "not_dicom"
    PDU_UNREADABLE = "pdu_unreadable"
    FRAGMENTS = "fragments"
    COMMAND = "command"
    MESSAGE_TOO_LONG = "message_too_long"
    MESSAGE_DEADLINE = "message_deadline"
    MEMORY_WAIT = "memory_wait"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds. docs/receiver.md tells what closes what."""

    connections: int
    connections_per_address: int
    pdu: int
    """Of a P-DATA-TF, as advertised (PS3.8 D.1)."""
    pdu_seconds: float
    message: int
    message_seconds: float
    memory: int
    first_pdu: int = 64 * _KIBIBYTE
    """Of any other PDU; before an association this is all that a stranger can make us keep."""
    command: int = 8 * _KIBIBYTE
    """Of a DIMSE command set. Legitimate ones have some hundred bytes."""

    @classmethod
    def of(cls, settings: ReceiverSettings) -> Limits:
        return cls(
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            pdu=settings.max_pdu_kb * _KIBIBYTE,
            pdu_seconds=settings.pdu_seconds,
            message=settings.max_message_mb * _MEBIBYTE,
            message_seconds=settings.message_seconds,
            memory=settings.memory_mb * _MEBIBYTE,
        )


class Connections:
    """Counts open connections per peer address, before anything is read from them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def admit(self, address: str) -> Callable[[], None] | Cut:
        """A function that gives the place back (once, however often it is called), or why there is none."""
        with self._lock:
            if self._open.total() >= self._limits.connections:
                return Cut.CONNECTION_LIMIT
            if self._open[address] >= self._limits.connections_per_address:
                return Cut.ADDRESS_LIMIT
            self._open[address] += 1
        given_back = threading.Event()

        def give_back() -> None:
            with self._lock:
                if given_back.is_set():
                    return
                given_back.set()
                self._open[address] -= 1
                if not self._open[address]:
                    del self._open[address]

        return give_back

    def count(self) -> int:
        with self._lock:
            return self._open.total()
