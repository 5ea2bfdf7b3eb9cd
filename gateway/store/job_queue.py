"""The queue: claim with lease and fence, renew, finish, fail, expire. The SQL that moves jobs, beside `job_acts`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.job import OPEN, Claim, JobAction, JobKind, JobState, after_expiry, together
from gateway.errors import LeaseLostError
from gateway.events import Event
from gateway.store.database import Database
from gateway.store.job_rows import IS_RUNNING, IS_WAITING, LEASE_EXPIRIES, move, record_job, wait_again, waiting_twin
from gateway.store.repeating import repeated
from gateway.store.tables import JobRow

Row = TypeVar("Row")


def enqueue(
    session: Session,
    kind: JobKind,
    subject: str,
    study_instance_uid: str,
    *,
    actor: str,
    next_at: datetime | None = None,
    lane: str | None = None,
) -> None:
    """Adds a job in the caller's transaction; one that is waiting already is pulled forward instead."""
    now = datetime.now(UTC)
    waiting = session.scalar(select(JobRow).where(JobRow.kind == kind, JobRow.subject == subject, IS_WAITING).with_for_update())
    if waiting is not None:
        waiting.next_at = min(waiting.next_at, next_at or now)
        return
    row = JobRow(
        kind=kind,
        subject=subject,
        study_instance_uid=study_instance_uid,
        lane=lane,
        state=JobState.QUEUED,
        created_at=now,
        next_at=next_at or now,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # another worker has just queued the same job; the index on waiting jobs keeps them one
        return
    record_job(session, Event.JOB_QUEUED, row, actor=actor)


def resume(session: Session, kind: JobKind, subject: str, study_instance_uid: str, *, code: str, actor: str) -> None:
    """A person has decided: the job that was set aside with this code goes on, or a new one if there is none or one waits already."""
    aside = select(JobRow).where(JobRow.kind == kind, JobRow.subject == subject, JobRow.state == JobState.HELD, JobRow.last_code == code)
    row = session.scalar(aside.order_by(JobRow.id.desc()).limit(1).with_for_update())
    if row is None or waiting_twin(session, row):
        enqueue(session, kind, subject, study_instance_uid, actor=actor)
        return
    move(row, JobAction.RELEASE)
    row.attempts, row.next_at = 0, datetime.now(UTC)
    record_job(session, Event.JOB_RELEASED, row, actor=actor)


def pull_forward(session: Session, kind: JobKind, subject: str) -> None:
    """One that waits is due now; where none does, nothing happens."""
    waiting = session.scalar(select(JobRow).where(JobRow.kind == kind, JobRow.subject == subject, IS_WAITING).with_for_update())
    if waiting is not None:
        waiting.next_at = min(waiting.next_at, datetime.now(UTC))


def held(session: Session, claim: Claim) -> JobRow:
    """The claim's row, locked. LeaseLostError when another worker has claimed the job since (its fence is higher)."""
    row = session.scalar(select(JobRow).where(JobRow.id == claim.job_id).with_for_update())
    if row is None or row.fence != claim.fence or row.state != JobState.RUNNING:
        raise LeaseLostError(str(claim.job_id))
    return row


def finish(session: Session, claim: Claim, *, code: str, actor: str) -> None:
    """Ends a job in the caller's transaction, beside what the job made."""
    row = held(session, claim)
    move(row, JobAction.FINISH)
    row.finished_at, row.last_code = datetime.now(UTC), code
    record_job(session, Event.JOB_DONE, row, actor=actor, code=code)


def fail(session: Session, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None:
    """Counts a failed attempt in the caller's transaction."""
    row, now = held(session, claim), datetime.now(UTC)
    row.attempts += 1
    row.last_code = code
    if retry_in_seconds is None:
        move(row, JobAction.GIVE_UP)
        row.finished_at = now
        record_job(session, Event.JOB_DEAD, row, actor=claim.owner, code=code, attempts=row.attempts)
    elif wait_again(session, row, JobAction.FAIL, actor=claim.owner, next_at=now + timedelta(seconds=retry_in_seconds), now=now):
        record_job(session, Event.JOB_RETRY, row, actor=claim.owner, code=code, attempts=row.attempts)


def put_back(session: Session, claim: Claim, action: JobAction, event: Event, *, seconds: float, code: str | None = None) -> None:
    """Waits again in the caller's transaction, without counting as an attempt."""
    row, now = held(session, claim), datetime.now(UTC)
    row.last_code = code or row.last_code
    if wait_again(session, row, action, actor=claim.owner, next_at=now + timedelta(seconds=seconds), now=now):
        record_job(session, event, row, actor=claim.owner, code=code)


def open_jobs(session: Session, kind: JobKind, study_instance_uid: str) -> int:
    rows = session.scalars(
        select(JobRow.id).where(JobRow.kind == kind, JobRow.study_instance_uid == study_instance_uid, JobRow.state.in_(OPEN))
    )
    return len(rows.all())


class JobQueue:
    """What workers do with jobs, each call one transaction."""

    def __init__(self, database: Database, *, lease_seconds: float, max_lease_expiries: int) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._max_lease_expiries = max_lease_expiries

    @repeated
    def claim(self, kinds: Sequence[JobKind], owner: str, *, limit: int = 1, lane: str | None = None) -> tuple[Claim, ...]:
        """Takes up to `limit` due jobs: the first kind's before the second's, of a kind the oldest first. A suspect comes alone.

        Other workers skip rows that are being taken. lane: only jobs of this one, None: of any.
        """
        # before the leases begin: a process that is stopped in between has less of them, never more
        now, ends = datetime.now(UTC), time.monotonic() + self._lease.total_seconds()
        with self._database.reading() as session:
            waiting = [kind for kind in kinds if session.scalar(_due(select(JobRow.id), kind, lane, now).limit(1)) is not None]
        if not waiting:
            return ()
        with self._database.transaction() as session:
            rows = [row for kind in waiting for row in self._due_rows(session, kind, lane, now, limit)]
            return tuple(self._claim_row(session, row, owner, now, ends) for row in together(rows, limit))

    def _due_rows(self, session: Session, kind: JobKind, lane: str | None, now: datetime, limit: int) -> Sequence[JobRow]:
        return session.scalars(_due(select(JobRow), kind, lane, now).limit(limit).with_for_update(skip_locked=True)).all()

    def _claim_row(self, session: Session, row: JobRow, owner: str, now: datetime, ends: float) -> Claim:
        move(row, JobAction.CLAIM)
        row.fence += 1
        row.lease_owner, row.lease_until = owner, now + self._lease
        row.first_claimed_at = row.first_claimed_at or now
        record_job(session, Event.JOB_CLAIMED, row, actor=owner)
        return Claim(
            job_id=row.id,
            kind=JobKind(row.kind),
            subject=row.subject,
            study_instance_uid=row.study_instance_uid,
            attempts=row.attempts,
            lease_expiries=row.lease_expiries,
            fence=row.fence,
            owner=owner,
            created_at=row.created_at,
            first_claimed_at=row.first_claimed_at,
            lease_ends=ends,
        )

    def seconds_until_due(self, kinds: Sequence[JobKind], *, lane: str | None = None) -> float | None:
        """Until the next waiting job of these kinds is due, 0 when one is; None when none waits."""
        with self._database.reading() as session:
            found = [session.scalar(_waiting(select(JobRow.next_at), kind, lane).limit(1)) for kind in kinds]
        now = datetime.now(UTC)
        return min((max(0.0, (at - now).total_seconds()) for at in found if at is not None), default=None)

    @repeated
    def hasten(self, kinds: Sequence[JobKind], lane: str, codes: Sequence[str]) -> None:
        """Jobs of a lane that wait for their next attempt after one of these codes are due now: what stood in their way is gone."""
        now = datetime.now(UTC)
        with self._database.transaction() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.kind.in_(kinds), JobRow.lane == lane, IS_WAITING, JobRow.last_code.in_(codes), JobRow.next_at > now)
                .values(next_at=now)
            )

    @repeated
    def finish(self, claim: Claim, *, code: str = "done") -> None:
        with self._database.transaction() as session:
            finish(session, claim, code=code, actor=claim.owner)

    def postpone(self, claim: Claim, *, seconds: float) -> None:
        """Not due yet: back to the queue without counting as an attempt."""
        self._back(claim, JobAction.POSTPONE, Event.JOB_POSTPONED, seconds)

    def give_back(self, claim: Claim) -> None:
        """Claimed and not begun, and this process ends: whoever asks next may have it."""
        self._back(claim, JobAction.GIVE_BACK, Event.JOB_GIVEN_BACK, 0.0)

    @repeated
    def _back(self, claim: Claim, action: JobAction, event: Event, seconds: float) -> None:
        with self._database.transaction() as session:
            put_back(session, claim, action, event, seconds=seconds)

    @repeated
    def fail(self, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None:
        """An attempt failed: tried again after a while, or dead when no delay is given."""
        with self._database.transaction() as session:
            fail(session, claim, code=code, retry_in_seconds=retry_in_seconds)

    @repeated
    def set_aside(self, claim: Claim, *, code: str) -> None:
        """Held: no attempt can help until a person has acted."""
        with self._database.transaction() as session:
            row = held(session, claim)
            row.last_code = code
            move(row, JobAction.HOLD)
            record_job(session, Event.JOB_HELD, row, actor=claim.owner, code=code)

    @repeated
    def renew(self, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        """The heartbeat: extends the leases of jobs in hand. Returns those that are this worker's no longer."""
        if not claims:
            return ()
        wanted = {claim.job_id: claim for claim in claims}
        with self._database.transaction() as session:
            rows = session.scalars(select(JobRow).where(JobRow.id.in_(wanted), IS_RUNNING).order_by(JobRow.id).with_for_update())
            kept = [row for row in rows if row.fence == wanted[row.id].fence]
            for row in kept:
                row.lease_until = datetime.now(UTC) + self._lease
            return tuple(wanted[job_id] for job_id in wanted.keys() - {row.id for row in kept})

    @repeated
    def expire_leases(self, *, owner: str | None = None) -> int:
        """Takes back jobs whose lease ran out, or all of a process that is known to be gone. Returns how many.

        Neither a lease nor a job's turn may last longer because the clock was set back meanwhile.
        """
        now = datetime.now(UTC)
        gone = JobRow.lease_owner == owner if owner else JobRow.lease_until < now
        # longer than any lease is given for: the clock was set back since, and nobody may hold a job by that
        strange = JobRow.lease_until > now + 2 * self._lease
        with self._database.reading() as session:
            # one question for each of the two indexes
            held = session.scalar(select(JobRow.id).where(IS_RUNNING, gone | strange).limit(1))
            ahead = session.scalar(select(JobRow.id).where(_of_the_future(now, self._lease)).limit(1))
            if held is None and ahead is None:
                return 0
        with self._database.transaction() as session:
            for row in session.scalars(select(JobRow).where(IS_RUNNING, strange, ~gone).with_for_update(skip_locked=True)):
                row.lease_until = now + self._lease
            for row in session.scalars(select(JobRow).where(_of_the_future(now, self._lease)).with_for_update(skip_locked=True)):
                row.next_at = now
            rows = session.scalars(select(JobRow).where(IS_RUNNING, gone).with_for_update(skip_locked=True)).all()
            for row in rows:
                self._expire(session, row, now)
            return len(rows)

    def _expire(self, session: Session, row: JobRow, now: datetime) -> None:
        actor = row.lease_owner or "timer"
        row.lease_expiries += 1
        row.fence += 1
        action = after_expiry(row.lease_expiries, self._max_lease_expiries)
        if action is JobAction.HOLD:
            row.last_code = LEASE_EXPIRIES
            move(row, action)
            record_job(session, Event.JOB_HELD, row, actor=actor, code=LEASE_EXPIRIES)
        elif wait_again(session, row, action, actor=actor, next_at=now, now=now):
            record_job(session, Event.JOB_LEASE_EXPIRED, row, actor=actor)


def _of_the_future(now: datetime, lease: timedelta) -> ColumnElement[bool]:
    """Queued before the clock was set back, and not due by it for as long as that was. One that was ever claimed has its pause instead."""
    by_index = IS_WAITING & JobRow.kind.in_(list(JobKind)) & (JobRow.next_at > now)
    return by_index & JobRow.first_claimed_at.is_(None) & (JobRow.created_at > now + 2 * lease)


def _due(wanted: Select[Row], kind: JobKind, lane: str | None, now: datetime) -> Select[Row]:
    return _waiting(wanted, kind, lane).where(JobRow.next_at <= now)


def _waiting(wanted: Select[Row], kind: JobKind, lane: str | None) -> Select[Row]:
    """Oldest first, in the order of the indexes over waiting jobs."""
    of_lane = wanted if lane is None else wanted.where(JobRow.lane == lane)
    return of_lane.where(JobRow.kind == kind, IS_WAITING).order_by(JobRow.next_at, JobRow.id)
