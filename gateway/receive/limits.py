"""What a peer may cost the receiver: sizes, times and connections."""

from __future__ import annotations

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
    """Over all processes of the port, as the next."""
    connections_per_address: int
    pdu: int
    """Of a P-DATA-TF, as advertised (PS3.8 D.1)."""
    pdu_seconds: float
    message: int
    message_seconds: float
    memory: int
    """Of this process: its part of what all have."""
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
            memory=settings.memory_mb * _MEBIBYTE // settings.processes,
        )
