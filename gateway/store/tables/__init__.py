"""The records of the audit store (docs/architecture.md, "Records") as typed tables."""

from gateway.store.tables.audit import AuditEventRow
from gateway.store.tables.base import Base
from gateway.store.tables.cases import AuditCaseRow, CorrectionRow
from gateway.store.tables.intake import AssociationRow, InstanceRow, ReceiptRow
from gateway.store.tables.results import DeliveryAttemptRow, DeliveryRow, RecalledStudyRow, ReportRow, ResultRow
from gateway.store.tables.upkeep import (
    AlarmRow,
    BundleActRow,
    BundleVersionRow,
    ConfigVersionRow,
    FileRemovalRow,
    PhantomStudyRow,
    ReconciliationRow,
    SelfTestRow,
    SpoolRow,
    SupervisorRow,
)
from gateway.store.tables.work import AssessmentRow, JobRow

__all__ = [
    "AlarmRow",
    "AssessmentRow",
    "AssociationRow",
    "AuditCaseRow",
    "AuditEventRow",
    "Base",
    "BundleActRow",
    "BundleVersionRow",
    "ConfigVersionRow",
    "CorrectionRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "FileRemovalRow",
    "InstanceRow",
    "JobRow",
    "PhantomStudyRow",
    "RecalledStudyRow",
    "ReceiptRow",
    "ReconciliationRow",
    "ReportRow",
    "ResultRow",
    "SelfTestRow",
    "SpoolRow",
    "SupervisorRow",
]
