"""The intake ledger: associations, and one receipt for every C-STORE that was answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.dicom.uids import is_legal
from gateway.domain.identifiers import new_id
from gateway.domain.job import JobKind, JobState
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.errors import SourcePurgedError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit
from gateway.store.job_queue import enqueue, resume
from gateway.store.new_instance import ReceivedInstance, Seen, insert_instance, insert_receipt, look_up
from gateway.store.spool import Spool
from gateway.store.steps import OnStep, Step, nothing
from gateway.store.tables import AssessmentRow, AssociationRow, InstanceRow, JobRow, ReceiptRow

_GONE: Final = (InstanceState.LOST, InstanceState.CORRUPT)
"""The row stands, the bytes do not: the same instance is welcome again."""


class Acceptance(StrEnum):
    """What a received instance was; all of them are answered with success."""

    STORED = "stored"
    RECEIVED_AGAIN = "received_again"
    OWN_RESULT = "own_result"


class Adoption(StrEnum):
    """What became of a file without a row."""

    ADOPTED = "adopted"
    NOT_NEEDED = "not_needed"
    """The instance is here already: the file may go."""
    CLAIMED = "claimed"
    """Its row came while we looked: the file is that row's."""
    FOREIGN = "foreign"
    """Another instance has its name, or it cannot be read: the file is left for a person to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedBy:
    """What let a sender in: the name of its `[[peers]]` table, and its TLS. None where there was none."""

    peer: str | None = None
    tls_version: str | None = None
    certificate_sha256: str | None = None


def digest_of(dataset: memoryview) -> str:
    return hashlib.sha256(dataset).hexdigest()


class Receipts:
    """Writes the receiver's side of the store; each call is durable when it returns. Calls of several threads share a commit."""

    def __init__(self, database: Database, actor: str, spool: Spool, *, on_step: OnStep = nothing) -> None:
        """on_step: called by the thread of a new instance once its rows are durable; for tests that stop the world there."""
        self._database = database
        self._group = GroupCommit(database)
        self._on_step = on_step
        self._actor = actor
        self._spool = spool

    def open_association(
        self, *, calling_ae_title: str, called_ae_title: str, peer_address: str, way: str, admitted_by: AdmittedBy | None = None
    ) -> str:
        """A new association's id."""
        association_id, opened_at = new_id(), datetime.now(UTC)
        admitted = admitted_by or AdmittedBy()

        def statements(session: Session) -> None:
            session.add(
                AssociationRow(
                    id=association_id,
                    calling_ae_title=calling_ae_title,
                    called_ae_title=called_ae_title,
                    peer_address=peer_address,
                    way=way,
                    opened_at=opened_at,
                    peer=admitted.peer,
                    tls_version=admitted.tls_version,
                    certificate_sha256=admitted.certificate_sha256,
                )
            )
            record(
                session,
                Event.ASSOCIATION_ACCEPTED,
                actor=self._actor,
                association_id=association_id,
                calling_ae_title=calling_ae_title,
                called_ae_title=called_ae_title,
                peer_address=peer_address,
                peer=admitted.peer,
                certificate_sha256=admitted.certificate_sha256,
            )

        self._group.run(statements)
        return association_id

    def end_association(self, association_id: str, ending: str) -> None:
        event = Event.ASSOCIATION_RELEASED if ending == "released" else Event.ASSOCIATION_ABORTED

        def statements(session: Session) -> None:
            row = session.get(AssociationRow, association_id)
            if row is not None and row.ended_at is None:
                row.ended_at, row.ending = datetime.now(UTC), ending
                self._pull_reports_forward(session, association_id)
                record(session, event, actor=self._actor, association_id=association_id, calling_ae_title=row.calling_ae_title)

        self._group.run(statements)

    @staticmethod
    def _pull_reports_forward(session: Session, association_id: str) -> None:
        """The association will bring no more: reports that wait for its end are due."""
        studies = select(InstanceRow.study_instance_uid).where(InstanceRow.first_association_id == association_id)
        waiting = update(JobRow).where(
            JobRow.kind == JobKind.REPORT_STUDY,
            JobRow.subject.in_(studies),
            JobRow.state == JobState.QUEUED,
            JobRow.next_at > datetime.now(UTC),
        )
        session.execute(waiting.values(next_at=datetime.now(UTC)), execution_options={"synchronize_session": False})

    def known(self, received: ReceivedInstance) -> Acceptance | None:
        """What an instance is if it need not be kept: one of our results, or one whose bytes are in the spool already."""
        with self._database.reading() as session:
            seen = look_up(session, received.identity, received.dataset_digest)
        if _own_sign(seen, received) is not None:
            return Acceptance.OWN_RESULT
        return Acceptance.RECEIVED_AGAIN if self._is_kept(seen) else None

    def _is_kept(self, seen: Seen) -> bool:
        """A row alone is no promise: success may be answered again only while the bytes are there, or once retention has let them go."""
        if seen.is_purged:
            return not seen.is_wanted
        return seen.instance_id is not None and seen.state not in _GONE and self._spool.holds(seen.file, seen.size)

    def commit(self, received: ReceivedInstance, *, instance_id: str, file: str | None, association_id: str | None) -> Acceptance:
        """One transaction: receipt, and for a new instance its row, its job and its audit event. Durable when it returns.

        file: the name in the spool of the bytes kept under instance_id; None when `known` said that they need not be.
        """

        def statements(session: Session) -> Acceptance:
            return self._accept(session, received, instance_id, file, association_id)

        try:
            acceptance = self._group.run(statements)
        except IntegrityError:
            # the same instance came to two receivers at once and the other one was first
            acceptance = self._group.run(statements)
        self._on_step(Step.AFTER_COMMIT)
        return acceptance

    def adopt(self, received: ReceivedInstance, *, instance_id: str, file: str) -> Adoption:
        """A whole file that a crash left without a row: kept and queued, without a receipt, since no C-STORE was answered."""
        try:
            return self._adopt(received, instance_id, file)
        except IntegrityError:
            # a receiver beside this one has just taken it in
            return self._adopt(received, instance_id, file)

    def _adopt(self, received: ReceivedInstance, instance_id: str, file: str) -> Adoption:
        with self._database.transaction() as session:
            seen = look_up(session, received.identity, received.dataset_digest)
            if seen.instance_id is not None and seen.file == file:
                return Adoption.CLAIMED
            if _own_sign(seen, received) is not None or self._is_kept(seen):
                return Adoption.NOT_NEEDED
            if seen.instance_id is None and session.get(InstanceRow, instance_id) is not None:
                return Adoption.FOREIGN
            self._keep(session, received, seen, instance_id, file, None, Event.INSTANCE_ADOPTED)
            return Adoption.ADOPTED

    def _accept(
        self, session: Session, received: ReceivedInstance, instance_id: str, file: str | None, association_id: str | None
    ) -> Acceptance:
        seen = look_up(session, received.identity, received.dataset_digest)
        sign = _own_sign(seen, received)
        if sign is not None:
            self._receipt(session, received, None, Acceptance.OWN_RESULT, association_id)
            record(
                session,
                Event.INSTANCE_OWN_RESULT,
                actor=self._actor,
                sop_instance_uid=received.identity.sop_instance_uid,
                association_id=association_id,
                reason=sign,
            )
            return Acceptance.OWN_RESULT
        if self._is_kept(seen) or (file is None and seen.is_purged):
            # adopted: a sweep found this very file before its row was there, and the row relies on it now
            adopted = seen.file == file
            self._name_sender(session, seen.instance_id, association_id)
            self._receipt(session, received, seen.instance_id, Acceptance.STORED if adopted else Acceptance.RECEIVED_AGAIN, association_id)
            self._event(
                session, Event.INSTANCE_STORED if adopted else Event.INSTANCE_RECEIVED_AGAIN, received, seen.instance_id, association_id
            )
            return Acceptance.STORED if adopted else Acceptance.RECEIVED_AGAIN
        if file is None:
            raise ValueError("a new instance without a file")
        kept_id = self._keep(session, received, seen, instance_id, file, association_id, Event.INSTANCE_STORED)
        self._receipt(session, received, kept_id, Acceptance.STORED, association_id)
        return Acceptance.STORED

    def _keep(
        self,
        session: Session,
        received: ReceivedInstance,
        seen: Seen,
        instance_id: str,
        file: str,
        association_id: str | None,
        event: Event,
    ) -> str:
        """The row, its job and its event; returns the row's id. A known instance, whose bytes were gone, gets its row back.

        `seen` is what the caller saw: a row that another receiver has committed since must meet the unique key, not this.
        """
        if seen.instance_id is None:
            insert_instance(
                session, received, instance_id=instance_id, file=file, association_id=association_id, actor=self._actor, event=event
            )
            return instance_id
        self._restore(session, session.get_one(InstanceRow, seen.instance_id), file)
        self._event(session, event, received, seen.instance_id, association_id)
        return seen.instance_id

    def _name_sender(self, session: Session, instance_id: str | None, association_id: str | None) -> None:
        """An adopted instance has no sender until it is sent again; what was refused for that is decided anew."""
        row = session.get(InstanceRow, instance_id) if instance_id and association_id else None
        if row is None or row.first_association_id is not None:
            return
        row.first_association_id = association_id
        if row.outcome == InstanceOutcome.INELIGIBLE_ROUTE and row.purged_at is None:
            row.state, row.outcome, row.outcome_reason, row.decided_at = InstanceState.STORED, None, None, None
            enqueue(session, JobKind.ANALYZE_INSTANCE, row.id, row.study_instance_uid, actor=self._actor)

    def _restore(self, session: Session, row: InstanceRow, file: str) -> None:
        """The same bytes again: what was decided of them stands; only what never was decided is queued."""
        row.file = file
        if row.purged_at is not None:
            # a job of the study waits for it; the analysis draws its maps anew
            row.purged_at = None
            code = SourcePurgedError.code
            resume(session, JobKind.ANALYZE_INSTANCE, row.id, row.study_instance_uid, code=code, actor=self._actor)
            return
        if row.state not in _GONE:
            return
        assessed = session.scalar(select(AssessmentRow.id).where(AssessmentRow.instance_id == row.id).limit(1)) is not None
        row.decided_at = datetime.now(UTC) if assessed else None
        row.outcome_reason = "restored" if assessed else None
        row.outcome = InstanceOutcome.ASSESSED if assessed else None
        row.state = InstanceState.ASSESSED if assessed else InstanceState.STORED
        kind, subject = (JobKind.REPORT_STUDY, row.study_instance_uid) if assessed else (JobKind.ANALYZE_INSTANCE, row.id)
        enqueue(session, kind, subject, row.study_instance_uid, actor=self._actor)

    @staticmethod
    def _receipt(
        session: Session, received: ReceivedInstance, instance_id: str | None, acceptance: Acceptance, association_id: str | None
    ) -> None:
        insert_receipt(
            session, received, receipt_id=new_id(), instance_id=instance_id, association_id=association_id, reason=acceptance.value
        )

    def _event(
        self, session: Session, event: Event, received: ReceivedInstance, instance_id: str | None, association_id: str | None
    ) -> None:
        record(
            session,
            event,
            actor=self._actor,
            instance_id=instance_id,
            study_instance_uid=received.identity.study_instance_uid,
            sop_instance_uid=received.identity.sop_instance_uid,
            association_id=association_id,
        )

    def refuse(
        self,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        dimse_status: int,
        reason: str,
        association_id: str | None,
    ) -> None:
        """A receipt for a C-STORE that was answered with a failure. UIDs are the peer's words: kept only if they are legal."""

        def statements(session: Session) -> None:
            session.add(
                ReceiptRow(
                    id=new_id(),
                    association_id=association_id,
                    instance_id=None,
                    sop_class_uid=_harmless(sop_class_uid),
                    sop_instance_uid=_harmless(sop_instance_uid),
                    transfer_syntax_uid=_harmless(transfer_syntax_uid),
                    received_at=datetime.now(UTC),
                    dimse_status=dimse_status,
                    reason=reason,
                )
            )
            record(
                session,
                Event.INSTANCE_REFUSED,
                actor=self._actor,
                sop_instance_uid=_harmless(sop_instance_uid),
                dimse_status=f"{dimse_status:04X}",
                reason=reason,
                association_id=association_id,
            )

        self._group.run(statements)


def _harmless(uid: str) -> str:
    """A refused UID as the ledger may show it: anything that is no UID could be a name."""
    return uid if is_legal(uid) else "illegal"


def _own_sign(seen: Seen, received: ReceivedInstance) -> str | None:
    return "result_uid" if seen.is_own_result else received.own_sign
