"""Fault 9: the power goes. What a copy of the disk's image holds is what was durable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, image
from tests.faults.ledger import Ledger
from tests.faults.senders import association, send, send_all
from tests.faults.volumes import copy_of, make_ext4, mounted
from tests.faults.workplace import Workplace

_MEGABYTES = 64
_CONTROL = b"written, never synced"


def after_the_acknowledgement(w: Workplace) -> Iterator[Point]:
    disk, copies = w.folder / "disk.img", []
    make_ext4(disk, _MEGABYTES)
    volume = w.enter(mounted(disk, w.folder / "disk"))
    receiver = w.receiver(spool=volume / "spool", database=volume / "store.db").start()
    images = [image(number, rows=256, columns=256) for number in range(1, 6)]
    with association(receiver.port, images) as assoc:
        for number, one in enumerate(images, 1):
            # a new one each time: the kernel writes by itself what has waited for long, and what replaces something
            (volume / f"control{number}").write_bytes(_CONTROL)
            send(assoc, one, w.log)
            copies.append((copy_of(disk, w.folder / f"cut{number}.img"), set(w.log.acknowledged)))
    yield Point("answers", sorted(set(w.log.answers)), ["0000"])
    receiver.stop()
    lost: list[str] = []
    broken = 0
    for number, (copy, acknowledged) in enumerate(copies, 1):
        with mounted(copy, w.folder / f"cut{number}") as cut:
            ledger = Ledger(cut / "store.db", cut / "spool")
            lost += [f"cut {number}: {what}" for what in ledger.broken_promises(acknowledged)]
            broken += not ledger.is_whole() or ledger.half_done() > 0
    yield Point(f"acknowledged and lost after {len(copies)} cuts", lost, [])
    yield Point("databases with half of something", broken, 0)
    last = w.enter(mounted(copies[-1][0], w.folder / "last"))
    yield Point("control that was never synced is on the disk", _holds(last / f"control{len(images)}"), False)
    yield from _starts_again(w, last, images)


def _starts_again(w: Workplace, cut: Path, images: list[Image]) -> Iterator[Point]:
    receiver = w.receiver(spool=cut / "spool", database=cut / "store.db", name="after").start()
    ledger = w.ledger(receiver)
    yield Point("all sent again after the cut", sorted(set(send_all(receiver.port, images, w.log))), ["0000"])
    yield Point("instances", ledger.count("instance"), len(images))
    yield from ledger.invariants(w.log.acknowledged)
    receiver.stop()


def _holds(control: Path) -> bool:
    return control.exists() and control.read_bytes() == _CONTROL


FAULTS = (
    Fault(
        number=9,
        what="power cut right after the acknowledgement",
        expected="every acknowledged instance is on the disk, file and rows; the database is whole; the gateway starts on it",
        how="spool and database on a loop-mounted ext4 image (commit=120), copied at the moment of each acknowledgement",
        scenario=after_the_acknowledgement,
        needs=("root", "loop", "mkfs.ext4"),
    ),
)
