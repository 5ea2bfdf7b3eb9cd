"""Corrections that come in: what a message says of images, and what follows for whose image one is. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.outcome import InstanceOutcome
from gateway.domain.retraction import RejectionReason, reason_of_title


class CaseState(StrEnum):
    SETTLED = "settled"
    """All that it asks for is done, or waits for an image that has not come."""
    HELD = "held"
    """A person has to decide whose an image is."""
    DECIDED = "decided"


class CaseReason(StrEnum):
    """Why a case was opened where no rejection note says why."""

    OTHER_PATIENT = "other_patient"
    CONTESTED = "contested"
    OPERATOR = "operator"


class CaseRole(StrEnum):
    """What an image is in a case."""

    REJECTED = "rejected"
    """Named by a rejection note; without an instance while it has not come."""
    REPLACED = "replaced"
    """It came again under another patient, and is that patient's."""
    REPLACEMENT = "replacement"
    CONTESTED = "contested"
    STANDS = "stands"
    """A person has decided for it."""
    SET_ASIDE = "set_aside"
    """A person has decided against it."""
    RESULT = "result"
    """A result of ours that a rejection note names: its report was taken back."""
    NAMED = "named"
    """By a note that withdraws nothing."""


MANY: Final = 20
"""Images that one sender takes back within MANY_WITHIN: no day's mistakes, but a sender or a road that is wrong itself."""
MANY_WITHIN: Final = timedelta(days=1)
AGAINST: frozenset[CaseRole] = frozenset({CaseRole.REJECTED, CaseRole.REPLACED, CaseRole.SET_ASIDE})
"""In these an image is not assessed, however often it is analysed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedInstance:
    """study_instance_uid: as the note's evidence says; None where it does not."""

    sop_instance_uid: str
    study_instance_uid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObjects:
    """title: Code Value of the document title, empty where it is not of the DICOM terminology."""

    title: str
    named: tuple[NamedInstance, ...]
    made_by_us: bool

    @property
    def rejection(self) -> RejectionReason | None:
        """Why it rejects what it names; None where it rejects nothing that is ours to act on."""
        return None if self.made_by_us or not self.named else reason_of_title(self.title)

    @property
    def outcome(self) -> InstanceOutcome:
        """Of the document itself."""
        if self.made_by_us:
            return InstanceOutcome.INELIGIBLE_OWN_RESULT
        return InstanceOutcome.INELIGIBLE_KEY_OBJECT if self.rejection is None else InstanceOutcome.CORRECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A data set beside an older one that stands in a report, or may come to. same_pixels: None where one was not decoded."""

    same_sop_instance: bool
    same_pixels: bool | None
    same_patient: bool
    names_patient: bool
    """The newer one has a patient id."""
    linked: bool
    """By study, series, accession number, or sender, station and study date: one examination, told anew."""
    one_from_file: bool
    """One of the two was sent, the other one only taken from a file: a file says nothing of when it was made."""
    deidentified: bool
    """Patient Identity Removed (0012,0062) is YES in one of them."""
    settled_before: bool
    """The newer one's patient was this image's once and was set aside, or a person has decided for the older one."""

    @property
    def is_one_image(self) -> bool:
        """A copy without the patient's identity is an image of its own, nobody's."""
        if self.same_sop_instance:
            return self.same_pixels is not False
        return self.same_pixels is True and not self.deidentified


class Ruling(StrEnum):
    NOTHING = "nothing"
    FILE_WAITS = "file_waits"
    """What was sent stands; what only a file claims has no result until a person decides."""
    REPLACES = "replaces"
    """The image is the newer patient's: the older data set is set aside."""
    CONTESTED = "contested"
    """Two patients cannot share an image, and whose it is cannot be known here: neither has a result until a person decides."""


def ruling_of(likeness: Likeness) -> Ruling:
    """docs/corrections.md has it as a table (ADR 0032)."""
    if not likeness.is_one_image or likeness.same_patient or not likeness.names_patient:
        return Ruling.NOTHING
    if likeness.one_from_file:
        return Ruling.FILE_WAITS
    if likeness.same_pixels is None or likeness.settled_before:
        return Ruling.CONTESTED
    return Ruling.REPLACES if likeness.same_sop_instance or likeness.linked else Ruling.CONTESTED


def gravest(rulings: Iterable[Ruling]) -> Ruling:
    """Over all older data sets of an image."""
    order = tuple(Ruling)
    return max(rulings, key=order.index, default=Ruling.NOTHING)
