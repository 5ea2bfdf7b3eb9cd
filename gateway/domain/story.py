"""What the audit store answers when it is asked: values for tables and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.alarm import Alarm
from gateway.domain.self_test import SelfTestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptStory:
    """One answered C-STORE: who sent what, when, from where, in which syntax, and what was answered."""

    received_at: datetime
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    peer: str | None
    """The `[[peers]]` table that admitted the sender."""
    tls_version: str | None
    """None = plain DICOM."""
    certificate_sha256: str | None
    way: str
    association_id: str | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dimse_status: str
    reason: str
    instance_id: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalStory:
    """One refused association or handshake, or one connection that was closed for what its peer did."""

    at: datetime
    event: str
    reason: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    certificate_sha256: str | None
    audit_code: str | None
    """110113 for a security alert."""
    count: int
    """How many of the same address it stands for: of a flood most have no entry of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictStory:
    """An instance in conflict, and the one of the same SOP Instance UID that was assessed; of a case, the other that claims its image."""

    instance_id: str
    case_id: str | None
    sop_instance_uid: str
    study_instance_uid: str
    reason: str | None
    received_at: datetime
    calling_ae_title: str
    first_instance_id: str | None
    first_study_instance_uid: str | None
    first_received_at: datetime | None
    first_calling_ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeStory:
    position: int
    laterality: str
    laterality_source: str
    decision: str
    score: float | None
    """0..100, as in the results; None for a knee that the network was not asked about."""
    threshold: float | None
    """0..100 too."""
    quality_flags: tuple[str, ...]
    measures: dict[str, float]
    pixel_notes: tuple[str, ...]
    engine_profile: str | None
    judged_at: datetime
    settings_hash: str
    """Of the settings that shaped it: a knee has one decision per bundle and settings, and results rest on those of the present ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStory:
    job_id: int
    kind: str
    study_instance_uid: str
    next_at: datetime | None
    """When it is due; None for a job that waits for nothing."""
    state: str
    attempts: int
    lease_expiries: int
    last_code: str | None
    subject: str
    """analyze_instance: our id of the instance; report_study: the study; deliver_result: our id of the delivery."""
    created_at: datetime
    first_claimed_at: datetime | None
    finished_at: datetime | None
    lease_owner: str | None
    """The process that has it; None for a job that nobody runs."""
    lease_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStory:
    instance_id: str
    sop_instance_uid: str
    study_instance_uid: str
    modality: str
    state: str
    outcome: str | None
    reason: str | None
    route: str | None
    received_at: datetime
    decided_at: datetime | None
    purged_at: datetime | None
    """When retention let its file go; all else is kept."""
    receipts: tuple[ReceiptStory, ...]
    knees: tuple[KneeStory, ...]
    jobs: tuple[JobStory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStory:
    """One request to a destination, and what came of it."""

    kind: str
    """`send`, `commitment` or `find`."""
    started_at: datetime
    ended_at: datetime | None
    """None: its answer never came to be known here."""
    code: str | None
    dimse_status: str | None
    transaction_uid: str | None
    reported_at: datetime | None
    failure_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStory:
    destination: str
    state: str
    attempts: int
    last_status: str | None
    last_code: str | None
    sent_at: datetime | None
    committed_at: datetime | None
    tried: tuple[AttemptStory, ...]
    """Every attempt, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredStory:
    """A delivery with the result that it is of, and the job that an operator may act on."""

    study_instance_uid: str
    kind: str
    revision: int
    sop_instance_uid: str
    created_at: datetime
    job_id: int | None
    delivery: DeliveryStory


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultStory:
    kind: str
    sop_instance_uid: str
    study_instance_uid: str
    revision: int
    release: str
    flagged: bool
    predecessor_uid: str | None
    repeats_uid: str | None
    """`withheld_repeat`: the SR of another study that has told as much."""
    created_at: datetime
    purged_at: datetime | None
    retracted_at: datetime | None
    """When its report was taken back."""
    rejection_reason: str | None
    deliveries: tuple[DeliveryStory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    seq: int
    at: datetime
    actor: str
    event: str
    detail: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseImage:
    """An image in a case: rejected, replaced, replacement, contested, stands, set_aside or named."""

    sop_instance_uid: str
    study_instance_uid: str | None
    instance_id: str | None
    """None: named, and not received yet."""
    role: str
    reason: str
    noted_at: datetime
    applied_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStory:
    """All that was corrected about an image, and what came of it."""

    case_id: str
    state: str
    reason: str
    opened_at: datetime
    opened_by: str
    studies: tuple[str, ...]
    images: tuple[CaseImage, ...]
    waits_for: int
    """Images that a rejection note names and that are not here."""
    events: tuple[TimelineEntry, ...]
    """Of all its studies, in order; empty in lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that is known under one key."""

    key: str
    instances: tuple[InstanceStory, ...]
    refusals: tuple[ReceiptStory, ...]
    results: tuple[ResultStory, ...]
    study_jobs: tuple[JobStory, ...]
    cases: tuple[CaseStory, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExplanation:
    """One job, what happened to it, and what an operator may do with it."""

    job: JobStory
    actions: tuple[str, ...]
    events: tuple[TimelineEntry, ...]
    tried: tuple[AttemptStory, ...] = ()
    """Of the delivery that the job is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One of the three ledgers. closed: every entry has its counterpart."""

    name: str
    total: int
    counts: dict[str, int]
    unexplained: int

    @property
    def closed(self) -> bool:
        return self.unexplained == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the gateway stands. jobs and deliveries: count by kind or destination, and state. alarms: those that stand, oldest first."""

    ledgers: tuple[Ledger, ...]
    jobs: dict[str, int]
    deliveries: dict[str, int]
    results: dict[str, int]
    oldest_waiting_seconds: float | None
    alarms: tuple[Alarm, ...]
    self_tests: tuple[SelfTestResult, ...] = ()
    """The latest one of every worker."""
