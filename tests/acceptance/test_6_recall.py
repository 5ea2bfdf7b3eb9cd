"""A recall of a bundle, with `serve` and the command as processes: a note for every report in the archive, and the bundle runs no more."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.acceptance.serving import Serving
from tests.acceptance.test_3_serve import send, strnet_gateway
from tests.peers.orthanc import Orthanc


@pytest.mark.long
def test_recalled_bundle_is_rejected_in_the_archive_and_refused_by_serve(own_gateway: Serving, own_pacs: Orthanc) -> None:
    gateway, config = own_gateway, str(own_gateway.config)

    def held() -> Counter[str]:
        return Counter(one["Modality"] for one in own_pacs.instances().values())

    def recall(*more: str) -> dict[str, int]:
        found = next(line["bundle_hash"] for line in gateway.lines() if line["event"] == "role:started" and "bundle_hash" in line)
        words = ("recall", "--config", config, "--bundle", found[:12], "--reason", "patient_safety", "--by", "anna", "--json")
        done = strnet_gateway(*words, *more)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout).get("done", {}))

    for number in (1, 2):
        send(gateway, number)
    gateway.wait_quiet()
    assert held() == {"SR": 2, "OT": 4}
    recall("--dry-run")
    assert recall("--yes") == {"taken_back": 2, "already": 0, "cancelled": 0, "notes_due": 2, "newly_closed": 1}
    gateway.wait_for(lambda: held()["KO"] == 2, 60, "no notes")
    assert recall("--yes") == {"taken_back": 0, "already": 2, "cancelled": 0, "notes_due": 0, "newly_closed": 0}
    gateway.wait_quiet()
    assert held() == {"SR": 2, "OT": 4, "KO": 2}
    gateway.stop()
    refused = strnet_gateway("serve", "--config", config)
    assert refused.returncode == 1
    assert "recalled" in refused.stderr
