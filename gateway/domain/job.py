"""Jobs: their kinds, their states, and which transition leads where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class JobKind(StrEnum):
    ANALYZE_INSTANCE = "analyze_instance"
    REPORT_STUDY = "report_study"
    DELIVER_RESULT = "deliver_result"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRY = "retry"
    DONE = "done"
    DEAD = "dead"
    HELD = "held"


class JobAction(StrEnum):
    CLAIM = "claim"
    FINISH = "finish"
    FAIL = "fail"
    POSTPONE = "postpone"
    GIVE_UP = "give_up"
    EXPIRE = "expire"
    HOLD = "hold"
    RELEASE = "release"


TRANSITIONS: Final[dict[tuple[JobState, JobAction], JobState]] = {
    (JobState.QUEUED, JobAction.CLAIM): JobState.RUNNING,
    (JobState.RETRY, JobAction.CLAIM): JobState.RUNNING,
    (JobState.RUNNING, JobAction.FINISH): JobState.DONE,
    (JobState.RUNNING, JobAction.FAIL): JobState.RETRY,
    (JobState.RUNNING, JobAction.POSTPONE): JobState.QUEUED,
    (JobState.RUNNING, JobAction.GIVE_UP): JobState.DEAD,
    (JobState.RUNNING, JobAction.EXPIRE): JobState.QUEUED,
    (JobState.RUNNING, JobAction.HOLD): JobState.HELD,
    (JobState.QUEUED, JobAction.HOLD): JobState.HELD,
    (JobState.RETRY, JobAction.HOLD): JobState.HELD,
    (JobState.HELD, JobAction.RELEASE): JobState.QUEUED,
    (JobState.DEAD, JobAction.RELEASE): JobState.QUEUED,
}
"""POSTPONE: not due yet. EXPIRE: the lease ran out; neither counts as an attempt. RELEASE: an operator's act."""

CLAIMABLE: Final = (JobState.QUEUED, JobState.RETRY)
OPEN: Final = (JobState.QUEUED, JobState.RETRY, JobState.RUNNING)


def after(state: JobState, action: JobAction) -> JobState:
    """The state that follows. ValueError for a transition that does not exist."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise ValueError(f"a {state} job knows no {action}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job in a worker's hands. The fence number rejects this worker's writes once another one has claimed the job."""

    job_id: int
    kind: JobKind
    subject: str
    study_instance_uid: str
    attempts: int
    fence: int
    owner: str
    created_at: datetime
    first_claimed_at: datetime
