"""The sender over a bench, towards an archive that is a double with scripted answers: for orders of events that no real one can be held in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import Dataset, dcmread

from gateway.delivery.link import Answered
from gateway.dicom.uids import KEY_OBJECT_SELECTION
from gateway.domain.delivery import Verdict
from gateway.domain.job import Claim, JobKind
from gateway.store.deliveries import Deliveries
from gateway.store.job_queue import JobQueue
from gateway.workers.deliver_result import DeliverResult
from tests.integration.bench import Bench

SENDER = "test:sender:1"
"""Who claims here."""
STORED = Answered(verdict=Verdict.SENT, code="stored", dimse_status=0)
UNREACHABLE = Answered(verdict=Verdict.RETRY, code="no_association")
LOST = Answered(verdict=Verdict.RETRY, code="association_lost")
REFUSED = Answered(verdict=Verdict.DEAD, code="cannot_understand", dimse_status=0xC000)
CLASS_REFUSED = Answered(verdict=Verdict.DEAD, code="context_refused")


@dataclass
class Archive:
    """Holds what it was sent when it answers `stored`; before it answers, `during` happens."""

    answer: Answered = STORED
    during: Callable[[], None] = lambda: None
    held: list[Dataset] = field(default_factory=list)

    def send(self, content: bytes, _sop_class_uid: str, _sop_instance_uid: str, **_keywords: object) -> Answered:
        during, self.during = self.during, lambda: None
        during()
        if self.answer.verdict is Verdict.SENT:
            self.held.append(dcmread(BytesIO(content)))
        return self.answer

    @property
    def kinds(self) -> list[str]:
        """Modalities in the order in which they came."""
        return [str(one.Modality) for one in self.held]

    @property
    def notes(self) -> list[Dataset]:
        return [one for one in self.held if one.SOPClassUID == KEY_OBJECT_SELECTION]


def queue_of(here: Bench) -> JobQueue:
    return JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)


def deliver(here: Bench, archive: Archive, *, lane: str = "pacs", limit: int = 50) -> list[str]:
    """Runs what is due for a destination, one after the other; returns how each ended."""
    handler = DeliverResult(
        deliveries=Deliveries(here.database),
        spool=here.spool,
        scu=archive,  # type: ignore[arg-type]
        settings=here.settings,
    )
    codes = []
    for _ in range(limit):
        claims: tuple[Claim, ...] = queue_of(here).claim((JobKind.DELIVER_RESULT,), SENDER, lane=lane)
        if not claims:
            break
        codes.append(handler.run(claims[0]).code)
    return codes
