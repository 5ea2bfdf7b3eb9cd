"""Print the table; last line JSON. Exit 0: everything as expected; 1: not; 2: DCMTK is not here."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.peers import dcmtk

from .attacks import ATTACKS, Attack
from .descriptors import beyond_1024, running_out
from .idle import idle_percent, stock_idle_percent
from .sender import Sender
from .target import Cost, Peak, Target, wait_until

_SETTINGS: Final = "pdu_seconds = 2\nidle_seconds = 10\nmessage_seconds = 15\nmax_message_mb = 16\nmemory_mb = 48\nself_check_seconds = 2\n"
_LEAVE_SECONDS: Final = 60
_LATE_SECONDS: Final = 20.0
"""A legitimate sender must be done within this, whatever goes on."""
_KEPT_MB: Final = 32.0
"""What resident memory may keep after an attack: the allocator's, not the attack's (the next attack finds it there and adds nothing)."""


@dataclass(frozen=True)
class Row:
    name: str
    expected: str
    repelled: bool
    rss_mb: tuple[float, float, float]
    """Before, greatest, after."""
    threads: tuple[int, int, int]
    descriptors: tuple[int, int, int]
    sender_seconds: float
    stored: bool
    passed: bool


def attacked(target: Target, attack: Attack, sender: Sender) -> Row:
    before = target.cost()
    under_way, over, found = threading.Event(), threading.Event(), []
    thread = threading.Thread(target=lambda: found.append(attack.run(target.port, under_way, over)), daemon=True)
    with Peak(target) as peak:
        thread.start()
        under_way.wait(_LEAVE_SECONDS)
        seconds, stored = sender.send(target)
        over.set()
        thread.join(4 * _LEAVE_SECONDS)
        left = wait_until(lambda: has_left(target, before), _LEAVE_SECONDS)
    after = target.cost()
    repelled = found == [True]
    return Row(
        name=attack.name,
        expected=attack.expected,
        repelled=repelled,
        rss_mb=(before.rss_mb, peak.rss_mb, after.rss_mb),
        threads=(before.threads, peak.threads, after.threads),
        descriptors=(before.descriptors, peak.descriptors, after.descriptors),
        sender_seconds=seconds,
        stored=stored,
        passed=repelled
        and left
        and stored
        and seconds < _LATE_SECONDS
        and peak.rss_mb - before.rss_mb <= attack.growth_mb
        and after.rss_mb - before.rss_mb <= _KEPT_MB,
    )


def has_left(target: Target, before: Cost) -> bool:
    """All threads and descriptors of its connections are gone. The store may keep a database connection more: it has a pool of them."""
    now = target.cost()
    return now.threads <= before.threads and now.of_connections <= before.of_connections


def line(row: Row) -> str:
    rss = "/".join(f"{value:.0f}" for value in row.rss_mb)
    counted = f"{'/'.join(map(str, row.threads)):>12}  {'/'.join(map(str, row.descriptors)):>12}"
    return f"{row.name:<50}  {rss:>20}  {counted}  {row.sender_seconds:>6.2f} s  {'ok' if row.passed else f'WRONG {asdict(row)}'}"


def main() -> int:
    if not dcmtk.STORESCU.exists():
        sys.stderr.write("DCMTK is missing; bash tests/peers/install.sh\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sender = Sender(folder / "objects")
        with Target(folder / "main", _SETTINGS) as target:
            sender.crowd(target)
            quiet, _ = sender.send(target)
            print(f"{'attack':<50}  MB before/peak/after       threads   descriptors    sender")
            rows = []
            for attack in ATTACKS:
                rows.append(attacked(target, attack, sender))
                print(line(rows[-1]), flush=True)
            strangers = target.files_outside()
            stuck = len(target.told("receiver:stuck"))
        out = running_out(folder / "out", sender)
        beyond = beyond_1024(folder / "beyond", sender)
        print(f"descriptors used up: {out}\nmore than 1,024 descriptors: {beyond}")
        idle, stock = idle_percent(folder / "idle"), stock_idle_percent()
    print(f"100 idle associations: {idle:.1f} % of a core, {stock:.1f} % with pynetdicom's own server")
    summary = {
        "attacks": len(rows) + 2,
        "repelled": sum(row.passed for row in rows) + out.passed + beyond.passed,
        "sender_seconds_quiet": round(quiet, 2),
        "sender_seconds_worst": round(max(row.sender_seconds for row in rows), 2),
        "rss_mb_start": round(rows[0].rss_mb[0], 1),
        "rss_mb_peak": round(max(row.rss_mb[1] for row in rows), 1),
        "rss_mb_end": round(rows[-1].rss_mb[2], 1),
        "threads_start_end": [rows[0].threads[0], rows[-1].threads[2]],
        "descriptors_start_end": [rows[0].descriptors[0], rows[-1].descriptors[2]],
        "idle_100_percent_of_core": round(idle, 1),
        "idle_100_percent_of_core_stock": round(stock, 1),
        "false_alarms": stuck,
        "files_outside": len(strangers),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary))
    good = summary["repelled"] == summary["attacks"] and idle < 5 and not stuck and not strangers
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
