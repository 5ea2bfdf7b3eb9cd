"""Fault 8: kill -9 of any role at any moment, under load. `make soak` does the same for longer, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.faults.fault import Fault, Point
from tests.faults.workplace import Workplace
from tests.peers.orthanc import BINARY
from tests.soak.run import soak

_MINUTES: Final = 1.0
_TAIL_MINUTES: Final = 6.0
_SEED: Final = "faults"
_FEWEST: Final = 5
"""Kills, on a machine that is busy with other things."""


def killed_at_random(w: Workplace) -> Iterator[Point]:
    done = soak(minutes=_MINUTES, tail_minutes=_TAIL_MINUTES, database="sqlite", seed=_SEED, bundle=w.bundle)
    yield Point(f"at least {_FEWEST} kills", done.kills.total() >= _FEWEST, True)
    yield Point("roles that were killed", sorted(set(done.kills) & {"receiver", "sender"}), ["receiver", "sender"])
    yield Point("instances were acknowledged", done.acknowledged > 0, True)
    for name, count in done.findings.counts.items():
        yield Point(name.replace("_", " "), count, 0)


FAULTS = (
    Fault(
        number=8,
        what="kill -9 of any role, the supervisor or all of them, every 1 to 5 s under load",
        expected="nothing acknowledged is lost, no result is missing or there twice, the chain of states is legal",
        how="`make soak` for a minute: DCMTK's storescu and a real Orthanc; then senders, database and PACS are compared",
        scenario=killed_at_random,
        needs=("storescu", str(BINARY)),
        seconds=600,
    ),
)
