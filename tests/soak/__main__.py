"""Runs one soak; last line JSON. Exit 0: nothing lost, missing, twice or illegal; 1: something was; 2: a peer is not installed."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import uuid
import warnings
from pathlib import Path

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.faults.senders import STORESCU
from tests.peers.orthanc import BINARY
from tests.peers.postgresql import find_binaries
from tests.soak.run import soak

_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=20, help="of kills and load")
    parser.add_argument("--tail-minutes", type=float, default=10, help="at most so long for the queue to become empty")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", help="of a former run: the same studies and the same order of kills")
    parser.add_argument("--bundle", type=Path, help="a demonstration bundle that is there already")
    chosen = parser.parse_args()
    absent = [path for path in (STORESCU, str(BINARY)) if not Path(path).exists()]
    if chosen.database == "postgresql" and find_binaries() is None:
        absent.append("PostgreSQL's server")
    if absent:
        print(f"not installed: {', '.join(absent)} (make soak PEERS=install)", file=sys.stderr)
        return 2
    # pydicom speaks of odd header values; ended from outside, every process and folder is cleared away all the same
    warnings.simplefilter("ignore", UserWarning)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    seed = chosen.seed or uuid.uuid4().hex[:8]
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="strnet-soak-bundle-") as temporary:
        bundle = chosen.bundle
        if bundle is None:
            bundle = Path(temporary) / "bundle"
            create_demonstration_bundle(bundle)
        done = soak(minutes=chosen.minutes, tail_minutes=chosen.tail_minutes, database=chosen.database, seed=seed, bundle=bundle)
    for text in done.findings.texts[:_SHOWN]:
        print(text)
    summary = {
        "database": chosen.database,
        "minutes": chosen.minutes,
        "seed": seed,
        "kills": done.kills.total(),
        "kills_by_role": dict(sorted(done.kills.items())),
        "associations": done.associations,
        "studies": done.studies,
        "acknowledged": done.acknowledged,
        "objects_in_pacs": done.results,
        "tail_seconds": round(done.tail_seconds, 1),
        **done.findings.counts,
    }
    print(json.dumps(summary))
    # a soak that killed nothing, or in which nothing was acknowledged, has shown nothing
    return 1 if done.findings.texts or not done.kills or not done.acknowledged else 0


if __name__ == "__main__":
    sys.exit(main())
