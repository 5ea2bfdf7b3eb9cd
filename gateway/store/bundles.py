"""Bundles and who made them live: each act is one transaction with its row and its audit event."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.bundle_evidence import BundleEvidence
from gateway.domain.bundle_state import PROMOTABLE, RETIRABLE, BundleAction, BundleStanding, BundleState
from gateway.domain.operator import Operator
from gateway.errors import BundleActionError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.repeating import repeated
from gateway.store.tables import AssessmentRow, BundleActRow, BundleVersionRow

_EVENTS: Final = {
    BundleAction.PROMOTE: Event.BUNDLE_PROMOTED,
    BundleAction.ROLL_BACK: Event.BUNDLE_ROLLED_BACK,
    BundleAction.RETIRE: Event.BUNDLE_RETIRED,
}

_FEWEST_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStory:
    """A bundle that a gateway has opened, and the last act that concerned it."""

    bundle_hash: str
    name: str
    version: str
    intended_use: str
    state: str
    first_used_at: datetime
    live_since: datetime | None
    live_until: datetime | None
    last_action: str | None
    last_by: str | None
    last_second: str | None
    last_reason: str | None
    evidence_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A validation report's figures and the SHA-256 of its file."""

    figures: BundleEvidence
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    action: BundleAction
    bundle_hash: str
    former_hash: str | None
    operator: Operator
    second: Operator | None
    at: datetime
    evidence: Evidence | None = None


