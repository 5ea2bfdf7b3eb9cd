"""The wrong-patient story against a real archive, step by step: what it holds after each message, and how `explain` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.domain.story import CaseStory
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from tests.acceptance.serving import Serving
from tests.doubles.key_objects import WORKLIST, key_objects, part10
from tests.peers import dcmtk
from tests.peers.orthanc import Orthanc

WRONG, RIGHT = "WRONG-PATIENT-ID", "RIGHT-PATIENT-ID"
WITHIN_SECONDS = 60


def image(number: int, patient_id: str) -> Dataset:
    study = PhantomStudy(
        seed=23,
        number=number,
        patient_name="STORY^OF",
        patient_id=patient_id,
        birth_date="19500101",
        sex="F",
        taken_at=datetime(2026, 1, 2, tzinfo=UTC),
        accession_number=f"STORY{number}",
    )
    return phantom_instance(study, phantom_parameters(side="R", rows=600, columns=500), instance_number=1)


def renamed(source: Dataset, ending: int) -> Dataset:
    """The same image as a workstation sends it anew: every UID is another one."""
    source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID = (
        f"1.2.826.0.1.3680043.10.511.9.{ending}.{n}" for n in range(3)
    )
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    return source


class Story:
    """Messages to the gateway, and what the archive holds afterwards."""

    def __init__(self, gateway: Serving, pacs: Orthanc, folder: Path) -> None:
        self.gateway, self._pacs, self._folder = gateway, pacs, folder
        self._before = set(pacs.instances())

    def send(self, message: Path, *, calling: str) -> list[tuple[str, str]]:
        """(modality, patient id) of all that the archive holds since the story began, sorted."""
        assert "Received Store Response (Success)" in dcmtk.storescu([message], port=self.gateway.port, calling=calling)
        self.gateway.wait_quiet()
        return sorted((one["Modality"], one["PatientID"]) for one in self.holds().values())

    def holds(self) -> dict[str, dict[str, str]]:
        return {uid: tags for uid, tags in self._pacs.instances().items() if uid not in self._before}

    def write(self, dataset: Dataset, name: str) -> Path:
        path = self._folder / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    def reject(self, uid: str, study: str, name: str, kos: str) -> Path:
        path = self._folder / name
        path.write_bytes(part10(key_objects(WORKLIST, [(uid, study)], uid=kos, patient_id=WRONG)))
        return path

    def named_by_note(self) -> set[str]:
        """What the archive is told to reject."""
        named: set[str] = set()
        for tags in self.holds().values():
            if tags["Modality"] == "KO":
                path = self._folder / "note.dcm"
                path.write_bytes(self._pacs.file(tags["orthanc"]))
                items = dcmread(path).ContentSequence
                named |= {str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for one in items if "ReferencedSOPSequence" in one}
        return named

    def case(self, key: str) -> CaseStory:
        (found,) = self.gateway.queries().explain(key).cases
        return found


@pytest.fixture
def story(gateway: Serving, pacs: Orthanc, tmp_path: Path) -> Story:
    return Story(gateway, pacs, tmp_path)


OF_WRONG = [("OT", WRONG), ("OT", WRONG), ("SR", WRONG)]
NOTE = [("KO", WRONG)]
OF_RIGHT = [("OT", RIGHT), ("OT", RIGHT), ("SR", RIGHT)]


def seconds_from_message_to_note(case: CaseStory) -> float:
    came = next(entry.at for entry in case.events if entry.event in ("correction:received", "case:opened"))
    (done, *_) = [entry.at for entry in case.events if entry.event == "report:rejected"]
    return (done - came).total_seconds()


def told(gateway: Serving, key: str) -> str:
    command = [sys.executable, "-m", "gateway.cli.main", "explain", key, "--config", str(gateway.config)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_rejected_at_the_source_and_sent_anew_under_the_right_patient(story: Story) -> None:
    wrong = image(1, WRONG)
    first = story.write(wrong, "wrong.dcm")
    note = story.reject(str(wrong.SOPInstanceUID), str(wrong.StudyInstanceUID), "note.kos", "1.2.826.0.1.3680043.10.511.9.9.1")
    again = story.write(renamed(image(1, RIGHT), 1), "right.dcm")

    assert story.send(first, calling="XRAY1") == sorted(OF_WRONG)
    results = set(story.holds())
    assert story.send(note, calling="PACS") == sorted([*OF_WRONG, *NOTE])
    assert story.named_by_note() == results
    assert story.send(again, calling="XRAY1") == sorted([*OF_WRONG, *NOTE, *OF_RIGHT])

    held = set(story.holds())
    for message, calling in ((first, "XRAY1"), (note, "PACS"), (again, "XRAY1")):
        story.send(message, calling=calling)
    assert set(story.holds()) == held

    case = story.case(str(wrong.SOPInstanceUID))
    assert case == story.case("1.2.826.0.1.3680043.10.511.9.1.2")
    assert (case.opened_by, case.state, {one.role for one in case.images}) == ("PACS", "settled", {"rejected", "replacement"})
    assert seconds_from_message_to_note(case) < WITHIN_SECONDS
    order = ["instance:assessed", "correction:received", "report:retracted", "report:rejected", "instance:assessed"]
    events = iter(entry.event for entry in case.events)
    assert all(step in events for step in order)
    text = told(story.gateway, "STORY1")
    assert f"case {case.case_id}" in text
    assert "PACS" in text
    for secret in (WRONG, RIGHT, "STORY^OF"):
        assert secret not in text


def test_same_uid_under_the_right_patient_is_enough(story: Story) -> None:
    wrong = image(2, WRONG)
    first, again = story.write(wrong, "wrong.dcm"), story.write(image(2, RIGHT), "right.dcm")
    assert story.send(first, calling="XRAY1") == sorted(OF_WRONG)
    results = set(story.holds())
    assert story.send(again, calling="PACS") == sorted([*OF_WRONG, *NOTE, *OF_RIGHT])
    assert story.named_by_note() == results
    held = set(story.holds())
    assert story.send(first, calling="XRAY1") == story.send(again, calling="PACS")
    assert set(story.holds()) == held
    case = story.case(str(wrong.SOPInstanceUID))
    assert {one.role for one in case.images} == {"replaced", "replacement"}
    assert seconds_from_message_to_note(case) < WITHIN_SECONDS


def test_cases_are_listed_as_json(story: Story) -> None:
    command = [sys.executable, "-m", "gateway.cli.main", "audit", "cases", "--json", "--config", str(story.gateway.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert {case["state"] for case in json.loads(done.stdout)} == {"settled"}
