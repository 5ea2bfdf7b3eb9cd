"""SIGHUP: a good configuration is taken up without closing the port for long, a bad one leaves the old one in force."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.domain.alarm import Alarm
from gateway.domain.readiness import SupervisorStory
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.supervisors import Supervisors
from gateway.store.tables import AuditEventRow, ConfigVersionRow
from tests.acceptance.serving import Serving, write_config
from tests.integration.test_receiver import DX, EXPLICIT, dx
from tests.peers.postgresql import free_port
from tests.peers.raw_scu import association, send_bytes

ROLES = ("receiver", "sender")


class Reloading(Serving):
    """A gateway without its worker, on a port that stays."""

    def lines(self) -> list[dict[str, Any]]:
        """Without what is told in words: why a configuration was refused."""
        text = self._log.read_bytes()[self._offset :].decode()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith("{")]

    def hang_up(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGHUP)

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]

    def wait_told(self, event: str, count: int = 1) -> dict[str, Any]:
        self.wait_for(lambda: len(self.told(event)) >= count, 60, f"no {event}")
        return self.told(event)[-1]

    def change(self, before: str, after: str) -> None:
        text = self.config.read_text()
        assert before in text
        self.config.write_text(text.replace(before, after))

    def audited(self, event: str) -> list[AuditEventRow]:
        with Database(f"sqlite:///{self.folder / 'store.db'}").reading() as session:
            return list(session.scalars(select(AuditEventRow).where(AuditEventRow.event == event).order_by(AuditEventRow.seq)))

    def supervisors(self) -> tuple[SupervisorStory, ...]:
        return Supervisors(Database(f"sqlite:///{self.folder / 'store.db'}")).all()

    def alarms(self) -> tuple[Alarm, ...]:
        return Alarms(Database(f"sqlite:///{self.folder / 'store.db'}"), "test").standing()

    def versions(self) -> set[str]:
        with Database(f"sqlite:///{self.folder / 'store.db'}").reading() as session:
            return set(session.scalars(select(ConfigVersionRow.config_hash)))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, demonstration_bundle: Path) -> Iterator[Reloading]:
    """One for all tests of this page, which leave it as they found it but for the last."""
    metrics = f"[metrics]\nport = {free_port()}\n"
    config = write_config(tmp_path_factory.mktemp("reload"), bundle=demonstration_bundle, pacs_port=1, extra=metrics)
    config.write_text(config.read_text().replace("[receiver]\nport = 0", f'[receiver]\nae_title = "OLD"\nport = {free_port()}'))
    running = Reloading(config, roles=ROLES).start()
    yield running
    assert running.stop() == 0


def is_called(gateway: Serving, title: str) -> bool:
    try:
        with association(gateway.port, [(DX, EXPLICIT)], called=title) as assoc:
            return bool(assoc.is_established)
    except (AssertionError, OSError):
        return False


def asked(gateway: Reloading, path: str) -> tuple[int, dict[str, Any]]:
    port = gateway.told("metrics:served")[-1]["port"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_gateway_whose_roles_have_started_is_ready_in_every_answer(gateway: Reloading) -> None:
    assert asked(gateway, "/healthz") == (200, {"alive": True})
    gateway.wait_for(lambda: asked(gateway, "/readyz") == (200, {"ready": True, "hindrances": []}), 60, "not ready")
    gateway.wait_for(lambda: all(story.is_ready for story in gateway.supervisors()), 60, "not ready in the store")
    (story,) = gateway.supervisors()
    assert story.roles == ("sender", "receiver")
    assert story.config_hash == gateway.told("gateway:started")[-1]["config_hash"]
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "status", "--json", "--config", str(gateway.config)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["ready"] is True


def test_signal_without_a_change_restarts_nothing(gateway: Reloading) -> None:
    pids = [gateway.pid(role) for role in ROLES]
    gateway.hang_up()
    assert gateway.wait_told("config:reloaded")["reason"] == "unchanged"
    assert [gateway.pid(role) for role in ROLES] == pids


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("[receiver]", "[receivr]", "receivr"),
        ("[receiver]", "[receiver", None),
        ("store.db", "other.db", "database.url"),
        ('folder = "spool"', 'folder = "elsewhere"', "spool.folder"),
        ('class = "test"', 'class = "clinical"', None),
    ],
    ids=["unknown key", "no TOML", "other database", "other spool", "bundle below its destinations"],
)
def test_configuration_that_cannot_be_taken_up_leaves_the_old_one(gateway: Reloading, before: str, after: str, reason: str | None) -> None:
    pids = [gateway.pid(role) for role in ROLES]
    former = gateway.told("gateway:started")[-1]["config_hash"]
    text = gateway.config.read_text()
    count = len(gateway.told("config:rejected")) + 1
    gateway.change(before, after)
    gateway.hang_up()
    try:
        told = gateway.wait_told("config:rejected", count)
        gateway.wait_for(lambda: len(gateway.audited("config:rejected")) == count, 60, "not audited")
    finally:
        gateway.config.write_text(text)
    row = gateway.audited("config:rejected")[-1]
    assert row.detail["config_hash"] == told["config_hash"] == former
    assert row.detail.get("reason") == reason
    assert row.detail["error_class"]
    gateway.wait_for(lambda: bool(gateway.alarms()), 60, "no alarm")
    assert asked(gateway, "/readyz")[0] == 200
    assert is_called(gateway, "OLD")
    assert [gateway.pid(role) for role in ROLES] == pids
    assert [alarm.code for alarm in gateway.alarms()] == ["configuration_refused"]


def test_changed_receiver_is_handed_over_while_an_association_is_open(gateway: Reloading) -> None:
    sender, before = gateway.pid("sender"), gateway.pid("receiver")
    former = gateway.told("gateway:started")[-1]["config_hash"]
    count = len(gateway.told("config:reloaded")) + 1
    with association(gateway.port, [(DX, EXPLICIT)], called="OLD") as assoc:
        gateway.change('"OLD"', '"NEW"')
        gateway.hang_up()
        told = gateway.wait_told("config:reloaded", count)
        closed = closed_seconds(gateway, before)
        # the port is open again although an association of the old receiver goes on
        assert is_called(gateway, "NEW")
        assert send_bytes(assoc, dx("1.2.3"), sop_class_uid=DX, sop_instance_uid="1.2.3")[0] == 0
    gateway.wait_for(lambda: len(gateway.audited("config:reloaded")) == count, 60, "not audited")
    row = gateway.audited("config:reloaded")[-1]
    assert (row.detail["former_config_hash"], row.detail["config_hash"]) == (former, told["config_hash"])
    assert row.actor.startswith("operator:")
    assert row.detail["reason"] == "receiver"
    assert gateway.versions() == {former, told["config_hash"]}
    gateway.wait_for(lambda: len(gateway.told("role:stopped")) == 1, 60, "the old receiver did not end")
    assert gateway.pid("sender") == sender
    assert gateway.told("role:died") == []
    gateway.wait_for(lambda: not gateway.alarms(), 60, "the alarm stands still")
    # starting a process takes longer, on any machine
    assert closed < gateway.told("role:started")[-1]["duration_ms"] / 1000


def closed_seconds(gateway: Reloading, before: int | None) -> float:
    """The longest time for which the port was closed until another receiver than this one had started."""
    port, closed, longest, last = gateway.port, 0.0, 0.0, time.monotonic()
    while gateway.pid("receiver") == before:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            closed = 0.0
        except ConnectionRefusedError:
            closed += time.monotonic() - last
        last, longest = time.monotonic(), max(longest, closed)
        assert not gateway.told("role:died")
        time.sleep(0.02)
    return longest
