"""docs/faults.md: made of what a whole run observed, alike on every run that observes the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.conftest import ROOT
from tests.faults.fault import Observation

PAGE: Final = ROOT / "docs" / "faults.md"

_HEAD: Final = """# Faults

`make test-faults` does each of these to a running gateway, looks at it from outside (the senders' log, the database, the spool, `/proc`), and
writes this page. Nothing here is edited by hand. What does not stand as expected is printed in bold, with what should have been seen. A fault that
cannot be run on a machine (it needs root, strace, loop devices) is named as not run and counts as not as expected.

After each fault the invariants are checked: what a sender was answered 0000 for has one row, a receipt, one job, an audit event and a file with
its very bytes; every row has its file; nothing is there by halves, and the database passes its own check; no patient data stand in a log. What the method cannot show: a loop device keeps the order of what the file system hands to it, a disk with a volatile cache
that ignores flushes does not.

| Nr. | Fault | Done by | Expected | Observed |
|---|---|---|---|---|
"""


def page(observations: Sequence[Observation]) -> str:
    rows = [f"| {o.fault.number} | {o.fault.what} | {o.fault.how} | {o.fault.expected} | {o.words} |" for o in observations]
    held = sum(observation.as_expected for observation in observations)
    return _HEAD + "\n".join(row.replace("\n", " ") for row in rows) + f"\n\n{held} of {len(observations)} as expected.\n"
