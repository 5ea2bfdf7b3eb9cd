"""Corrections as they come in to a bench, and what the store says of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from gateway.domain.story import CaseStory, ResultStory
from gateway.store.tables import AuditEventRow, DeliveryRow, InstanceRow, JobRow, ResultRow
from tests.doubles.key_objects import KOS, WORKLIST, encoded, key_objects
from tests.integration.bench import Bench
from tests.integration.sender_bench import Archive, deliver

OTHER = {"PatientID": "P9", "PatientName": "C^D"}
"""Another patient identity."""


def note(here: Bench, *named: str, title: str = WORKLIST, uid: str = "1.2.9.1", study: str | None = None, **options: object) -> str:
    """A Key Object Selection that names these SOP Instance UIDs comes in; its UID."""
    studies = [(one, study or _study_of(here, one)) for one in named]
    document = key_objects(title, studies, uid=uid, **options)  # type: ignore[arg-type]
    here.take(encoded(document), sop_class_uid=KOS, sop_instance_uid=uid)
    return uid


def _study_of(here: Bench, uid: str) -> str:
    with here.database.reading() as session:
        found = session.scalar(select(InstanceRow.study_instance_uid).where(InstanceRow.sop_instance_uid == uid).limit(1))
    return found or "1.2.4.404"


def settle(here: Bench, archive: Archive, rounds: int = 8) -> None:
    """Worker and sender, until nothing is due: a note follows what was sent."""
    here.work(rounds=rounds)
    deliver(here, archive)
    here.work(rounds=rounds)
    deliver(here, archive)


def outcomes(here: Bench, key: str) -> list[tuple[str | None, str | None]]:
    """Outcome and reason of every data set, in the order in which they came."""
    return [(one.outcome, one.reason) for one in here.story(key).instances]


def case(here: Bench, key: str) -> CaseStory:
    (found,) = here.story(key).cases
    return found


def reports(here: Bench, key: str) -> list[ResultStory]:
    return [one for one in here.story(key).results if one.kind == "sr"]


def deliveries(here: Bench, key: str, kind: str = "sr") -> list[list[str]]:
    """States of the deliveries of each result of the kind, by revision."""
    return [[delivery.state for delivery in one.deliveries] for one in here.story(key).results if one.kind == kind]


def told_to(archive: Archive) -> list[tuple[str, str]]:
    """Modality and patient id of everything that the destination holds, in the order of its arrival."""
    return [(str(one.Modality), str(one.PatientID)) for one in archive.held]


def everything(here: Bench) -> dict[str, int]:
    """How many rows there are of what a correction makes; receipts are not among them."""
    rows = (InstanceRow, JobRow, ResultRow, DeliveryRow)
    with here.database.reading() as session:
        counts = {row.__tablename__: session.scalar(select(func.count()).select_from(row)) or 0 for row in rows}
        told = select(func.count()).select_from(AuditEventRow).where(AuditEventRow.event.in_(("correction:applied", "report:retracted")))
        return {**counts, "told": session.scalar(told) or 0}


def events(story: CaseStory, names: Sequence[str]) -> list[str]:
    return [entry.event for entry in story.events if entry.event in names]
