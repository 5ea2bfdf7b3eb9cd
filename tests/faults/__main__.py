"""Run the faults (all, or those whose numbers are given); last line JSON. Exit 0: all as expected; 1: not all; 2: no gateway starts here.

A whole run writes docs/faults.md; a run of some shows what it saw only, and with --write brings their rows there up to date.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.faults.catalogue import FAULTS
from tests.faults.running import observe, start_trouble
from tests.faults.table import PAGE, page, updated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("numbers", nargs="*", type=int, help="only these faults")
    parser.add_argument("--write", action="store_true", help="their rows into docs/faults.md, the other rows as they are")
    parser.add_argument("--bundle", type=Path, help="a demonstration bundle that is there already")
    chosen = parser.parse_args()
    # pydicom speaks of odd header values, which are written on purpose here
    warnings.simplefilter("ignore", UserWarning)
    # ended from outside, mounts and processes are undone all the same
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    faults = [fault for fault in FAULTS if not chosen.numbers or fault.number in chosen.numbers]
    observations = []
    with tempfile.TemporaryDirectory(prefix="strnet-faults-") as temporary:
        bundle = chosen.bundle
        if bundle is None:
            bundle = Path(temporary) / "bundle"
            create_demonstration_bundle(bundle)
        trouble = start_trouble(bundle)
        if trouble:
            sys.stderr.write(trouble)
            return 2
        for fault in faults:
            began = time.monotonic()
            observation = observe(fault, bundle)
            observations.append(observation)
            verdict = "as expected" if observation.as_expected else "NOT AS EXPECTED"
            print(f"{fault.number:>3}  {verdict:<15}  {time.monotonic() - began:5.1f} s  {fault.what}", flush=True)
            print(f"     expected: {fault.expected}\n     observed: {observation.words}", flush=True)
            if observation.detail:
                print(observation.detail, flush=True)
    if not chosen.numbers:
        PAGE.write_text(page(observations), encoding="utf-8")
    elif chosen.write:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), observations), encoding="utf-8")
    summary = {"faults": len(observations), "as_expected": sum(observation.as_expected for observation in observations)}
    print(json.dumps(summary))
    return 0 if summary["faults"] == summary["as_expected"] else 1


if __name__ == "__main__":
    sys.exit(main())
