"""The other data sets of an image: those of its SOP Instance UID, and those of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from gateway.dicom.uids import KEY_OBJECT_SELECTION
from gateway.domain.correction import CaseRole, Likeness, Ruling, ruling_of
from gateway.domain.outcome import InstanceState
from gateway.domain.sameness import is_same_patient
from gateway.store.cases import is_set_aside, role_of, sender_of
from gateway.store.tables import AssociationRow, InstanceRow, ReceiptRow


@dataclass(frozen=True, slots=True)
class Twin:
    """Another data set of an image. ruling: what the newer of the two means for the older one."""

    row: InstanceRow
    ruling: Ruling
    is_set_aside: bool


def twins_of(session: Session, row: InstanceRow, *, by_pixels: bool = True) -> list[Twin]:
    """Locked, oldest first. One that waits for its analysis is left out: that looks here itself.

    by_pixels: whether they tell one exposure from another; those of a blank image do not.
    """
    like = InstanceRow.sop_instance_uid == row.sop_instance_uid
    if row.pixel_digest is not None and by_pixels:
        like = or_(like, InstanceRow.pixel_digest == row.pixel_digest)
    others = select(InstanceRow).where(
        like, InstanceRow.id != row.id, InstanceRow.sop_class_uid != KEY_OBJECT_SELECTION, InstanceRow.state != InstanceState.STORED
    )
    rows = session.scalars(others.order_by(InstanceRow.id).with_for_update()).all()
    found = []
    for other in sorted(rows, key=age_of):
        older, newer = sorted((row, other), key=age_of)
        likeness = _likeness(session, older, newer, (*rows, row))
        if likeness.is_one_image:
            found.append(Twin(other, ruling_of(likeness), is_set_aside(session, other.id)))
    return found


def age_of(row: InstanceRow) -> tuple[object, ...]:
    """For sorting, the oldest first."""
    return row.received_at, row.id


def of_same_patient(one: InstanceRow, other: InstanceRow) -> bool:
    return is_same_patient((one.issuer_of_patient_id, one.patient_id), (other.issuer_of_patient_id, other.patient_id))


def _likeness(session: Session, older: InstanceRow, newer: InstanceRow, rows: Sequence[InstanceRow]) -> Likeness:
    former = (one for one in rows if one.id != newer.id and of_same_patient(one, newer))
    return Likeness(
        same_sop_instance=older.sop_instance_uid == newer.sop_instance_uid,
        same_pixels=_same_pixels(older, newer),
        same_patient=of_same_patient(older, newer),
        names_patient=bool(newer.patient_id),
        one_from_file=comes_from_file(session, older) != comes_from_file(session, newer),
        linked=_linked(session, older, newer),
        deidentified=bool(older.identity_removed or newer.identity_removed),
        settled_before=role_of(session, older.id) is CaseRole.STANDS or any(is_set_aside(session, one.id) for one in former),
    )


def comes_from_file(session: Session, row: InstanceRow) -> bool:
    """`ingest` has taken it, and nobody has ever sent it."""
    ways = set(
        session.scalars(
            select(AssociationRow.way)
            .join(ReceiptRow, ReceiptRow.association_id == AssociationRow.id)
            .where(ReceiptRow.instance_id == row.id, ReceiptRow.dimse_status == 0)
            .distinct()
        )
    )
    return ways == {"ingest"}


def _same_pixels(older: InstanceRow, newer: InstanceRow) -> bool | None:
    """Of an older one that was never decoded nothing was told: it is what its SOP Instance UID says. None: the newer one is unknown."""
    if older.pixel_digest is None:
        return older.sop_instance_uid == newer.sop_instance_uid
    return None if newer.pixel_digest is None else older.pixel_digest == newer.pixel_digest


def _linked(session: Session, older: InstanceRow, newer: InstanceRow) -> bool:
    """Whether both tell of one examination. A copy that was made for another purpose shares none of these."""
    if older.study_instance_uid == newer.study_instance_uid or older.series_instance_uid == newer.series_instance_uid:
        return True
    if older.accession_number and older.accession_number == newer.accession_number:
        return True
    said = (older.station, older.study_date, sender_of(session, older))
    return all(said) and said == (newer.station, newer.study_date, sender_of(session, newer))
