"""Jobs: their kinds, their states, and which transition leads where."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeVar


class JobKind(StrEnum):
    ANALYZE_INSTANCE = "analyze_instance"
    APPLY_CORRECTION = "apply_correction"
    """What a Key Object Selection asks for; of its instance."""
    REPORT_STUDY = "report_study"
    REJECT_REPORT = "reject_report"
    """A report was taken back: makes the note that says so, for the destinations that have it."""
    DELIVER_RESULT = "deliver_result"
    CONFIRM_DELIVERY = "confirm_delivery"
    """Is the result that was sent still there? By storage commitment or by C-FIND."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRY = "retry"
    DONE = "done"
    DEAD = "dead"
    HELD = "held"
    CANCELLED = "cancelled"


class JobAction(StrEnum):
    CLAIM = "claim"
    FINISH = "finish"
    FAIL = "fail"
    POSTPONE = "postpone"
    GIVE_BACK = "give_back"
    GIVE_UP = "give_up"
    EXPIRE = "expire"
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    CANCEL = "cancel"


TRANSITIONS: Final[dict[tuple[JobState, JobAction], JobState]] = {
    (JobState.QUEUED, JobAction.CLAIM): JobState.RUNNING,
    (JobState.RETRY, JobAction.CLAIM): JobState.RUNNING,
    (JobState.RUNNING, JobAction.FINISH): JobState.DONE,
    (JobState.RUNNING, JobAction.FAIL): JobState.RETRY,
    (JobState.RUNNING, JobAction.POSTPONE): JobState.QUEUED,
    (JobState.RUNNING, JobAction.GIVE_BACK): JobState.QUEUED,
    (JobState.RUNNING, JobAction.GIVE_UP): JobState.DEAD,
    (JobState.RUNNING, JobAction.EXPIRE): JobState.QUEUED,
    (JobState.RUNNING, JobAction.HOLD): JobState.HELD,
    (JobState.QUEUED, JobAction.HOLD): JobState.HELD,
    (JobState.RETRY, JobAction.HOLD): JobState.HELD,
    (JobState.HELD, JobAction.RELEASE): JobState.QUEUED,
    (JobState.DEAD, JobAction.RELEASE): JobState.QUEUED,
    (JobState.RETRY, JobAction.RETRY): JobState.QUEUED,
    (JobState.DEAD, JobAction.RETRY): JobState.QUEUED,
    (JobState.QUEUED, JobAction.CANCEL): JobState.CANCELLED,
    (JobState.RETRY, JobAction.CANCEL): JobState.CANCELLED,
    (JobState.HELD, JobAction.CANCEL): JobState.CANCELLED,
    (JobState.DEAD, JobAction.CANCEL): JobState.CANCELLED,
}
"""POSTPONE: not due yet. GIVE_BACK: claimed and not begun. EXPIRE: the lease ran out. None of the three counts as an attempt.
RELEASE, RETRY and CANCEL are an operator's acts; HOLD is one, or the worker's when only a person can help."""

OPERATOR_ACTIONS: Final = (JobAction.RETRY, JobAction.RELEASE, JobAction.HOLD, JobAction.CANCEL)
CLAIMABLE: Final = (JobState.QUEUED, JobState.RETRY)
OPEN: Final = (JobState.QUEUED, JobState.RETRY, JobState.RUNNING)


def after(state: JobState, action: JobAction) -> JobState:
    """The state that follows. ValueError for a transition that does not exist."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise ValueError(f"a {state} job knows no {action}") from None


OF_INSTANCES: Final = (JobKind.ANALYZE_INSTANCE, JobKind.APPLY_CORRECTION)
"""The first job of whatever is received is one of these; its subject is our id of the instance."""
SENDERS_KINDS: Final = (JobKind.DELIVER_RESULT, JobKind.CONFIRM_DELIVERY)
"""In the order in which a lane of the sender takes them."""


def operator_actions(kind: JobKind, state: JobState) -> tuple[JobAction, ...]:
    """What an operator may do with such a job. Only the sender's can be cancelled: whatever was received gets an outcome."""
    known = (action for action in OPERATOR_ACTIONS if (state, action) in TRANSITIONS)
    return tuple(action for action in known if action is not JobAction.CANCEL or kind in SENDERS_KINDS)


def after_expiry(lease_expiries: int, max_lease_expiries: int) -> JobAction:
    """What becomes of a running job whose lease ran out. lease_expiries: this one counted in."""
    return JobAction.HOLD if lease_expiries > max_lease_expiries else JobAction.EXPIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job in a worker's hands. The fence number rejects this worker's writes once another one has claimed the job."""

    job_id: int
    kind: JobKind
    subject: str
    study_instance_uid: str
    attempts: int
    lease_expiries: int
    fence: int
    owner: str
    created_at: datetime
    first_claimed_at: datetime
    lease_ends: float = math.inf
    """On time.monotonic(), whatever the heartbeat has added since: it goes on while the process is stopped."""

    @property
    def is_suspect(self) -> bool:
        return is_suspect(self)


class Tried(Protocol):
    """What is known of a job's past."""

    @property
    def kind(self) -> str: ...

    @property
    def attempts(self) -> int: ...

    @property
    def lease_expiries(self) -> int: ...


def is_suspect(job: Tried) -> bool:
    """An analysis that failed before, or whose process vanished more than once: perhaps through it. Others do not share its fate."""
    return job.kind == JobKind.ANALYZE_INSTANCE and (job.attempts > 0 or job.lease_expiries > 1)


Job = TypeVar("Job", bound=Tried)


def together(due: Sequence[Job], limit: int) -> Sequence[Job]:
    """Those of the due jobs, in their order, that one worker takes at once: a suspect comes alone."""
    if due and is_suspect(due[0]):
        return due[:1]
    return [*itertools.takewhile(lambda job: not is_suspect(job), due)][:limit]
