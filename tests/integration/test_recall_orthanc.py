"""A recall against a real archive, step by step: what the commands say, and what Orthanc holds after each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store.database import Database
from tests.integration.bench import Bench
from tests.integration.sending import sections, sender, stories, until
from tests.integration.test_recall import command
from tests.peers.orthanc import Orthanc


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def orthanc() -> Iterator[Orthanc]:
    found = Orthanc()
    found.start()
    yield found
    found.stop()


def held(orthanc: Orthanc) -> Counter[str]:
    return Counter(one["Modality"] for one in orthanc.instances().values())


def test_recalled_study_gets_one_note_in_the_archive_and_the_same_recall_again_none(
    bench: Callable[..., Bench], database: Database, orthanc: Orthanc, tmp_path: Path
) -> None:
    chosen = sections(pacs=orthanc.dicom_port)
    chosen["delivery"].update(response_seconds=10, message_seconds=30)
    here = bench(**chosen)
    study = here.study(here.receive(1))
    here.work(rounds=4)

    def all_sent() -> bool:
        return {one.state for one in stories(database, study)} == {"sent"}

    def said(*more: str) -> Any:
        words = ("recall", "--study", study, "--reason", "patient_safety", "--by", "anna", "--ticket", "INC-7", "--json")
        answer = command(here, tmp_path, *words, *more)
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    with sender(here.settings, here):
        assert until(all_sent, 60), stories(database, study)
        assert held(orthanc) == {"SR": 1, "OT": 2}

        plan = said("--dry-run")
        assert (plan["to_do"], plan["reports"][0]["destinations"][0]["effect"]) == (1, "reject")
        here.work(rounds=2)
        assert held(orthanc) == {"SR": 1, "OT": 2}

        assert said("--yes")["done"] == {"taken_back": 1, "already": 0, "cancelled": 0, "notes_due": 1, "newly_closed": 1}
        here.work(rounds=2)
        assert until(lambda: len(stories(database, study)) == 4 and all_sent(), 60), stories(database, study)
        assert held(orthanc) == {"SR": 1, "OT": 2, "KO": 1}

        assert said("--yes")["done"] == {"taken_back": 0, "already": 1, "cancelled": 0, "notes_due": 0, "newly_closed": 0}
        here.work(rounds=2)
    assert len(stories(database, study)) == 4
    assert held(orthanc) == {"SR": 1, "OT": 2, "KO": 1}
    assert _named_by_the_note(orthanc) == {uid for uid, one in orthanc.instances().items() if one["Modality"] != "KO"}


def _named_by_the_note(orthanc: Orthanc) -> set[str]:
    (note,) = [one["orthanc"] for one in orthanc.instances().values() if one["Modality"] == "KO"]
    tags = orthanc.get(f"/instances/{note}/simplified-tags")
    return {
        item["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"] for item in tags["ContentSequence"] if "ReferencedSOPSequence" in item
    }
