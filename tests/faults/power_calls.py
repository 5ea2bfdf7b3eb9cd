"""Fault 10: the power goes after any of the receiver's writing system calls."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.ledger import Ledger
from tests.faults.processes import is_stopped
from tests.faults.receiver import Receiver
from tests.faults.senders import association, send
from tests.faults.tracing import calls_in, traced
from tests.faults.volumes import copy_of, make_ext4, mounted
from tests.faults.waiting import wait_for
from tests.faults.workplace import Workplace

_ESSENTIAL: Final = ("fdatasync", "fsync", "pwrite64", "rename", "write")
_CALLS: Final = ",".join((*_ESSENTIAL, "ftruncate", "unlink"))
_COPIES: Final = 200


class _Modality:
    """Sends one data set after the other in one association until it is told to end."""

    def __init__(self, w: Workplace, port: int) -> None:
        self._log, self._port = w.log, port
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        images = [image(number) for number in range(1, _COPIES)]
        with association(self._port, images) as assoc:
            for one in images:
                if self._enough.is_set():
                    return
                send(assoc, one, self._log)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(30)


def at_each_call(w: Workplace) -> Iterator[Point]:
    disk, trace = w.folder / "disk.img", w.folder / "calls.trace"
    make_ext4(disk, 48)
    volume = w.enter(mounted(disk, w.folder / "disk"))
    receiver = w.receiver(spool=volume / "spool", database=volume / "store.db").start()
    lost: list[str] = []
    broken = 0
    with _Modality(w, receiver.port):
        with traced(receiver.pid, _CALLS, trace, inject=[f"{_CALLS}:signal=SIGSTOP"]):
            for number in range(_COPIES):
                copy, acknowledged = _cut(w, receiver, disk)
                with mounted(copy, w.folder / "cut") as cut:
                    ledger = Ledger(cut / "store.db", cut / "spool")
                    lost += [f"cut {number}: {what}" for what in ledger.broken_promises(acknowledged)]
                    broken += not ledger.is_whole() or ledger.half_done() > 0
        # the tracer may have let go of it right after one more stop
        os.kill(receiver.pid, signal.SIGCONT)
    seen = {name for name in _ESSENTIAL if calls_in(trace, name)}
    yield Point("copies", _COPIES, _COPIES)
    yield Point("cut after calls of", sorted(seen), sorted(_ESSENTIAL))
    yield Point("some were acknowledged meanwhile", len(w.log.acknowledged) > 1, True)
    yield Point("acknowledged and lost", lost, [])
    yield Point("databases with half of something", broken, 0)


def _cut(w: Workplace, receiver: Receiver, disk: Path) -> tuple[Path, set[tuple[str, str]]]:
    """The disk while the receiver stands still after a call, and what it had acknowledged by then."""
    wait_for(lambda: is_stopped(receiver.pid), 10, "the receiver did not come to another call")
    copy = copy_of(disk, w.folder / "cut.img")
    # asked after the copy: what the sender knows by now was answered before the receiver stopped
    acknowledged = set(w.log.acknowledged)
    os.kill(receiver.pid, signal.SIGCONT)
    return copy, acknowledged


FAULTS = (
    Fault(
        number=10,
        what="power cut at each system call",
        expected="never acknowledged and lost, no half of anything in the database",
        how="the receiver on a loop-mounted image, stopped by strace after each writing call; 200 copies of the image",
        scenario=at_each_call,
        needs=("root", "loop", "mkfs.ext4", "strace"),
        seconds=240,
    ),
)
