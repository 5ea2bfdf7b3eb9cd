"""What a soak leaves behind, as plain values: what senders were told, what the gateway keeps, what the PACS holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileState = Literal["whole", "absent", "other bytes"]
ChainKind = Literal["job", "instance", "delivery"]


@dataclass(frozen=True, slots=True)
class Told:
    """An instance that a sender was told 0000 for. digest: SHA-256 of its data set."""

    sop_uid: str
    study_uid: str
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance's row. receipts: of answers with success."""

    sop_uid: str
    digest: str
    file: FileState = "whole"
    receipts: int = 1


@dataclass(frozen=True, slots=True)
class Chain:
    """The audit events of one job, instance or delivery in their order, each with its code, and the state that its row is in."""

    kind: ChainKind
    name: str
    events: tuple[tuple[str, str], ...]
    state: str


@dataclass(frozen=True, slots=True)
class Built:
    """A result's row that was released to the PACS."""

    sop_uid: str
    study_uid: str
    kind: str
    assessment_set: str


@dataclass(frozen=True, slots=True)
class Held:
    """One object in the PACS. images: of those that were sent, the ones that an SR names as its evidence."""

    sop_uid: str
    study_uid: str
    modality: str
    images: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """unclosed: the ledgers of `status` that do not close. ended_by_itself: exit codes of a `serve` that nobody killed."""

    told: tuple[Told, ...]
    kept: tuple[Kept, ...]
    chains: tuple[Chain, ...]
    built: tuple[Built, ...]
    held: tuple[Held, ...]
    unclosed: tuple[str, ...] = ()
    ended_by_itself: tuple[int, ...] = ()
