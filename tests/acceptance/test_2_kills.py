"""kill -9 of each role under load: nothing acknowledged is lost, no result is there twice, the ledgers close."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset

from gateway.config import load_settings
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from gateway.store.database import Database
from gateway.store.tables import AuditEventRow, InstanceRow
from tests.acceptance.serving import Serving, write_config
from tests.peers import dcmtk
from tests.peers.orthanc import Orthanc
from tests.peers.raw_scu import association, send_bytes

STUDIES = 8


def phantom(number: int) -> FileDataset:
    study = PhantomStudy(
        seed=7,
        number=number,
        patient_name=f"KILL^{number}",
        patient_id=f"KILL{number}",
        birth_date="19500101",
        sex="F",
        taken_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        accession_number=f"KILL-{number}",
    )
    side = "R" if number % 2 else "L"
    return phantom_instance(study, phantom_parameters(side=side, density=number / STUDIES, rows=600, columns=500), instance_number=1)


def data_set(instance: FileDataset) -> bytes:
    buffer = BytesIO()
    instance.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=False)
    content = buffer.getvalue()
    return content[content.index(b"\x08\x00\x05\x00") :]


def send_until_acknowledged(gateway: Serving, instance: FileDataset, acknowledged: dict[str, str]) -> None:
    """As a router does: again until it is told 0000. What it was told counts."""
    content, deadline = data_set(instance), time.monotonic() + 90
    uid, sop_class = str(instance.SOPInstanceUID), str(instance.SOPClassUID)
    while time.monotonic() < deadline:
        try:
            with association(gateway.port, [(sop_class, "1.2.840.10008.1.2.1")]) as assoc:
                if assoc.is_established and send_bytes(assoc, content, sop_class_uid=sop_class, sop_instance_uid=uid)[0] == 0:
                    acknowledged[uid] = hashlib.sha256(content).hexdigest()
                    return
        except (OSError, RuntimeError, ValueError, IndexError):
            pass
        time.sleep(0.1)
    raise AssertionError("never acknowledged")


def kill_in_flight(gateway: Serving, role: str, in_flight: Callable[[], bool]) -> None:
    """kill -9 at a moment when the role has something in its hands."""
    gateway.wait_for(in_flight, 90, f"{role} never had anything in flight")
    gateway.kill(role)


@pytest.fixture
def killed_gateway(tmp_path: Path, demonstration_bundle: Path) -> Iterator[tuple[Serving, Orthanc, dict[str, str]]]:
    """Eight studies sent while every role, and at last the supervisor with all of them, is killed with work in its hands."""
    dcmtk.need()
    orthanc = Orthanc()
    orthanc.start()
    gateway = Serving(write_config(tmp_path, bundle=demonstration_bundle, pacs_port=orthanc.dicom_port)).start()
    acknowledged: dict[str, str] = {}
    instances = [phantom(number) for number in range(1, STUDIES + 1)]
    senders = [
        threading.Thread(target=lambda part=part: [send_until_acknowledged(gateway, i, acknowledged) for i in part])
        for part in (instances[::2], instances[1::2])
    ]
    jobs = gateway.queries().status
    # a data set is on its way: its partial file is there
    watch = threading.Thread(
        target=kill_in_flight, args=(gateway, "receiver", lambda: any((tmp_path / "spool/instance").glob("*/*.part")) or bool(acknowledged))
    )
    watch.start()
    for sender in senders:
        sender.start()
    watch.join()
    kill_in_flight(gateway, "worker", lambda: "analyze_instance running" in jobs().jobs)
    for sender in senders:
        sender.join()
    kill_in_flight(gateway, "sender", lambda: any(key.startswith("deliver_result") for key in jobs().jobs))
    # and everything at once, with what is under way
    pids = [gateway.pid(role) for role in ("receiver", "worker", "sender")]
    gateway.kill_all()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid or 0, signal.SIGKILL)
    gateway.start()
    yield gateway, orthanc, acknowledged
    gateway.stop()
    orthanc.stop()


def test_nothing_acknowledged_is_lost_and_no_result_is_there_twice(killed_gateway: tuple[Serving, Orthanc, dict[str, str]]) -> None:
    gateway, orthanc, acknowledged = killed_gateway
    status = gateway.wait_quiet()
    assert len(acknowledged) == STUDIES
    with closing(Database(load_settings(gateway.config).database.url)) as database, database.reading() as session:
        kept = {row.sop_instance_uid: (row.dataset_digest, row.outcome) for row in session.query(InstanceRow)}
        expired = session.query(AuditEventRow).filter(AuditEventRow.event == "job:lease_expired").count()
    assert kept == {uid: (digest, "assessed") for uid, digest in acknowledged.items()}
    assert expired >= 1
    assert all(ledger.closed for ledger in status.ledgers), status.ledgers
    per_study: dict[str, list[str]] = {}
    for instance in orthanc.instances().values():
        per_study.setdefault(instance["StudyInstanceUID"], []).append(f"{instance['Modality']}{instance['InstanceNumber']}")
    assert len(per_study) == STUDIES
    assert {tuple(sorted(kinds)) for kinds in per_study.values()} == {("OT1", "OT2", "SR1")}
    deaths = [line for line in gateway.log().splitlines() if '"role:died"' in line and '"exit_code": -9' in line]
    assert len(deaths) == 3
