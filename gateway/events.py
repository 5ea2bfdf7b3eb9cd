"""Every audit and log event by name, grammar `subject:action`, and the one function that logs them.

`log_event` takes identifiers only: our ids, SOP, series and study UIDs, AE titles and codes. Names, patient ids, accession
numbers, dates of birth and free text have no parameter here, so they cannot be logged by accident.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

import structlog

Level = Literal["debug", "info", "warning", "error"]


class Event(StrEnum):
    GATEWAY_STARTED = "gateway:started"
    GATEWAY_STOPPED = "gateway:stopped"
    DATABASE_AWAITED = "database:awaited"
    DATABASE_REACHED = "database:reached"
    ROLE_STARTED = "role:started"
    ROLE_STOPPED = "role:stopped"
    ROLE_DIED = "role:died"
    ROLE_POSTPONED = "role:postponed"
    RETENTION_PURGED = "retention:purged"
    RETENTION_HINDERED = "retention:hindered"
    TIMER_FAILED = "timer:failed"
    CLOCK_SET_BACK = "clock:set_back"
    ALARM_RAISED = "alarm:raised"
    ALARM_CLEARED = "alarm:cleared"
    METRICS_SERVED = "metrics:served"
    METRICS_NOT_SERVED = "metrics:not_served"
    CONFIG_LOADED = "config:loaded"
    CONFIG_RELOADED = "config:reloaded"
    CONFIG_REJECTED = "config:rejected"
    BUNDLE_LOADED = "bundle:loaded"
    BUNDLE_CREATED = "bundle:created"
    BUNDLE_PROMOTED = "bundle:promoted"
    BUNDLE_ROLLED_BACK = "bundle:rolled_back"
    BUNDLE_RETIRED = "bundle:retired"
    BUNDLE_CHANGED = "bundle:changed"
    BUNDLE_IN_SHADOW = "bundle:in_shadow"
    KNEES_EXPORTED = "knees:exported"
    ASSOCIATION_ACCEPTED = "association:accepted"
    ASSOCIATION_REJECTED = "association:rejected"
    ASSOCIATION_RELEASED = "association:released"
    ASSOCIATION_ABORTED = "association:aborted"
    TLS_REFUSED = "tls:refused"
    TLS_CERTIFICATE_LOADED = "tls:certificate_loaded"
    TLS_CERTIFICATE_KEPT = "tls:certificate_kept"
    CONNECTION_REFUSED = "connection:refused"
    CONNECTION_CUT = "connection:cut"
    RECEIVER_STUCK = "receiver:stuck"
    ECHO_ANSWERED = "echo:answered"
    INSTANCE_STORED = "instance:stored"
    INSTANCE_RECEIVED_AGAIN = "instance:received_again"
    INSTANCE_REFUSED = "instance:refused"
    RECEIPTS_TAKEN_UP = "receipts:taken_up"
    RECEIPTS_FAILED = "receipts:failed"
    INSTANCE_OWN_RESULT = "instance:own_result"
    INSTANCE_ASSESSED = "instance:assessed"
    INSTANCE_NOT_ASSESSED = "instance:not_assessed"
    INSTANCE_FAILED = "instance:failed"
    INSTANCE_VARIANT = "instance:variant"
    INSTANCE_CONFLICT = "instance:conflict"
    CONFLICT_DECIDED = "conflict:decided"
    CASE_OPENED = "case:opened"
    CASE_HELD = "case:held"
    CASE_DECIDED = "case:decided"
    CORRECTION_RECEIVED = "correction:received"
    CORRECTION_APPLIED = "correction:applied"
    CORRECTION_WAITS = "correction:waits"
    INSTANCE_LOST = "instance:lost"
    INSTANCE_CORRUPT = "instance:corrupt"
    INSTANCE_ADOPTED = "instance:adopted"
    SPOOL_SWEPT = "spool:swept"
    SPOOL_NOT_PROVEN = "spool:not_proven"
    SPOOL_REFUSES = "spool:refuses"
    SPOOL_ACCEPTS = "spool:accepts"
    JOB_QUEUED = "job:queued"
    JOB_CLAIMED = "job:claimed"
    JOB_DONE = "job:done"
    JOB_RETRY = "job:retry"
    JOB_POSTPONED = "job:postponed"
    JOB_DEAD = "job:dead"
    JOB_HELD = "job:held"
    JOB_RELEASED = "job:released"
    JOB_RETRIED = "job:retried"
    JOB_CANCELLED = "job:cancelled"
    JOB_GIVEN_BACK = "job:given_back"
    JOB_LEASE_EXPIRED = "job:lease_expired"
    RESULT_BUILT = "result:built"
    RESULT_EXISTS = "result:exists"
    RESULT_WITHHELD = "result:withheld"
    RESULT_RELEASED = "result:released"
    REPORT_RETRACTED = "report:retracted"
    REPORT_REJECTED = "report:rejected"
    STUDY_RECALLED = "study:recalled"
    DELIVERY_QUEUED = "delivery:queued"
    DELIVERY_SENT = "delivery:sent"
    DELIVERY_RETRY = "delivery:retry"
    DELIVERY_DEAD = "delivery:dead"
    DELIVERY_HELD = "delivery:held"
    DELIVERY_RELEASED = "delivery:released"
    DELIVERY_CANCELLED = "delivery:cancelled"
    DELIVERY_COMMITTED = "delivery:committed"
    DELIVERY_FOUND = "delivery:found"
    DELIVERY_RESENT = "delivery:resent"
    DELIVERY_UNCONFIRMED = "delivery:unconfirmed"
    COMMITMENT_FAILED = "commitment:failed"
    COMMITMENT_REFUSED = "commitment:refused"
    DESTINATION_LEFT_ALONE = "destination:left_alone"
    DESTINATION_ANSWERS = "destination:answers"
    DECODER_RESTARTED = "decoder:restarted"
    ENGINE_OPENED = "engine:opened"
    ENGINE_FAILED = "engine:failed"
    ENGINE_FELL_BACK = "engine:fell_back"
    ASSESSMENT_DIFFERS = "assessment:differs"
    RESULT_DIFFERS = "result:differs"
    OUTPUT_IMPLAUSIBLE = "output:implausible"
    SELF_TEST_PASSED = "self_test:passed"
    SELF_TEST_DEVIATED = "self_test:deviated"
    SELF_TEST_ACCEPTED = "self_test:accepted"
    SELF_TEST_POSTPONED = "self_test:postponed"
    RECONCILE_DONE = "reconcile:done"
    RECONCILE_FAILED = "reconcile:failed"
    RECONCILE_NOT_RECEIVED = "reconcile:not_received"
    RECONCILE_NOT_FOUND = "reconcile:not_found"
    PHANTOM_ANNOUNCED = "phantom:announced"
    PHANTOM_REJECTED = "phantom:rejected"


ALERT_CODES: Final = {"audit_code": "110113", "audit_type": "110126"}
"""What a refusal for security reasons carries: Security Alert and Node Authentication (PS3.15 A.5.3.11, PS3.16 D)."""

IDENTIFIERS: Final = frozenset(
    {
        "actor",
        "ae_title",
        "association_id",
        "attempts",
        "audit_code",
        "audit_type",
        "bundle_hash",
        "called_ae_title",
        "case_id",
        "calling_ae_title",
        "certificate_sha256",
        "code",
        "config_hash",
        "count",
        "delivery_id",
        "destination",
        "dimse_status",
        "duration_ms",
        "error_class",
        "evidence_sha256",
        "exit_code",
        "former_bundle_hash",
        "former_config_hash",
        "instance_id",
        "job_id",
        "job_kind",
        "path_kind",
        "peer",
        "peer_address",
        "pid",
        "port",
        "predecessor_uid",
        "receipt_id",
        "reason",
        "release",
        "repeats_uid",
        "result_id",
        "role",
        "route",
        "second",
        "series_instance_uid",
        "sop_class_uid",
        "sop_instance_uid",
        "state",
        "study_instance_uid",
        "subject",
        "timer",
        "transfer_syntax_uid",
        "weights_sha256",
    }
)
"""The only keys an event may carry, in the log and in the audit store."""


def checked(identifiers: dict[str, object]) -> dict[str, object]:
    """The identifiers without absent ones. ValueError for a key that could carry patient data."""
    foreign = identifiers.keys() - IDENTIFIERS
    if foreign:
        raise ValueError(f"an event may not carry {sorted(foreign)}")
    return {key: value for key, value in identifiers.items() if value is not None}


def log_event(event: Event, *, level: Level = "info", **identifiers: Any) -> None:
    """Writes one JSON line."""
    getattr(structlog.get_logger("strnet_gateway"), level)(event.value, **checked(identifiers))
