"""The records of the audit store (docs/architecture.md, "Records") as typed tables."""

from gateway.store.tables.audit import AuditEventRow
from gateway.store.tables.base import Base
from gateway.store.tables.intake import AssociationRow, InstanceRow, ReceiptRow
from gateway.store.tables.results import DeliveryAttemptRow, DeliveryRow, ReportRow, ResultRow
from gateway.store.tables.upkeep import (
    AlarmRow,
    BundleActRow,
    BundleVersionRow,
    ConfigVersionRow,
    FileRemovalRow,
    SelfTestRow,
    SpoolRow,
    SupervisorRow,
)
from gateway.store.tables.work import AssessmentRow, JobRow

__all__ = [
    "AlarmRow",
    "AssessmentRow",
    "AssociationRow",
    "AuditEventRow",
    "Base",
    "BundleActRow",
    "BundleVersionRow",
    "ConfigVersionRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "FileRemovalRow",
    "InstanceRow",
    "JobRow",
    "ReceiptRow",
    "ReportRow",
    "ResultRow",
    "SelfTestRow",
    "SpoolRow",
    "SupervisorRow",
]