class Bundles:
    """Raises BundleActionError for what cannot be done with a bundle as it stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[BundleStory, ...]:
        """By first use."""
        with self._database.reading() as session:
            rows = session.scalars(select(BundleVersionRow).order_by(BundleVersionRow.first_used_at, BundleVersionRow.bundle_hash)).all()
            return tuple(_story(session, row) for row in rows)

    def named(self, prefix: str) -> BundleStory:
        """The only bundle whose hash begins so."""
        found = [story for story in self.all() if story.bundle_hash.startswith(prefix.lower())]
        if len(found) != 1 or len(prefix) < _FEWEST_DIGITS:
            raise BundleActionError(f"{len(found)} bundles have a hash that begins so; at least {_FEWEST_DIGITS} digits are needed")
        return found[0]

    def live_hash(self) -> str | None:
        with self._database.reading() as session:
            return session.scalar(select(BundleVersionRow.bundle_hash).where(BundleVersionRow.state == BundleState.LIVE))

    @repeated
    def promote(self, bundle_hash: str, operator: Operator, second: Operator, evidence: Evidence) -> None:
        """It is live from now on; the one that was becomes former. Who may, and on what evidence, was decided before."""
        with self._database.transaction() as session:
            rows = _locked(session)
            row, now = _of(rows, bundle_hash), datetime.now(UTC)
            if BundleState(row.state) not in PROMOTABLE:
                raise BundleActionError(f"it is {row.state}")
            former = _live(rows)
            if former is not None:
                former.state, former.live_until = BundleState.FORMER, now
                session.flush()
            # what it said in shadow stays there; a former one was trusted all the time
            row.live_since = now if row.state == BundleState.SHADOW else row.live_since
            row.state, row.live_until = BundleState.LIVE, None
            former_hash = None if former is None else former.bundle_hash
            _tell(session, _Done(action=BundleAction.PROMOTE, bundle_hash=bundle_hash, former_hash=former_hash, operator=operator,
                                 second=second, at=now, evidence=evidence))  # fmt: skip

    @repeated
    def roll_back(self, operator: Operator, second: Operator | None) -> tuple[str, str]:
        """Undoes the last promotion: hashes of the bundle that is live again and of the one that is in shadow from now on."""
        with self._database.transaction() as session:
            rows = _locked(session)
            row, now = _live(rows), datetime.now(UTC)
            if row is None:
                raise BundleActionError("no bundle is live, so there is none to go back from; `model promote` makes one live")
            promoted = session.scalar(
                select(BundleActRow)
                .where(BundleActRow.bundle_hash == row.bundle_hash, BundleActRow.action == BundleAction.PROMOTE)
                .order_by(BundleActRow.id.desc())
                .limit(1)
            )
            before = None if promoted is None or promoted.former_hash is None else _of(rows, promoted.former_hash)
            if before is None or before.state != BundleState.FORMER:
                raise BundleActionError("there is no bundle to go back to; `model retire` takes this one out")
            row.state, row.live_since, row.live_until = BundleState.SHADOW, None, None
            session.flush()
            before.state, before.live_until = BundleState.LIVE, None
            _tell(session, _Done(action=BundleAction.ROLL_BACK, bundle_hash=before.bundle_hash, former_hash=row.bundle_hash,
                                 operator=operator, second=second, at=now))  # fmt: skip
            return before.bundle_hash, row.bundle_hash

    @repeated
    def retire(self, bundle_hash: str, operator: Operator) -> None:
        """Out of use for good. Where it was live none is: everything is computed in shadow until another one is promoted."""
        with self._database.transaction() as session:
            rows = _locked(session)
            row, now = _of(rows, bundle_hash), datetime.now(UTC)
            if BundleState(row.state) not in RETIRABLE:
                raise BundleActionError(f"it is {row.state}")
            live = _live(rows)
            row.state, row.live_since, row.live_until = BundleState.RETIRED, None, None
            former_hash = None if live is None else live.bundle_hash
            _tell(session, _Done(action=BundleAction.RETIRE, bundle_hash=bundle_hash, former_hash=former_hash, operator=operator,
                                 second=None, at=now))  # fmt: skip

    def standing(self, bundle_hash: str, *, instance_ids: Sequence[str]) -> BundleStanding:
        """Of a bundle, and when these instances went through it, under whatever settings: a change of them ends no shadow."""
        with self._database.reading() as session:
            row = session.get(BundleVersionRow, bundle_hash)
            live = session.scalar(select(BundleVersionRow.bundle_hash).where(BundleVersionRow.state == BundleState.LIVE))
            times = session.execute(
                select(func.min(AssessmentRow.created_at), func.max(AssessmentRow.started_at)).where(
                    AssessmentRow.instance_id.in_(instance_ids), AssessmentRow.bundle_hash == bundle_hash
                )
            ).one()
            return BundleStanding(
                state=BundleState.SHADOW if row is None else BundleState(row.state),
                live_since=None if row is None else row.live_since,
                live_until=None if row is None else row.live_until,
                live_hash=live,
                first_ended=times[0],
                last_begun=times[1],
            )


def _locked(session: Session) -> Sequence[BundleVersionRow]:
    """All of them, in one order, so that two acts follow each other."""
    return session.scalars(select(BundleVersionRow).order_by(BundleVersionRow.bundle_hash).with_for_update()).all()


def _of(rows: Sequence[BundleVersionRow], bundle_hash: str) -> BundleVersionRow:
    found = next((row for row in rows if row.bundle_hash == bundle_hash), None)
    if found is None:
        raise BundleActionError("no gateway has opened it")
    return found


def _live(rows: Sequence[BundleVersionRow]) -> BundleVersionRow | None:
    return next((row for row in rows if row.state == BundleState.LIVE), None)


def _tell(session: Session, done: _Done) -> None:
    second = None if done.second is None else done.second.actor
    sha256 = None if done.evidence is None else done.evidence.sha256
    session.add(
        BundleActRow(
            action=done.action,
            bundle_hash=done.bundle_hash,
            former_hash=done.former_hash,
            at=done.at,
            by=done.operator.actor,
            second=second,
            reason=done.operator.reason,
            evidence_sha256=sha256,
            evidence=None if done.evidence is None else dataclasses.asdict(done.evidence.figures),
        )
    )
    record(
        session,
        _EVENTS[done.action],
        actor=done.operator.actor,
        bundle_hash=done.bundle_hash,
        former_bundle_hash=done.former_hash,
        second=second,
        reason=done.operator.reason,
        evidence_sha256=sha256,
    )


def _story(session: Session, row: BundleVersionRow) -> BundleStory:
    concerned = (BundleActRow.bundle_hash == row.bundle_hash) | (BundleActRow.former_hash == row.bundle_hash)
    act = session.scalar(select(BundleActRow).where(concerned).order_by(BundleActRow.id.desc()).limit(1))
    promoted = session.scalar(
        select(BundleActRow.evidence_sha256)
        .where(BundleActRow.bundle_hash == row.bundle_hash, BundleActRow.action == BundleAction.PROMOTE)
        .order_by(BundleActRow.id.desc())
        .limit(1)
    )
    return BundleStory(
        bundle_hash=row.bundle_hash,
        name=row.name,
        version=row.version,
        intended_use=row.intended_use,
        state=row.state,
        first_used_at=row.first_used_at,
        live_since=row.live_since,
        live_until=row.live_until,
        last_action=None if act is None else act.action,
        last_by=None if act is None else act.by,
        last_second=None if act is None else act.second,
        last_reason=None if act is None else act.reason,
        evidence_sha256=promoted,
    )
