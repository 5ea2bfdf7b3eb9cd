"""The intake ledger: associations, and one receipt for every C-STORE that was answered."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.dicom.uids import is_legal
from gateway.domain.answered import EndedAssociation, Note, OpenedAssociation, Refusal
from gateway.domain.identifiers import new_id
from gateway.domain.job import JobKind
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError, GatewayError, SourcePurgedError, SpoolNotDurableError
from gateway.events import Event
from gateway.store.associations import Associations
from gateway.store.audit_log import record
from gateway.store.cases import role_of
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit
from gateway.store.intake_rows import add_association, add_refusal, end_association
from gateway.store.job_queue import enqueue, resume
from gateway.store.new_instance import ReceivedInstance, Seen, first_job, insert_instance, insert_receipt, look_up
from gateway.store.process_file import ProcessFile
from gateway.store.spool import Spool
from gateway.store.steps import OnStep, Step, nothing
from gateway.store.tables import AssessmentRow, InstanceRow

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


def digest_of(dataset: memoryview) -> str:
    return hashlib.sha256(dataset).hexdigest()


def refusal_of(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, dimse_status: int, reason: str, association_id: str | None
) -> Refusal:
    """UIDs are the peer's words: kept only if they are legal, anything else could be a name."""
    return Refusal(
        association_id=association_id,
        sop_class_uid=uid_or_illegal(sop_class_uid),
        sop_instance_uid=uid_or_illegal(sop_instance_uid),
        transfer_syntax_uid=uid_or_illegal(transfer_syntax_uid),
        dimse_status=dimse_status,
        reason=reason,
    )


def uid_or_illegal(uid: str) -> str:
    """A peer's UID as the ledger and the log may show it."""
    return uid if is_legal(uid) else "illegal"


class Receipts:
    """Writes the receiver's side of the store; each call is durable when it returns. Calls of several threads share a commit."""

    def __init__(
        self, database: Database, actor: str, spool: Spool, *, process: ProcessFile | None = None, on_step: OnStep = nothing
    ) -> None:
        """process: where this process notes what it has answered while the database takes nothing; None = it is only raised.

        on_step: called by the thread of a new instance once its rows are durable; for tests that stop the world there.
        """
        self._database = database
        self._group = GroupCommit(database)
        self._on_step = on_step
        self._actor = actor
        self._spool = spool
        self._process = process
        self.noted = process.news if process is not None else threading.Event()
        """Set while something is noted and has no row."""

    def open_association(self, opened: OpenedAssociation) -> str:
        """Its id. DatabaseUnavailableError when it has no row; then it is noted, and may be opened again with the same value."""
        owner = self._process.owner if self._process else None
        try:
            self._group.run(lambda session: add_association(session, opened, owner=owner, actor=self._actor))
        except DatabaseUnavailableError as error:
            self.note(opened, after=error)
            raise
        return opened.id

    def end_association(self, association_id: str, ending: str) -> None:
        """DatabaseUnavailableError when its end is neither in its row nor noted."""
        ended = EndedAssociation(association_id=association_id, ending=ending)
        self._or_noted(ended, lambda session: end_association(session, ended, actor=self._actor))

    def refuse(self, refusal: Refusal) -> None:
        """A receipt for a C-STORE that is answered with a failure. DatabaseUnavailableError when it is neither a row nor noted."""
        self._or_noted(refusal, lambda session: add_refusal(session, refusal, actor=self._actor))

    def _or_noted(self, note: Note, statements: Callable[[Session], None]) -> None:
        try:
            self._group.run(statements)
        except DatabaseUnavailableError as error:
            if not self.note(note, after=error) or isinstance(error, DatabaseNotDurableError):
                raise

    def note(self, *notes: Note, after: GatewayError | None = None) -> bool:
        """Keeps them for when the database is back. False when there is no room or no place for them. after: what failed."""
        is_durable = not isinstance(after, DatabaseNotDurableError | SpoolNotDurableError)
        return self._process is not None and self._process.add(notes, durable=is_durable)

    def take_up(self) -> int:
        """Makes rows of what is noted, and says of how much. DatabaseUnavailableError when it stays noted."""
        if self._process is None:
            return 0
        notes = self._process.notes()
        Associations(self._database, self._actor).take_up(notes, owner=self._process.owner)
        self._process.forget(notes)
        return len(notes)

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
            resume(session, first_job(row.sop_class_uid), row.id, row.study_instance_uid, code=code, actor=self._actor)
            return
        if row.state not in _GONE:
            return
        judged = session.scalar(select(AssessmentRow.id).where(AssessmentRow.instance_id == row.id).limit(1)) is not None
        # what was corrected meanwhile is asked again: the analysis knows of it
        assessed = judged and role_of(session, row.id) is None
        row.decided_at = datetime.now(UTC) if assessed else None
        row.outcome_reason = "restored" if assessed else None
        row.outcome = InstanceOutcome.ASSESSED if assessed else None
        row.state = InstanceState.ASSESSED if assessed else InstanceState.STORED
        kind, subject = (JobKind.REPORT_STUDY, row.study_instance_uid) if assessed else (first_job(row.sop_class_uid), row.id)
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


def _own_sign(seen: Seen, received: ReceivedInstance) -> str | None:
    return "result_uid" if seen.is_own_result else received.own_sign
