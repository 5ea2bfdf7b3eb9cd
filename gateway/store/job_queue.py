"""The queue: claim with lease and fence, finish, fail, expire. The only SQL that moves jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.job import CLAIMABLE, OPEN, Claim, JobAction, JobKind, JobState, after
from gateway.errors import JobActionError, JobNotFoundError, LeaseLostError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import JobRow


def enqueue(session: Session, kind: JobKind, subject: str, study_instance_uid: str, *, actor: str, next_at: datetime | None = None) -> None:
    """Adds a job in the caller's transaction; one that is waiting already is pulled forward instead."""
    now = datetime.now(UTC)
    waiting = session.scalar(
        select(JobRow).where(JobRow.kind == kind, JobRow.subject == subject, JobRow.state.in_(CLAIMABLE)).with_for_update()
    )
    if waiting is not None:
        waiting.next_at = min(waiting.next_at, next_at or now)
        return
    row = JobRow(
        kind=kind, subject=subject, study_instance_uid=study_instance_uid, state=JobState.QUEUED, created_at=now, next_at=next_at or now
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # another worker has just queued the same job; the index on waiting jobs keeps them one
        return
    record(session, Event.JOB_QUEUED, actor=actor, study_instance_uid=study_instance_uid, job_id=row.id, job_kind=kind)


def held(session: Session, claim: Claim) -> JobRow:
    """The claim's row, locked. LeaseLostError when another worker has claimed the job since (its fence is higher)."""
    row = session.scalar(select(JobRow).where(JobRow.id == claim.job_id).with_for_update())
    if row is None or row.fence != claim.fence or row.state != JobState.RUNNING:
        raise LeaseLostError(str(claim.job_id))
    return row


def finish(session: Session, claim: Claim, *, code: str, actor: str) -> None:
    """Ends a job in the caller's transaction, beside what the job made."""
    row = held(session, claim)
    _move(row, JobAction.FINISH)
    row.finished_at, row.last_code = datetime.now(UTC), code
    _record(session, Event.JOB_DONE, row, actor=actor, code=code)


def open_jobs(session: Session, kind: JobKind, study_instance_uid: str) -> int:
    rows = session.scalars(
        select(JobRow.id).where(JobRow.kind == kind, JobRow.study_instance_uid == study_instance_uid, JobRow.state.in_(OPEN))
    )
    return len(rows.all())


class JobQueue:
    """What workers and operators do with jobs, each call one transaction."""

    def __init__(self, database: Database, *, lease_seconds: float, max_lease_expiries: int) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._max_lease_expiries = max_lease_expiries

    def claim(self, kinds: Sequence[JobKind], owner: str, *, limit: int = 1) -> tuple[Claim, ...]:
        """Takes up to `limit` due jobs, oldest first. Other workers skip rows that are being taken."""
        now = datetime.now(UTC)
        with self._database.reading() as session:
            if session.scalar(_due(kinds, now).limit(1)) is None:
                return ()
        with self._database.transaction() as session:
            rows = session.scalars(_due(kinds, now).limit(limit).with_for_update(skip_locked=True)).all()
            return tuple(self._claim_row(session, row, owner, now) for row in rows)

    def _claim_row(self, session: Session, row: JobRow, owner: str, now: datetime) -> Claim:
        _move(row, JobAction.CLAIM)
        row.fence += 1
        row.lease_owner, row.lease_until = owner, now + self._lease
        row.first_claimed_at = row.first_claimed_at or now
        _record(session, Event.JOB_CLAIMED, row, actor=owner)
        return Claim(
            job_id=row.id,
            kind=JobKind(row.kind),
            subject=row.subject,
            study_instance_uid=row.study_instance_uid,
            attempts=row.attempts,
            fence=row.fence,
            owner=owner,
            created_at=row.created_at,
            first_claimed_at=row.first_claimed_at,
        )

    def finish(self, claim: Claim, *, code: str = "done") -> None:
        with self._database.transaction() as session:
            finish(session, claim, code=code, actor=claim.owner)

    def postpone(self, claim: Claim, *, seconds: float) -> None:
        """Not due yet: back to the queue without counting as an attempt."""
        with self._database.transaction() as session:
            row = held(session, claim)
            if _waiting_twin(session, row):
                _move(row, JobAction.FINISH)
                row.finished_at, row.last_code = datetime.now(UTC), "superseded"
                _record(session, Event.JOB_DONE, row, actor=claim.owner, code="superseded")
                return
            _move(row, JobAction.POSTPONE)
            row.next_at = datetime.now(UTC) + timedelta(seconds=seconds)
            _record(session, Event.JOB_POSTPONED, row, actor=claim.owner)

    def fail(self, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None:
        """An attempt failed: tried again after a while, or dead when no delay is given."""
        with self._database.transaction() as session:
            fail(session, claim, code=code, retry_in_seconds=retry_in_seconds)

    def expire_leases(self, *, owner: str | None = None) -> int:
        """Takes back jobs whose lease ran out, or all of a process that is known to be gone. Returns how many."""
        now = datetime.now(UTC)
        gone = JobRow.lease_owner == owner if owner else JobRow.lease_until < now
        with self._database.reading() as session:
            if session.scalar(select(JobRow.id).where(JobRow.state == JobState.RUNNING, gone).limit(1)) is None:
                return 0
        with self._database.transaction() as session:
            rows = session.scalars(select(JobRow).where(JobRow.state == JobState.RUNNING, gone).with_for_update(skip_locked=True)).all()
            for row in rows:
                self._expire(session, row, now)
            return len(rows)

    def _expire(self, session: Session, row: JobRow, now: datetime) -> None:
        row.lease_expiries += 1
        row.fence += 1
        actor = row.lease_owner or "timer"
        row.lease_owner = row.lease_until = None
        if row.lease_expiries > self._max_lease_expiries:
            _move(row, JobAction.HOLD)
            _record(session, Event.JOB_HELD, row, actor=actor, code="lease_expiries")
        elif _waiting_twin(session, row):
            _move(row, JobAction.FINISH)
            row.finished_at, row.last_code = now, "superseded"
            _record(session, Event.JOB_DONE, row, actor=actor, code="superseded")
        else:
            _move(row, JobAction.EXPIRE)
            row.next_at = now
            _record(session, Event.JOB_LEASE_EXPIRED, row, actor=actor)

    def renew(self, owner: str) -> int:
        """Extends the leases of a process that is alive. Returns how many it holds."""
        with self._database.reading() as session:
            if session.scalar(select(JobRow.id).where(JobRow.state == JobState.RUNNING, JobRow.lease_owner == owner).limit(1)) is None:
                return 0
        with self._database.transaction() as session:
            mine = select(JobRow).where(JobRow.state == JobState.RUNNING, JobRow.lease_owner == owner).with_for_update()
            rows = session.scalars(mine).all()
            for row in rows:
                row.lease_until = datetime.now(UTC) + self._lease
            return len(rows)

    def hold(self, job_id: int, *, actor: str) -> None:
        self._operate(job_id, JobAction.HOLD, Event.JOB_HELD, actor)

    def release(self, job_id: int, *, actor: str) -> None:
        """A held or dead job goes back to the queue."""
        self._operate(job_id, JobAction.RELEASE, Event.JOB_RELEASED, actor)

    def _operate(self, job_id: int, action: JobAction, event: Event, actor: str) -> None:
        with self._database.transaction() as session:
            row = session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())
            if row is None:
                raise JobNotFoundError(str(job_id))
            try:
                _move(row, action)
            except ValueError as error:
                raise JobActionError(str(error)) from error
            row.fence += 1
            row.next_at, row.finished_at = datetime.now(UTC), None
            _record(session, event, row, actor=actor)


def fail(session: Session, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None:
    """Counts a failed attempt in the caller's transaction."""
    row = held(session, claim)
    row.attempts += 1
    row.last_code = code
    if retry_in_seconds is None:
        _move(row, JobAction.GIVE_UP)
        row.finished_at = datetime.now(UTC)
        _record(session, Event.JOB_DEAD, row, actor=claim.owner, code=code, attempts=row.attempts)
    elif _waiting_twin(session, row):
        _move(row, JobAction.FINISH)
        row.finished_at, row.last_code = datetime.now(UTC), "superseded"
        _record(session, Event.JOB_DONE, row, actor=claim.owner, code="superseded")
    else:
        _move(row, JobAction.FAIL)
        row.next_at = datetime.now(UTC) + timedelta(seconds=retry_in_seconds)
        _record(session, Event.JOB_RETRY, row, actor=claim.owner, code=code, attempts=row.attempts)


def _due(kinds: Sequence[JobKind], now: datetime):  # type: ignore[no-untyped-def]  # noqa: ANN202  Select's parameters are private
    return (
        select(JobRow)
        .where(JobRow.kind.in_(kinds), or_(JobRow.state == JobState.QUEUED, JobRow.state == JobState.RETRY), JobRow.next_at <= now)
        .order_by(JobRow.next_at, JobRow.id)
    )


def _waiting_twin(session: Session, row: JobRow) -> bool:
    """While a job runs, the same one may have been queued anew; two waiting ones cannot be."""
    twin = select(JobRow.id).where(JobRow.kind == row.kind, JobRow.subject == row.subject, JobRow.state.in_(CLAIMABLE), JobRow.id != row.id)
    return session.scalar(twin) is not None


def _move(row: JobRow, action: JobAction) -> None:
    row.state = after(JobState(row.state), action)


def _record(session: Session, event: Event, row: JobRow, *, actor: str, code: str | None = None, attempts: int | None = None) -> None:
    record(
        session,
        event,
        actor=actor,
        study_instance_uid=row.study_instance_uid,
        instance_id=row.subject if row.kind == JobKind.ANALYZE_INSTANCE else None,
        job_id=row.id,
        job_kind=row.kind,
        code=code,
        attempts=attempts,
    )
