"""The results of one set of assessments, written with their deliveries in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.job import Claim
from gateway.domain.outcome import RELEASABLE_AS_SENT, SET_ASIDE, InstanceOutcome, Policy, Release
from gateway.domain.told import ToldKnee
from gateway.errors import RevisionTakenError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import finish
from gateway.store.new_deliveries import check_not_retired, queue_delivery
from gateway.store.repeating import repeated
from gateway.store.results import Results
from gateway.store.retractions import is_retracted, lock_study
from gateway.store.tables import InstanceRow, RecalledStudyRow, ReportRow, ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """One SR or SC instance that lies in the spool and has no row yet."""

    result_id: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResultSet:
    """All results of one set of assessments of a study."""

    study_instance_uid: str
    assessment_set: str
    results: tuple[NewResult, ...]
    inputs: Mapping[str, Any]
    """What they were made of, as JSON keeps it."""
    patient_digest: str | None
    study_date: date | None
    told: tuple[ToldKnee, ...]
    release: Release
    route: str
    routes: tuple[str, ...]
    """All routes that brought the study's images; `route` is the strictest of them."""
    policy: Policy
    flagged: bool
    revision: int
    predecessor_uid: str | None
    repeats_uid: str | None
    """The SR of another study that this result would only repeat."""
    bundle_hash: str
    config_hash: str
    destinations: tuple[str, ...]
    closed: tuple[str, ...] = ()
    """Of the route's destinations those that only a live bundle may send to, and this one is not."""


class ResultSets:
    """Sets of results, each kept once."""

    def __init__(self, database: Database) -> None:
        self._database, self._kept = database, Results(database)

    @repeated
    def commit(self, claim: Claim, new: NewResultSet) -> Release | None:
        """One transaction: results, deliveries with their jobs, and the end of the report job. None: these results exist already.

        Returns the release: of a study that was recalled nothing goes out. RevisionTakenError: another worker has made this revision
        since it was looked up, or an image or the predecessor of it was taken back; BundleRetiredError: the bundle was. Nothing was kept.
        """
        try:
            with self._database.transaction() as session:
                lock_study(session, new.study_instance_uid)
                check_not_retired(session, new.bundle_hash)
                if new.release in RELEASABLE_AS_SENT and session.get(RecalledStudyRow, new.study_instance_uid) is not None:
                    new = replace(new, release=Release.WITHHELD_RECALLED)
                finish(session, claim, code=new.release.value, actor=claim.owner)
                _check_standing(session, new)
                if new.repeats_uid is not None and is_retracted(session, new.repeats_uid):
                    raise RevisionTakenError
                _add(session, claim, new)
                _send_or_withhold(session, claim, new)
                _record_closed(session, claim, new)
        except IntegrityError as error:
            if self._kept.standing(new.assessment_set) is not None:
                return None
            if self._kept.last_revision(new.study_instance_uid) >= new.revision:
                raise RevisionTakenError from error
            raise
        return new.release


def _check_standing(session: Session, new: NewResultSet) -> None:
    """No report is kept of an image that was rejected or contested while it was built, and none that names a predecessor which was
    taken back meanwhile; it is built anew without it."""
    ids = [image["instance_id"] for image in new.inputs.get("images", ())]
    gone = select(InstanceRow.outcome).where(InstanceRow.id.in_(ids)).order_by(InstanceRow.id).with_for_update(read=True)
    if any(outcome in (*SET_ASIDE, InstanceOutcome.CONFLICT) for outcome in session.scalars(gone)):
        raise RevisionTakenError
    predecessor = select(ResultRow.retracted_at).where(ResultRow.sop_instance_uid == new.predecessor_uid)
    if new.predecessor_uid is not None and session.scalar(predecessor) is not None:
        raise RevisionTakenError


def _add(session: Session, claim: Claim, new: NewResultSet) -> None:
    now = datetime.now(UTC)
    session.add(_report_row(new, now))
    session.add_all(_result_row(new, result, now) for result in new.results)
    session.flush()
    for result in new.results:
        record(
            session,
            Event.RESULT_BUILT,
            actor=claim.owner,
            study_instance_uid=new.study_instance_uid,
            result_id=result.result_id,
            sop_instance_uid=result.sop_instance_uid,
            release=new.release.value,
            predecessor_uid=new.predecessor_uid,
        )


def _send_or_withhold(session: Session, claim: Claim, new: NewResultSet) -> None:
    if new.release is Release.SENT:
        for result in new.results:
            for destination in new.destinations:
                queue_delivery(session, result.result_id, new.study_instance_uid, destination, actor=claim.owner)
        return
    record(
        session,
        Event.RESULT_WITHHELD,
        actor=claim.owner,
        study_instance_uid=new.study_instance_uid,
        release=new.release.value,
        repeats_uid=new.repeats_uid,
    )


def _record_closed(session: Session, claim: Claim, new: NewResultSet) -> None:
    """Whatever the release: these destinations do not get the report by an operator's release either."""
    for destination in new.closed:
        record(
            session,
            Event.RESULT_WITHHELD,
            actor=claim.owner,
            study_instance_uid=new.study_instance_uid,
            sop_instance_uid=next(result.sop_instance_uid for result in new.results if result.kind == "sr"),
            release=Release.WITHHELD_NOT_LIVE.value,
            destination=destination,
        )


def _report_row(new: NewResultSet, now: datetime) -> ReportRow:
    return ReportRow(
        assessment_set=new.assessment_set,
        study_instance_uid=new.study_instance_uid,
        patient_digest=new.patient_digest,
        study_date=f"{new.study_date:%Y%m%d}" if new.study_date else "",
        policy=new.policy,
        routes=list(new.routes),
        told={"knees": [{"side": knee.side, "decision": knee.decision, "image": knee.image} for knee in new.told]},
        inputs=dict(new.inputs),
        created_at=now,
    )


def _result_row(new: NewResultSet, result: NewResult, now: datetime) -> ResultRow:
    return ResultRow(
        id=result.result_id,
        study_instance_uid=new.study_instance_uid,
        assessment_set=new.assessment_set,
        kind=result.kind,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        series_instance_uid=result.series_instance_uid,
        file=result.file,
        sha256=result.sha256,
        release=new.release,
        route=new.route,
        flagged=new.flagged,
        revision=new.revision,
        predecessor_uid=new.predecessor_uid,
        repeats_uid=new.repeats_uid,
        bundle_hash=new.bundle_hash,
        config_hash=new.config_hash,
        created_at=now,
    )
