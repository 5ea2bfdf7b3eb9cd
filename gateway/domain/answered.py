"""What the receiver has done with a sender: plain values that become rows, at once or when the database is back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from gateway.domain.identifiers import new_id


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedBy:
    """What let a sender in: the name of its `[[peers]]` table, and its TLS. None where there was none."""

    peer: str | None = None
    tls_version: str | None = None
    certificate_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAssociation:
    """way: `c_store` or `ingest`."""

    id: str = field(default_factory=new_id)
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    way: str
    opened_at: datetime = field(default_factory=_now)
    admitted_by: AdmittedBy = AdmittedBy()
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAssociation:
    """ending: `released`, `aborted`, `closed`, or `process_died` when nobody was left to see it."""

    association_id: str
    ending: str
    ended_at: datetime = field(default_factory=_now)
    kind: Literal["ended"] = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A C-STORE that was answered with a failure. UIDs are legal ones or `illegal`: anything else could be a name."""

    id: str = field(default_factory=new_id)
    association_id: str | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    received_at: datetime = field(default_factory=_now)
    dimse_status: int
    reason: str
    kind: Literal["refusal"] = "refusal"


Note = OpenedAssociation | EndedAssociation | Refusal
