"""One report that was taken back: the note that says so, for the destinations that have it. Idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.job import Claim
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.store.job_queue import JobQueue
from gateway.store.rejections import DueRejection, Rejections
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.note_sources import built_note, report_header
from gateway.workers.result_file import written_result

_LONGEST_WAIT_SECONDS: Final = 5.0
"""The end of what is being sent pulls the job forward; this is only the longest wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectReport:
    """The reject_report job."""

    rejections: Rejections
    queue: JobQueue
    spool: Spool
    lease_seconds: float
    config_hash: str

    def run(self, claim: Claim) -> Ending:
        due = self.rejections.due(claim.subject, lease_seconds=self.lease_seconds)
        if due.wait_seconds > 0:
            self.queue.postpone(claim, seconds=min(due.wait_seconds, _LONGEST_WAIT_SECONDS))
            return Ending(Event.JOB_POSTPONED, "still_sending")
        if not due.destinations:
            self.queue.finish(claim, code="nothing_to_reject")
            return Ending(Event.JOB_DONE, "nothing_to_reject")
        if due.note_id is not None:
            self.rejections.send(claim, due.note_id, due)
            return Ending(Event.JOB_DONE, "rejected")
        return self._build(claim, due)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.queue.fail(claim, code=error.code, retry_in_seconds=None)

    def _build(self, claim: Claim, due: DueRejection) -> Ending:
        header = report_header(self.spool, due.results, self.rejections)
        note = written_result(
            self.spool, built_note(header, due.results, assessment_set=claim.subject, reason=due.reason, retracted_at=due.retracted_at)
        )
        # after a database error the file stays: the commit may have happened although its answer was lost
        if self.rejections.commit(claim, note, due, config_hash=self.config_hash):
            return Ending(Event.JOB_DONE, "rejected")
        self.spool.remove(note.file)
        self.queue.postpone(claim, seconds=0)
        return Ending(Event.JOB_POSTPONED, "note_exists")
