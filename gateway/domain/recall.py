"""A recall: what an operator takes back, and what it comes to for each report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecallScope(StrEnum):
    BUNDLE = "bundle"
    STUDY = "study"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallTarget:
    """key: bundle hash, study instance UID or patient id; the last is never logged or audited. issuer: of a patient id, None: not given."""

    scope: RecallScope
    key: str
    issuer: str | None = None


class Effect(StrEnum):
    """What a recall does about one destination of a report."""

    CANCEL = "cancel"
    """Nothing of it was sent there: it is not sent any more."""
    REJECT = "reject"
    """It is or may be there: a rejection note goes there, and what is pending is cancelled."""
    NOTHING = "nothing"
    """It was cancelled or refused before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalledDestination:
    """One destination of a report. states: of its results' deliveries, each once. note: state and last code of the rejection note's."""

    destination: str
    states: tuple[str, ...]
    effect: Effect
    note: tuple[str, str | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalledReport:
    """A report that a recall is about. already: it was taken back before."""

    study_instance_uid: str
    revision: int
    assessment_set: str
    sop_instance_uid: str
    """Of its SR."""
    release: str
    already: bool
    destinations: tuple[RecalledDestination, ...]
