"""docs/faults.md: made of what a whole run observed, alike on every run that observes the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.conftest import ROOT
from tests.faults.fault import Observation

PAGE: Final = ROOT / "docs" / "faults.md"

_ROW: Final = re.compile(r"\| \d+ \|")
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
    return _page(list(map(_row, observations)))


def updated(text: str, observations: Sequence[Observation]) -> str:
    """The page with the rows of these faults new, and those of the others as an earlier run wrote them."""
    kept = {int(line.split("|")[1]): line for line in text.splitlines() if _ROW.match(line)}
    rows = kept | {observation.fault.number: _row(observation) for observation in observations}
    return _page([rows[number] for number in sorted(rows)])


def _row(o: Observation) -> str:
    return f"| {o.fault.number} | {o.fault.what} | {o.fault.how} | {o.fault.expected} | {o.words} |".replace("\n", " ")


def _page(rows: Sequence[str]) -> str:
    """What is not as expected stands in bold."""
    held = sum("**" not in row and not row.endswith("|  |") for row in rows)
    return _HEAD + "\n".join(rows) + f"\n\n{held} of {len(rows)} as expected.\n"
