"""Who sent an instance is on record before success is answered; what nobody is known to have sent goes by no peer's route."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.config import parse_settings
from gateway.domain.answered import OpenedAssociation
from gateway.errors import DatabaseUnavailableError, SpoolNotDurableError
from gateway.receive.sweep import sweep
from gateway.routing.router import Router
from gateway.store.instances import Instances
from gateway.store.inventory import Inventory
from gateway.store.receipts import Receipts
from gateway.store.tables import AssociationRow, InstanceRow, ReceiptRow
from tests.integration.bench import Bench
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, dx, store
from tests.peers.raw_scu import association, send_bytes

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def test_association_that_could_not_be_recorded_is_recorded_at_its_next_c_store(
    receivers: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receivers()
    opened, calls = Receipts.open_association, []

    def open_association(self: Receipts, who: OpenedAssociation) -> str:
        calls.append(who)
        if len(calls) < 3:
            raise DatabaseUnavailableError("a blip")
        return opened(self, who)

    monkeypatch.setattr(Receipts, "open_association", open_association)
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        first, _ = send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")
        again, _ = send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")
    assert (first, again) == (0xA700, 0)
    with receiver.database.reading() as session:
        ids = [row.id for row in session.scalars(select(AssociationRow))]
        assert len(ids) == 1
        assert {row.first_association_id for row in session.scalars(select(InstanceRow))} == set(ids)
        assert {row.association_id for row in session.scalars(select(ReceiptRow)) if row.dimse_status == 0} == set(ids)


def orphan(receiver: Receiver, uid: str = "1.2.3.1") -> str:
    """A whole file whose receiver died before its row was there; its name in the spool."""
    store(receiver, dx(uid), uid)
    with receiver.database.engine.begin() as connection:
        name = str(connection.exec_driver_sql("SELECT file FROM instance").scalar_one())
        for table in ("receipt", "job", "instance"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    return name


def swept(receiver: Receiver) -> None:
    sweep(receiver.spool, Inventory(receiver.database, "test"), Receipts(receiver.database, "test", receiver.spool))


def test_adopted_file_and_its_name_are_made_durable_before_they_have_a_row(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    name = orphan(receiver)
    synced, fsync = [], os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        with receiver.database.reading() as session:
            assert session.scalars(select(InstanceRow.id)).all() == []
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    swept(receiver)
    path = receiver.spool.path(name).resolve()
    assert synced == [path, path.parent]
    with receiver.database.reading() as session:
        assert len(session.scalars(select(InstanceRow.id)).all()) == 1


def test_adopted_file_that_cannot_be_made_durable_gets_no_row(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan(receiver)

    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(SpoolNotDurableError):
        swept(receiver)
    with receiver.database.reading() as session:
        assert session.scalars(select(InstanceRow.id)).all() == []


def test_adopted_instance_has_the_sender_who_sends_it_again(receiver: Receiver) -> None:
    orphan(receiver)
    swept(receiver)
    with receiver.database.reading() as session:
        (row,) = session.scalars(select(InstanceRow)).all()
        assert row.first_association_id is None
    assert Instances(receiver.database).peer_of(row.id) == ""
    assert store(receiver, dx())[0] == 0
    with receiver.database.reading() as session:
        assert session.scalars(select(InstanceRow.first_association_id)).one() is not None


PEERS = [{"name": "ward", "ae_title": "WARD", "routes": ["research"]}, {"name": "room", "ae_title": "ROOM"}]
ROUTES = [{"name": "research", "policy": "shadow"}, {"name": "all", "policy": "all"}]


def test_instance_of_an_unknown_sender_goes_by_no_route_where_a_peer_has_its_own(bench: Callable[..., Bench]) -> None:
    here = bench()
    base = here.settings.model_dump(mode="json", by_alias=True, exclude={"routes", "database", "peers"})
    here.settings = parse_settings({**base, "routes": ROUTES, "peers": PEERS})
    uid = here.receive(1)
    here.work()
    assert here.outcome(uid) == "ineligible_route"
    association_id = Receipts(here.database, "test", here.spool).open_association(
        OpenedAssociation(calling_ae_title="ROOM", called_ae_title="STRNET", peer_address="127.0.0.1", way="c_store")
    )
    here.receive(1, association=association_id)
    here.work()
    assert here.outcome(uid) == "assessed"


def test_where_no_peer_has_routes_an_unknown_sender_changes_nothing() -> None:
    settings = parse_settings({"routes": ROUTES, "peers": [{"name": "room", "ae_title": "ROOM"}]})
    assert Router(settings)._allowed("") == {"research", "all"}


@pytest.mark.parametrize("group", [0x0002, 0x0000])
def test_data_set_with_elements_of_the_command_or_of_file_meta_is_refused(receiver: Receiver, group: int) -> None:
    foreign = group.to_bytes(2, "little") + b"\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\x00"
    status, _ = store(receiver, foreign + dx())
    assert status == 0xC001
    with receiver.database.reading() as session:
        assert session.scalars(select(InstanceRow.id)).all() == []
