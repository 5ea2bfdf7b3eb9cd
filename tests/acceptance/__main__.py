"""Sends studies in every order and by every road to a gateway over Orthanc, and prints what Orthanc holds after each step."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from pydicom import dcmread

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.acceptance.sequences import KNEES, ORDERS, Holding, SentStudy, audit
from tests.acceptance.serving import Serving, write_config
from tests.conftest import CASES
from tests.peers.dcmtk import STORESCU, storescu
from tests.peers.orthanc import BINARY, Orthanc


def main() -> int:
    if absent := [str(path) for path in (BINARY, STORESCU) if not path.exists()]:
        print(f"not installed: {', '.join(absent)} (make sequences PEERS=install)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="strnet-sequences-") as name:
        folder = Path(name)
        bundle = folder / "bundle"
        create_demonstration_bundle(bundle)
        pacs = Orthanc()
        pacs.start()
        gateway = Serving(write_config(folder / "gateway", bundle=bundle, pacs_port=pacs.dicom_port)).start()
        try:
            return _run(gateway, pacs, folder)
        finally:
            gateway.stop()
            pacs.stop()


def _run(gateway: Serving, pacs: Orthanc, folder: Path) -> int:
    steps = wrong = 0
    for title, order in ORDERS.items():
        print(f"\n{title}")
        study = SentStudy(gateway, pacs, folder)
        held = [_shown(study.send(" + ".join(step), [study.image(name) for name in step])) for step in order]
        held.append(_shown(study.send("everything again", [study.image(name) for name in reversed(order[-1])])))
        steps += len(held)
        wrong += sum(len(holding.current) > 1 for holding in held) + (held[-1].knees != KNEES)
        wrong += held[-1].results != held[-2].results
    print("\none image by other roads")
    roads = [_shown(holding) for holding in SentStudy(gateway, pacs, folder).by_roads()]
    wrong += sum(holding.results != roads[0].results for holding in roads)
    results, unequal = _made_again_twice(gateway, folder)
    print(f"\n{results} results, those of the real cases among them, made again twice: {unequal} files are not what was stored")
    print(json.dumps({"sequences": len(ORDERS) + 1, "steps": steps + len(roads), "wrong": wrong, "rebuilt": results, "unequal": unequal}))
    return 1 if wrong or unequal else 0


def _made_again_twice(gateway: Serving, folder: Path) -> tuple[int, int]:
    """How many results there are, and how many of their files were not the stored one both times."""
    for path in sorted(CASES.glob("*.dcm")):
        storescu(
            [path], port=gateway.port, syntax=dcmread(path, stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID", "")
        )
    gateway.wait_quiet()
    stored = {path.name: _sha256(path) for path in (gateway.folder / "spool" / "result").glob("*/*.dcm")}
    unequal = 0
    for again in (folder / "once", folder / "twice"):
        audit(gateway, "rebuild", "--into", str(again))
        unequal += len(set(stored.values()) ^ {_sha256(path) for path in again.glob("*.dcm")})
    return len(stored), unequal


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shown(holding: Holding) -> Holding:
    print(f"  {holding.line()}", flush=True)
    return holding


if __name__ == "__main__":
    sys.exit(main())
