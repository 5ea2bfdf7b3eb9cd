"""The loop of evidence at the command line: what was sent over the wire is told by `audit received`, `audit rejected` and `explain`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.store.conflicts import Conflicts
from gateway.store.database import Database
from gateway.store.spool import Spool
from tests.integration.bench import new_bench
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, EXPLICIT, dx
from tests.peers.raw_scu import association, send_bytes

PEERS = [{"name": "room1", "ae_title": "XRAY1"}, {"name": "archive", "ae_title": "PACS"}]


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    config = tmp_path / "config.toml"
    config.write_text(f'[serve]\ndevelopment = true\n[database]\nurl = "{database_url}"\n')

    def run(*arguments: str) -> Any:
        return CliRunner(env={"COLUMNS": "400"}).invoke(app, [*arguments, "--config", str(config)])

    return run


@pytest.fixture
def told(receivers: Callable[..., Receiver]) -> Receiver:
    """A good instance from the room and again from the archive, a truncated one, a stranger."""
    receiver = receivers(serve={"development": False}, peers=PEERS)
    for calling, content, uid in (("XRAY1", dx(), "1.2.3.1"), ("PACS", dx(), "1.2.3.1"), ("XRAY1", dx("1.2.3.2")[:-20], "1.2.3.2")):
        with association(receiver.port, [(DX, EXPLICIT)], calling=calling) as assoc:
            send_bytes(assoc, content, sop_class_uid=DX, sop_instance_uid=uid)
    with association(receiver.port, [(DX, EXPLICIT)], calling="STRANGER") as assoc:
        assert assoc.is_rejected
    receiver.server.drain(5)
    return receiver


def test_received_says_who_what_when_from_where_in_which_syntax_and_the_answer(told: Receiver, command: Callable[..., Any]) -> None:
    before = datetime.now(UTC) - timedelta(minutes=10)
    entries = json.loads(command("audit", "received", "--json").stdout)
    assert [(e["peer"], e["calling_ae_title"], e["sop_instance_uid"], e["dimse_status"], e["reason"]) for e in entries] == [
        ("room1", "XRAY1", "1.2.3.1", "0000", "stored"),
        ("archive", "PACS", "1.2.3.1", "0000", "received_again"),
        ("room1", "XRAY1", "1.2.3.2", "C005", "pixel_data_truncated"),
    ]
    for entry in entries:
        assert (entry["peer_address"], entry["called_ae_title"], entry["transfer_syntax_uid"]) == ("127.0.0.1", "STRNET", EXPLICIT)
        assert (entry["sop_class_uid"], entry["way"], entry["tls_version"]) == (DX, "c_store", None)
        assert datetime.fromisoformat(entry["received_at"]) > before
    table = command("audit", "received").stdout
    assert "XRAY1 127.0.0.1" in table
    assert "plain" in table
    assert "C005" in table


def test_received_is_asked_by_key_sender_time_and_number(told: Receiver, command: Callable[..., Any]) -> None:
    stored, again, truncated = "stored", "received_again", "pixel_data_truncated"
    asked = {
        "1.2.3.1": [stored, again],
        "A1": [stored, again],
        "1.2.4": [stored, again],
        "1.2.3.2": [truncated],
        "unknown": [],
        "--from PACS": [again],
        "--limit 2": [again, truncated],
        "--since 2020-01-01": [stored, again, truncated],
        "--since 2999-01-01": [],
    }
    for arguments, reasons in asked.items():
        done = command("audit", "received", "--json", *arguments.split())
        assert [entry["reason"] for entry in json.loads(done.stdout)] == reasons, arguments
        assert done.exit_code == (1 if arguments == "unknown" else 0)


def test_rejected_names_the_stranger_and_why(told: Receiver, command: Callable[..., Any]) -> None:
    (entry,) = json.loads(command("audit", "rejected", "--json").stdout)
    assert (entry["calling_ae_title"], entry["peer_address"], entry["reason"], entry["audit_code"], entry["count"]) == (
        "STRANGER",
        "127.0.0.1",
        "peer_not_listed",
        "110113",
        1,
    )
    assert "peer_not_listed" in command("audit", "rejected").stdout
    assert json.loads(command("audit", "rejected", "--json", "--since", "2999-01-01").stdout) == []


def test_explain_tells_each_road(told: Receiver, command: Callable[..., Any]) -> None:
    text = command("explain", "1.2.3.1").stdout
    assert f"from XRAY1 (127.0.0.1, plain), syntax {EXPLICIT}: 0000 stored" in text
    assert f"from PACS (127.0.0.1, plain), syntax {EXPLICIT}: 0000 received_again" in text
    refused = command("explain", "1.2.3.2").stdout
    assert refused.startswith("refused ")
    assert "C005 pixel_data_truncated" in refused


def test_conflict_is_listed_and_decided_at_the_command_line(database: Database, spool: Spool, command: Callable[..., Any]) -> None:
    here = new_bench(database, spool)
    uid = here.receive(1)
    here.work()
    assert command("conflicts", "list").exit_code == 0
    here.receive(1, StudyInstanceUID="2.25.4711", ImageLaterality="L")
    here.work()
    listed = command("conflicts", "list", "--json")
    assert listed.exit_code == 1
    (entry,) = json.loads(listed.stdout)
    assert entry["sop_instance_uid"] == uid
    assert "PatientID" not in listed.stdout
    assert "conflicts list" in command("status").stdout
    decide = ("conflicts", "decide", entry["instance_id"], "--decision", "keep_first", "--reason", "wrong_patient")
    assert command(*decide).exit_code == 2
    # the audit is append-only: no sentence may come into it, which may name a patient
    assert command(*decide, "--by", "Anna for Mrs Miller").exit_code == 2
    assert len(Conflicts(database).open()) == 1
    assert command(*decide, "--by", "anna").exit_code == 0
    assert Conflicts(database).open() == ()
    timeline = command("audit", "timeline", uid).stdout
    assert "conflict:decided" in timeline
    assert "wrong_patient" in timeline
    assert {line.rpartition(" ")[2] for line in timeline.splitlines() if "conflict:decided" in line} == {"by=anna"}
