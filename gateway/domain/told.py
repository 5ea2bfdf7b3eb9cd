"""What a released report has told of a patient: the knees that it names, and where it has arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gateway.domain.finding import Laterality
from gateway.domain.outcome import KneeDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldKnee:
    """An assessed knee that a report names. image: of its stored pixels and the network's input."""

    side: Laterality
    decision: KneeDecision
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldReport:
    """The newest report of a study that was sent for a patient. arrived: the destinations that have said so."""

    sop_instance_uid: str
    study_date: date | None
    knees: tuple[ToldKnee, ...]
    arrived: frozenset[str]
