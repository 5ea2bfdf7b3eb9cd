"""Prints the stories that a PACS administrator asks about, with what the commands say and what Orthanc holds after each step.

A wrong patient, a recall, and `check` of a healthy set-up and of broken ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.acceptance.serving import Serving, write_config
from tests.acceptance.test_6_corrections import RIGHT, WRONG, Story, image, renamed
from tests.peers.dcmtk import STORESCU
from tests.peers.orthanc import BINARY, Orthanc
from tests.peers.postgresql import free_port

_NOTE_UID: Final = "1.2.826.0.1.3680043.10.511.9.9.1"


def main() -> int:
    if absent := [str(path) for path in (BINARY, STORESCU) if not path.exists()]:
        print(f"not installed: {', '.join(absent)} (make stories PEERS=install)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="strnet-stories-") as name:
        folder = Path(name)
        bundle = folder / "bundle"
        create_demonstration_bundle(bundle)
        pacs = Orthanc(changes={"DicomCheckCalledAet": True})
        pacs.start()
        config = write_config(folder / "gateway", bundle=bundle, pacs_port=pacs.dicom_port)
        # `check` goes by the file: it must name the port
        config.write_text(config.read_text().replace("port = 0", f"port = {free_port()}", 1))
        gateway = Serving(config).start()
        try:
            story = Story(gateway, pacs, folder)
            wrong = _wrong_patient(story) + _recall(story)
            checks, wrong_checks = _checks(gateway, pacs, folder)
        finally:
            gateway.stop()
            pacs.stop()
    print(json.dumps({"stories": 3, "wrong": wrong + wrong_checks, "checks": checks}))
    return 1 if wrong + wrong_checks else 0


def _wrong_patient(story: Story) -> int:
    print("\nThe wrong patient")
    taken = image(1, WRONG)
    first = story.write(taken, "wrong.dcm")
    note = story.reject(str(taken.SOPInstanceUID), str(taken.StudyInstanceUID), "note.kos", _NOTE_UID)
    again = story.write(renamed(image(1, RIGHT), 1), "right.dcm")
    messages = {
        "the modality sends the image under the wrong patient": (first, "XRAY1"),
        "the PACS says that the image is rejected (113038)": (note, "PACS"),
        "the modality sends it anew under the right patient": (again, "XRAY1"),
    }
    for title, (message, calling) in messages.items():
        _shown(title, story.send(message, calling=calling))
    named, held = story.named_by_note(), set(story.holds())
    print(f"  the note that Orthanc holds rejects {len(named)} objects, those of {WRONG}: {named == _of(story, WRONG, besides='KO')}")
    for title, (message, calling) in messages.items():
        _shown(f"again: {title}", story.send(message, calling=calling))
    print(_command(story.gateway, "explain", str(taken.SOPInstanceUID)).stdout)
    return (named != _of(story, WRONG, besides="KO")) + (set(story.holds()) != held) + (not _of(story, RIGHT))


def _recall(story: Story) -> int:
    print("\nThe recall of a study")
    taken = image(5, RIGHT)
    before = Counter(one["Modality"] for one in story.holds().values())
    story.send(story.write(taken, "recalled.dcm"), calling="XRAY1")
    words = ("recall", "--study", str(taken.StudyInstanceUID), "--reason", "patient_safety", "--by", "anna")
    held = []
    for more in (("--dry-run",), ("--yes",), ("--yes",)):
        done = _command(story.gateway, *words, *more)
        story.gateway.wait_quiet()
        held.append(Counter(one["Modality"] for one in story.holds().values()) - before)
        print(
            f"$ strnet-gateway {' '.join((*words, *more))}\n{done.stdout}  exit code {done.returncode}; Orthanc holds of it: {dict(held[-1])}"
        )
    return (held[0] != {"SR": 1, "OT": 2}) + (held[1] != {"SR": 1, "OT": 2, "KO": 1}) + (held[2] != held[1])


def _checks(gateway: Serving, pacs: Orthanc, folder: Path) -> tuple[dict[str, list[str]], int]:
    strict = Orthanc(changes={f"DicomAlwaysAllow{what}": False for what in ("Echo", "Store", "Find")})
    strict.start()
    port = f"port = {pacs.dicom_port}"
    changes = {
        "healthy": (port, port),
        "nothing listens there": (port, f"port = {free_port()}"),
        "no such host": ('host = "127.0.0.1"', 'host = "pacs.invalid"'),
        "called by a wrong AE title": ('ae_title = "PACS"', 'ae_title = "PAX"'),
        "a PACS that does not know the gateway": (port, f"port = {strict.dicom_port}"),
        "TLS to a port without": (port, f"{port}\ntls = true"),
    }
    found: dict[str, list[str]] = {}
    wrong = 0
    try:
        for title, (old, new) in changes.items():
            config = folder / "gateway" / "checked.toml"
            before, table, destination = gateway.config.read_text().partition("[[destinations]]")
            config.write_text(before + table + destination.replace(old, new))
            how = ("--by", "anna") if title == "healthy" else ("--no-round-trip",)
            done = _command(gateway, "check", "pacs", *how, config=config)
            lines = json.loads(_command(gateway, "check", "pacs", "--no-round-trip", "--json", config=config).stdout)
            found[title] = [line["code"] for line in lines if line["standing"] == "bad"]
            wrong += (done.returncode == 0) != (title == "healthy") or bool(found[title]) != (title != "healthy")
            print(f"\ncheck: {title}\n{done.stdout}  exit code {done.returncode}")
    finally:
        strict.stop()
    return found, wrong


def _of(story: Story, patient: str, *, besides: str = "") -> set[str]:
    return {uid for uid, tags in story.holds().items() if tags["PatientID"] == patient and tags["Modality"] != besides}


def _shown(title: str, held: list[tuple[str, str]]) -> None:
    counts = Counter(f"{modality} of {patient}" for modality, patient in held)
    print(f"  {title}\n      Orthanc holds: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}", flush=True)


def _command(gateway: Serving, *words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", *words, "--config", str(config or gateway.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


if __name__ == "__main__":
    sys.exit(main())
