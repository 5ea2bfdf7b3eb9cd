"""Instances and what is known of them, for reading; what ends their analysis is `analyses`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import exists, func, select

from gateway.domain.assessment import Assessment, StoredInstance
from gateway.domain.correction import CaseRole
from gateway.domain.job import JobKind
from gateway.domain.outcome import IN_A_REPORT, SET_ASIDE, InstanceState
from gateway.errors import NotFoundError
from gateway.store.assessment_rows import as_assessment
from gateway.store.database import Database
from gateway.store.job_queue import open_jobs
from gateway.store.tables import AssessmentRow, AssociationRow, CorrectionRow, InstanceRow, ReceiptRow


class Instances:
    """Reads instances and their assessments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance_id: str) -> StoredInstance:
        with self._database.reading() as session:
            row = session.get(InstanceRow, instance_id)
            if row is None:
                raise NotFoundError(instance_id)
            return _stored(row)

    def same_sop_instance(self, instance: StoredInstance) -> tuple[StoredInstance, ...]:
        """Other data sets that came under the same SOP Instance UID."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(InstanceRow).where(InstanceRow.sop_instance_uid == instance.sop_instance_uid, InstanceRow.id != instance.instance_id)
            )
            return tuple(_stored(row) for row in rows)

    def of_study(self, study_instance_uid: str) -> tuple[StoredInstance, ...]:
        """The instances that a report of the study speaks of, in the order of their SOP Instance UIDs."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(InstanceRow)
                .where(InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state.in_(IN_A_REPORT))
                .order_by(InstanceRow.sop_instance_uid, InstanceRow.id)
            )
            return tuple(_stored(row) for row in rows)

    def looked_at(self, study_instance_uids: Sequence[str] | None) -> tuple[str, ...]:
        """Our ids of the instances whose knees were judged, assessed or refused, oldest first. None: of every study.

        Those that retention has purged are left out, and those that a correction or a person has set aside: what is told of them does
        not rest on their pixels.
        """
        judged = exists().where(AssessmentRow.instance_id == InstanceRow.id)
        ended = InstanceRow.state.in_((InstanceState.ASSESSED, InstanceState.NOT_ASSESSED)) & InstanceRow.outcome.not_in(SET_ASIDE)
        wanted = (
            select(InstanceRow.id).where(ended, judged, InstanceRow.purged_at.is_(None)).order_by(InstanceRow.received_at, InstanceRow.id)
        )
        if study_instance_uids is not None:
            wanted = wanted.where(InstanceRow.study_instance_uid.in_(study_instance_uids))
        with self._database.reading() as session:
            return tuple(session.scalars(wanted))

    def assessments(self, instance_id: str, *, bundle_hash: str, shaping_hash: str) -> tuple[Assessment, ...]:
        """An instance's assessments by one bundle under one set of settings, by position."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(AssessmentRow)
                .where(
                    AssessmentRow.instance_id == instance_id,
                    AssessmentRow.bundle_hash == bundle_hash,
                    AssessmentRow.shaping_hash == shaping_hash,
                )
                .order_by(AssessmentRow.position)
            )
            return tuple(as_assessment(row) for row in rows)

    def has_conflict(self, study_instance_uid: str) -> bool:
        """True while an instance of the study is in conflict."""
        with self._database.reading() as session:
            found = select(InstanceRow.id).where(
                InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state == InstanceState.CONFLICT
            )
            return session.scalar(found.limit(1)) is not None

    def decided_cases(self, study_instance_uid: str) -> tuple[str, ...]:
        """Cases in which a person has decided for an image of the study, oldest first, each as often as that was."""
        with self._database.reading() as session:
            stands = select(CorrectionRow.case_id).where(
                CorrectionRow.study_instance_uid == study_instance_uid, CorrectionRow.role == CaseRole.STANDS
            )
            return tuple(session.scalars(stands.order_by(CorrectionRow.id)))

    def peer_of(self, instance_id: str) -> str | None:
        """The `[[peers]]` table that admitted the sender. None: not bound to one. Empty: nobody knows who sent it (an adopted file)."""
        with self._database.reading() as session:
            found = select(InstanceRow.first_association_id, AssociationRow.peer).join(
                AssociationRow, InstanceRow.first_association_id == AssociationRow.id, isouter=True
            )
            association_id, peer = session.execute(found.where(InstanceRow.id == instance_id)).one()
            return "" if association_id is None else peer

    def any_not_sent_here(self, instance_ids: Sequence[str]) -> bool:
        """True when one of them is not known to have come by C-STORE: by `ingest` alone, or adopted after a crash and never sent again."""
        sent = (
            select(ReceiptRow.instance_id)
            .join(AssociationRow, AssociationRow.id == ReceiptRow.association_id, isouter=True)
            .where(
                ReceiptRow.instance_id.in_(instance_ids), ReceiptRow.dimse_status == 0, func.coalesce(AssociationRow.way, "") != "ingest"
            )
        )
        with self._database.reading() as session:
            return not set(instance_ids) <= set(session.scalars(sent))

    def any(self) -> bool:
        """True when the database knows instances."""
        with self._database.reading() as session:
            return session.scalar(select(InstanceRow.id).where(InstanceRow.state != InstanceState.LOST).limit(1)) is not None

    def sides(self, instance_id: str) -> frozenset[tuple[int, str]]:
        """Position and side of every knee of an instance, whatever bundle looked at it."""
        with self._database.reading() as session:
            rows = session.execute(select(AssessmentRow.position, AssessmentRow.laterality).where(AssessmentRow.instance_id == instance_id))
            return frozenset((row.position, row.laterality) for row in rows)

    def analysis_is_open(self, study_instance_uid: str) -> bool:
        """True while an analysis of the study waits or runs."""
        with self._database.reading() as session:
            return open_jobs(session, JobKind.ANALYZE_INSTANCE, study_instance_uid) > 0

    def may_bring_more(self, study_instance_uid: str, *, settle: timedelta) -> bool:
        """True while the association that brought the study's last instance is open, for `settle` at most."""
        with self._database.reading() as session:
            last = session.execute(
                select(InstanceRow.received_at, AssociationRow.ended_at)
                .join(AssociationRow, AssociationRow.id == InstanceRow.first_association_id)
                .where(InstanceRow.study_instance_uid == study_instance_uid)
                .order_by(InstanceRow.received_at.desc())
                .limit(1)
            ).one_or_none()
        if last is None or last.ended_at is not None:
            return False
        received_at: datetime = last.received_at
        return datetime.now(UTC) - received_at < settle


def _stored(row: InstanceRow) -> StoredInstance:
    return StoredInstance(
        instance_id=row.id,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        patient_id=row.patient_id,
        issuer_of_patient_id=row.issuer_of_patient_id,
        file=row.file,
        size=row.size,
        dataset_digest=row.dataset_digest,
        pixel_digest=row.pixel_digest,
        state=row.state,
        outcome=row.outcome,
        route=row.route,
        policy=row.policy,
        received_at=row.received_at,
        purged=row.purged_at is not None,
    )
