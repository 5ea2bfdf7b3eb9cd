"""When two headers of one image speak of the same patient and the same sides. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.domain.finding import Laterality

PatientKey = tuple[str, str]
"""Issuer and patient id."""


def is_same_patient(one: PatientKey, other: PatientKey) -> bool:
    """The same id, and no two different issuers: a road that adds the issuer, or drops it, changes nothing."""
    return one[1] == other[1] and (one[0] == other[0] or not one[0] or not other[0])


def merged_patient(patients: Iterable[PatientKey]) -> PatientKey | None:
    """The one patient that all of these name, with the issuer where one of them tells it; None where they name two."""
    keys = set(patients)
    issuers = {issuer for issuer, _ in keys if issuer}
    ids = {patient_id for _, patient_id in keys}
    if len(issuers) > 1 or len(ids) != 1:
        return None
    return (issuers.pop() if issuers else "", ids.pop())


def sides_agree(one: Iterable[tuple[int, str]], other: Iterable[tuple[int, str]]) -> bool:
    """The same knees by position, and no side against another: unknown contradicts nothing."""
    ours, theirs = dict(one), dict(other)
    unknown = Laterality.UNKNOWN
    return ours.keys() == theirs.keys() and all(side == theirs[at] or unknown in (side, theirs[at]) for at, side in ours.items())
