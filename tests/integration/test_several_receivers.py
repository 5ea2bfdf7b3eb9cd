"""Several receiver processes on one port: real processes under the real supervisor, without worker and sender."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.app.shared_port import reserve
from gateway.config import load_settings
from gateway.errors import PortTakenError
from gateway.store.database import Database
from gateway.store.tables import AssociationRow, InstanceRow
from tests.acceptance.serving import Serving, write_config
from tests.integration.test_receiver import DX, EXPLICIT, dx
from tests.peers.raw_scu import association, send_bytes

PROCESSES = 2
LIMIT = 4


class Receivers(Serving):
    """`serve --role receiver` with several processes."""

    def start(self) -> Receivers:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(self.config), "--role", "receiver"]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.wait_for(lambda: len(self.pids()) == PROCESSES, 120, "not all receivers started")
        return self

    def pids(self) -> list[int]:
        """Of all receivers that ever started, in order."""
        return [int(line["pid"]) for line in self._started("receiver")]

    def dead(self) -> list[int]:
        return [int(line["pid"]) for line in self.lines() if line["event"] == "role:died" and "pid" in line]

    def endings(self) -> list[str | None]:
        """Of all associations that brought something, in the order of their endings; None = open."""
        database = Database(load_settings(self.config).database.url)
        with database.reading() as session:
            found = session.scalars(select(AssociationRow.ending).join(InstanceRow, InstanceRow.first_association_id == AssociationRow.id))
            endings = sorted(set(found), key=lambda ending: ending or "z")
        database.close()
        return endings

    def swept(self) -> int:
        return len([line for line in self.lines() if line["event"] == "spool:swept"])


def serving(tmp_path: Path, bundle: Path, **settings: int) -> Iterator[Receivers]:
    config = write_config(tmp_path / "gateway", bundle=bundle, pacs_port=1)
    lines = "".join(f"{key} = {value}\n" for key, value in {"processes": PROCESSES, "self_check_seconds": 0, **settings}.items())
    config.write_text(config.read_text().replace("[receiver]\n", f"[receiver]\n{lines}"))
    running = Receivers(config).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def receivers(tmp_path: Path, demonstration_bundle: Path) -> Iterator[Receivers]:
    yield from serving(tmp_path, demonstration_bundle)


@pytest.fixture
def limited(tmp_path: Path, demonstration_bundle: Path) -> Iterator[Receivers]:
    yield from serving(tmp_path, demonstration_bundle, max_associations=LIMIT)


def holder(receivers: Receivers, assoc: Any) -> int:
    """The process at the other end of an association: the one that has the connection's socket."""
    local = assoc.dul.socket.socket.getsockname()[1]
    inode = next(
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if int(line.split()[2].split(":")[1], 16) == local and int(line.split()[1].split(":")[1], 16) == receivers.port
    )
    for pid in receivers.pids():
        folder = Path(f"/proc/{pid}/fd")
        if folder.is_dir() and any(str(entry.readlink()) == f"socket:[{inode}]" for entry in folder.iterdir()):
            return pid
    raise AssertionError("nobody holds it")


def store(assoc: Any, uid: str) -> int | None:
    return send_bytes(assoc, dx(uid), sop_class_uid=DX, sop_instance_uid=uid)[0]


def test_receivers_share_the_port_and_one_that_dies_disturbs_no_other(receivers: Receivers) -> None:
    assert len({int(line["port"]) for line in receivers._started("receiver")}) == 1
    assert receivers.swept() == 1
    with ExitStack() as stack:
        held: dict[int, Any] = {}
        uids = iter(f"1.2.3.{number}" for number in range(1, 1000))
        while len(held) < PROCESSES:
            assoc = stack.enter_context(association(receivers.port, [(DX, EXPLICIT)]))
            assert assoc.is_established
            held[holder(receivers, assoc)] = assoc
        stored = 0
        for assoc in held.values():
            assert store(assoc, next(uids)) == 0
            stored += 1
        victim, survivor = sorted(held)
        abandoned = receivers.folder / "spool/instance/ff" / ("ff" * 16 + ".part")
        abandoned.write_bytes(b"half")
        os.kill(victim, signal.SIGKILL)
        # the other one goes on, and takes whoever comes
        assert store(held[survivor], next(uids)) == 0
        # until it is gone for the kernel too: a connection may still be given to a process that is being killed
        receivers.wait_for(lambda: victim in receivers.dead(), 60, "its death was not noticed")
        with association(receivers.port, [(DX, EXPLICIT)]) as new:
            assert store(new, next(uids)) == 0
        stored += 2
        receivers.wait_for(lambda: len(receivers.pids()) == PROCESSES + 1, 60, "not started again")
        # what the dead one left was swept before its successor listened, beside the living one
        assert not abandoned.exists()
        assert receivers.swept() == 2
        # its association is ended; the one of the living receiver is not
        assert receivers.endings() == ["process_died", "released", None]
        assert store(held[survivor], next(uids)) == 0
        stored += 1

        # SIGTERM to one: it finishes what it has, the other one is left alone
        os.kill(survivor, signal.SIGTERM)
        assert store(held[survivor], next(uids)) == 0
        stored += 1
    receivers.wait_for(lambda: len(receivers.pids()) == PROCESSES + 2, 60, "not started again")
    database = Database(load_settings(receivers.config).database.url)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(InstanceRow)) == stored
    database.close()


def test_limit_of_associations_holds_for_all_receivers_together_and_a_dead_ones_places_come_back(limited: Receivers) -> None:
    def is_taken() -> bool:
        with association(limited.port, [(DX, EXPLICIT)]) as another:
            return bool(another.is_established)

    with ExitStack() as stack:
        held = [stack.enter_context(association(limited.port, [(DX, EXPLICIT)])) for _ in range(LIMIT)]
        assert all(assoc.is_established for assoc in held)
        # the kernel gives each of these to one of the two: neither has room
        assert not any(is_taken() for _ in range(10))
        victim = holder(limited, held[0])
        lost = [assoc for assoc in held if holder(limited, assoc) == victim]
        os.kill(victim, signal.SIGKILL)
        limited.wait_for(lambda: victim in limited.dead(), 60, "its death was not noticed")
        limited.wait_for(lambda: len(limited.pids()) == PROCESSES + 1, 60, "not started again")
        again = [stack.enter_context(association(limited.port, [(DX, EXPLICIT)])) for _ in range(len(lost) + 5)]
        assert sum(assoc.is_established for assoc in again) == len(lost)


def test_port_of_somebody_else_is_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other, pytest.raises(PortTakenError):
        reserve("127.0.0.1", other.getsockname()[1], seconds=0, stop=threading.Event())


def test_reserved_port_is_kept_and_takes_no_connections() -> None:
    with reserve("127.0.0.1", 0, seconds=0, stop=threading.Event()) as reserved:
        port = reserved.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.create_server(("127.0.0.1", port), reuse_port=True) as receiver:
            caller = socket.create_connection(("127.0.0.1", port), timeout=5)
            receiver.accept()[0].close()
            caller.close()
