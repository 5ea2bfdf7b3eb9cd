"""Runs the show; last line JSON. Exit 0: each result once at the PACS, all committed; 1: not so; 2: a peer is not installed."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.faults.senders import STORESCU
from tests.outages.show import FIFTY, SHORT, show
from tests.peers.orthanc import BINARY


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.outages")
    parser.add_argument("--short", action="store_true", help="with a few results instead of 50")
    parser.add_argument("--bundle", type=Path, help="a demonstration bundle that is there already")
    chosen = parser.parse_args()
    if absent := [str(path) for path in (Path(STORESCU), BINARY) if not path.exists()]:
        print(f"not installed: {', '.join(absent)} (make delivery-show PEERS=install)", file=sys.stderr)
        return 2
    # pydicom speaks of odd header values; ended from outside, every process and folder is cleared away all the same
    warnings.simplefilter("ignore", UserWarning)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    plan = SHORT if chosen.short else FIFTY
    with tempfile.TemporaryDirectory(prefix="strnet-outages-bundle-") as temporary:
        bundle = chosen.bundle
        if bundle is None:
            bundle = Path(temporary) / "bundle"
            create_demonstration_bundle(bundle)
        outcome = show(plan, bundle)
    print(json.dumps(asdict(outcome)))
    return 0 if outcome.is_good(plan) else 1


if __name__ == "__main__":
    sys.exit(main())
