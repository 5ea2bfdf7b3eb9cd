"""Peers at the receiver's door: titles, addresses, limits; each refusal on record, nothing of it in the way of the others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.store.evidence import Evidence
from gateway.store.tables import AssociationRow
from tests.integration.conftest import Receiver
from tests.peers import dcmtk
from tests.peers.raw_scu import association

DX, EXPLICIT = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1"
PEERS = [
    {"name": "room1", "ae_title": "XRAY1"},
    {"name": "room2", "ae_title": "XRAY2", "addresses": ["192.0.2.0/24"]},
    {"name": "room3", "ae_title": "XRAY3", "addresses": ["127.0.0.0/8"], "max_associations": 2},
]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what the store does on PostgreSQL is tested beside it."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def guarded(receivers: Callable[..., Receiver]) -> Receiver:
    return receivers(serve={"development": False}, peers=PEERS)


def opened(receiver: Receiver, calling: str, called: str = "STRNET") -> Any:
    return association(receiver.port, [(DX, EXPLICIT)], calling=calling, called=called)


def answer(assoc: Any) -> tuple[int, int, int] | None:
    """(result, source, reason) of a rejection."""
    primitive = assoc.acceptor.primitive
    return (primitive.result, primitive.result_source, primitive.diagnostic) if assoc.is_rejected else None


@pytest.mark.parametrize(
    ("calling", "called", "rejection", "reason", "audit_code"),
    [
        ("STRANGER", "STRNET", (1, 1, 3), "peer_not_listed", "110113"),
        ("XRAY2", "STRNET", (1, 1, 3), "address_not_allowed", "110113"),
        ("XRAY1", "OTHER", (1, 1, 7), "called_ae_title", "110113"),
    ],
)
def test_refused_sender_is_rejected_for_good_and_audited_as_a_security_alert(
    guarded: Receiver, calling: str, called: str, rejection: tuple[int, int, int], reason: str, audit_code: str
) -> None:
    with opened(guarded, calling, called) as assoc:
        assert answer(assoc) == rejection
    (refusal,) = Evidence(guarded.database).rejected()
    assert (refusal.calling_ae_title, refusal.called_ae_title, refusal.peer_address) == (calling, called, "127.0.0.1")
    assert (refusal.event, refusal.reason, refusal.audit_code) == ("association:rejected", reason, audit_code)


def test_listed_sender_is_admitted_and_the_peer_that_admitted_it_is_on_record(guarded: Receiver) -> None:
    dcmtk.need()
    assert dcmtk.echoscu(guarded.port, calling="XRAY3") == 0
    with guarded.database.reading() as session:
        row = session.scalars(select(AssociationRow)).one()
    assert (row.calling_ae_title, row.peer, row.tls_version, row.certificate_sha256) == ("XRAY3", "room3", None, None)


def test_peer_at_its_limit_is_told_to_come_back_and_takes_nobody_elses_place(guarded: Receiver) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(opened(guarded, "XRAY3"))
        assert first.is_established
        assert stack.enter_context(opened(guarded, "XRAY3")).is_established
        assert answer(stack.enter_context(opened(guarded, "XRAY3"))) == (2, 3, 2)
        assert stack.enter_context(opened(guarded, "XRAY1")).is_established
    (refusal,) = Evidence(guarded.database).rejected()
    assert (refusal.reason, refusal.audit_code) == ("peer_association_limit", None)


def test_rejected_association_takes_no_place_of_its_peer(guarded: Receiver) -> None:
    for _ in range(3):
        with opened(guarded, "XRAY3", "OTHER") as assoc:
            assert assoc.is_rejected
    guarded.server.drain(5)
    # the peer may have two at a time, and both places are free
    assert [guarded.server._counts.take_peer(2, 2) for _ in range(3)] == [True, True, False]


def test_flood_of_strangers_is_bounded_in_the_audit(guarded: Receiver) -> None:
    from gateway.receive.security_alerts import PER_WINDOW

    for _ in range(PER_WINDOW + 5):
        with opened(guarded, "STRANGER") as assoc:
            assert assoc.is_rejected
    assert len(Evidence(guarded.database).rejected()) == PER_WINDOW
    with opened(guarded, "XRAY1") as assoc:
        assert assoc.is_established
