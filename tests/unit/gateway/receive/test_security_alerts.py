from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import DatabaseUnavailableError
from gateway.receive.security_alerts import IN_ALL_PER_WINDOW, PER_WINDOW, SecurityAlerts


class Audit:
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.down = False

    def record(self, event: object, **identifiers: object) -> None:
        if self.down:
            raise DatabaseUnavailableError
        self.rows.append({"event": str(event), **{name: value for name, value in identifiers.items() if value is not None}})


@pytest.fixture
def audit() -> Audit:
    return Audit()


def alerts(audit: Audit, now: list[float]) -> SecurityAlerts:
    return SecurityAlerts(audit, clock=lambda: now[0])  # type: ignore[arg-type]


def reject(found: SecurityAlerts, address: str) -> None:
    found.association_rejected(reason="peer_not_listed", calling_ae_title="A", called_ae_title="B", peer_address=address)


@pytest.mark.parametrize(
    ("reason", "is_alert"),
    [
        ("peer_not_listed", True),
        ("address_not_allowed", True),
        ("certificate_not_of_peer", True),
        ("called_ae_title", True),
        ("congestion", False),
    ],
)
def test_rejection_for_who_one_is_carries_the_codes_of_a_security_alert(audit: Audit, reason: str, *, is_alert: bool) -> None:
    alerts(audit, [0.0]).association_rejected(reason=reason, calling_ae_title="A", called_ae_title="B", peer_address="192.0.2.1")
    (row,) = audit.rows
    assert (row.get("audit_code"), row.get("audit_type")) == (("110113", "110126") if is_alert else (None, None))
    assert row["event"] == "association:rejected"


def test_flood_from_one_address_is_counted_and_leaves_the_others_their_place(audit: Audit) -> None:
    now = [0.0]
    found = alerts(audit, now)
    for _ in range(PER_WINDOW + 1000):
        reject(found, "192.0.2.66")
    assert len(audit.rows) == PER_WINDOW
    reject(found, "192.0.2.1")
    assert len(audit.rows) == PER_WINDOW + 1
    now[0] = 61.0
    reject(found, "192.0.2.66")
    assert audit.rows[-1]["count"] == 1001


def test_flood_from_many_addresses_is_bounded_in_memory_and_in_the_audit(audit: Audit) -> None:
    found = alerts(audit, [0.0])
    for number in range(3000):
        reject(found, f"2001:db8::{number:x}")
    assert len(found._windows) <= 1024
    assert len(audit.rows) == IN_ALL_PER_WINDOW


def test_refusal_is_no_error_while_the_database_is_away(audit: Audit) -> None:
    audit.down = True
    reject(alerts(audit, [0.0]), "192.0.2.1")
    assert audit.rows == []
