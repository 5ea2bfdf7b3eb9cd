"""`strnet-gateway check` against a running gateway and a real PACS with storage commitment: what it says, and what everybody holds after."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.acceptance.serving import Serving, write_config
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import free_port

KOS = "1.2.840.10008.5.1.4.1.1.88.59"


class Site:
    def __init__(self, folder: Path, bundle: Path) -> None:
        own_port = free_port()
        modality = {"AET": "STRNET", "Host": "127.0.0.1", "Port": own_port, "AllowStorageCommitment": True, "AllowFind": True}
        self.pacs = Orthanc(modalities={"gateway": modality})  # type: ignore[dict-item]
        self.pacs.start()
        routes = """
[[routes]]
name = "check"
when = { keyword = "PatientID", regex = "^STRNET-PHANTOM-" }
policy = "all"
destinations = ["pacs"]
"""
        config = write_config(folder, bundle=bundle, pacs_port=self.pacs.dicom_port, policy="shadow")
        text = config.read_text().replace("port = 0", f"port = {own_port}", 1).replace("[[routes]]", f"{routes}\n[[routes]]", 1)
        config.write_text(text.replace('class = "test"', 'class = "test"\ncommitment = "storage_commitment"'))
        self.gateway = Serving(config)

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.cli.main", "check", *arguments, "--config", str(self.gateway.config), "--timeout", "60"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def held(self) -> list[dict[str, str]]:
        return list(self.pacs.instances().values())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demonstration_bundle: Path) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("check"), demonstration_bundle)
    found.gateway.start()
    yield found
    found.gateway.stop()
    found.pacs.stop()


def bad(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["standing"] == "bad"]


def test_phantom_makes_the_round_trip_out_of_a_site_in_shadow_and_is_rejected_again(site: Site) -> None:
    done = site.check("pacs", "--by", "tester", "--json")
    lines = json.loads(done.stdout)
    assert bad(lines) == []
    assert done.returncode == 0
    steps = [line["step"] for line in lines if line["standing"] == "good"]
    assert steps[-7:] == ["received", "analysed", "reported", "delivered", "found", "committed", "rejected again"]
    held = site.held()
    assert sorted(one["Modality"] for one in held) == ["KO", "OT", "OT", "SR"]
    assert {one["PatientID"].startswith("STRNET-PHANTOM-") for one in held} == {True}
    (note,) = [one for one in held if one["SOPClassUID"] == KOS]
    rejected = dcmread(BytesIO(site.pacs.file(note["orthanc"])))
    assert rejected.ConceptNameCodeSequence[0].CodeValue == "113001"
    named = {
        item.ReferencedSOPInstanceUID
        for study in rejected.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {one["SOPInstanceUID"] for one in held} - {note["SOPInstanceUID"]}


def test_database_tells_the_same_and_counts_nobody(site: Site) -> None:
    study = site.held()[0]["StudyInstanceUID"]
    story = site.gateway.queries().explain(study)
    assert all(result.retracted_at for result in story.results if result.kind != "rejection")
    assert {delivery.state for result in story.results for delivery in result.deliveries if result.kind != "rejection"} == {"committed"}
    status = site.gateway.wait_quiet()
    assert {ledger.name: ledger.counts for ledger in status.ledgers if ledger.name != "receipts"} == {
        "instances": {"phantom": 1},
        "knees": {"phantom": 1},
    }
    assert all(ledger.closed for ledger in status.ledgers)
    events = [(entry.event, entry.actor) for entry in site.gateway.queries().timeline(study)]
    assert ("phantom:announced", "operator:tester") in events
    assert ("phantom:rejected", "operator:tester") in events


def test_second_phantom_is_another_one(site: Site) -> None:
    done = site.check()
    assert done.returncode == 0, done.stdout
    assert "GOOD  pacs, rejected again" in done.stdout
    assert len({one["PatientID"] for one in site.held()}) == 2


def test_no_round_trip_sends_nothing(site: Site) -> None:
    before = len(site.held())
    done = site.check("pacs", "--no-round-trip", "--json")
    assert done.returncode == 0
    assert "not_asked" in {line["code"] for line in json.loads(done.stdout)}
    assert len(site.held()) == before


def test_nothing_is_sent_while_the_pacs_is_down_and_the_wrong_name_is_wrong_use(site: Site) -> None:
    site.pacs.stop()
    done = site.check("pacs", "--json")
    lines = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(line["subject"], line["code"], line["side"]) for line in bad(lines)] == [("pacs", "connection_refused", "the destination")]
    assert lines[-1]["code"] == "first_things"
    assert site.check("pax").returncode == 2
    site.pacs.start()
