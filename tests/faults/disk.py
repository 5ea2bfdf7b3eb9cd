"""Faults 11 to 15: disks that are full, that fail, or that may not be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.senders import association, negotiation, send, send_all
from tests.faults.tracing import calls_in, traced
from tests.faults.volumes import fill, give_inodes_back, remount, take_inodes, tmpfs
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace

_RECOVERY_SECONDS = 60
"""I8: without an operator, once the cause is gone."""


def _recovers(port: int) -> str:
    happens(lambda: negotiation(port) == "accepted", _RECOVERY_SECONDS)
    return negotiation(port)


def spool_full(w: Workplace) -> Iterator[Point]:
    spool = w.enter(tmpfs(w.folder / "spool", "size=24m"))
    receiver = w.receiver(spool=spool, sections={"spool": {"reserve_mb": 2}}).start()
    ledger, port = w.ledger(receiver), receiver.port
    filler = spool / "filler"
    fill(filler, leave_bytes=3 * 2**20)
    large, small = image(1, rows=2048, columns=1024), image(2)
    with association(port, [large, small]) as assoc:
        yield Point("larger than the free space", send(assoc, large, w.log), "A700")
        yield Point("its sibling", send(assoc, small, w.log), "0000")
    yield Point(".part files", len(ledger.partial_files()), 0)
    yield Point("receipt of the refusal", ledger.count("receipt", "dimse_status = 0xA700 AND reason = 'spool_failed'"), 1)
    fill(spool / "rest", leave_bytes=2**20)
    yield Point("new association below the reserve", negotiation(port), "rejected (transient)")
    yield Point("alarm in the audit", ledger.audited("spool:refuses", reason="no_space"), 1)
    filler.unlink()
    (spool / "rest").unlink()
    yield Point("new association when space is free again", _recovers(port), "accepted")
    yield Point("the refused one sent again", send_all(port, [large], w.log), ["0000"])
    yield from ledger.invariants(w.log.acknowledged)


def database_full(w: Workplace) -> Iterator[Point]:
    volume = w.enter(tmpfs(w.folder / "database", "size=12m"))
    receiver = w.receiver(database=volume / "store.db").start()
    ledger, port = w.ledger(receiver), receiver.port
    images = [image(number) for number in range(1, 41)]
    with association(port, images) as assoc:
        yield Point("before", send(assoc, images[0], w.log), "0000")
        fill(volume / "filler")
        answers = {send(assoc, one, w.log) for one in images[1:]}
        # the write-ahead log is reused from its start after a checkpoint, so that some may still find room
        yield Point("answers with the volume full", sorted(answers - {"0000"}), ["A700"])
    (volume / "filler").unlink()
    yield Point("new association when space is free again", _recovers(port), "accepted")
    yield Point("all sent again", sorted(set(send_all(port, images, w.log))), ["0000"])
    yield Point("instances", ledger.count("instance"), len(images))
    yield from ledger.invariants(w.log.acknowledged)


def inodes_exhausted(w: Workplace) -> Iterator[Point]:
    spool = w.enter(tmpfs(w.folder / "spool", "size=64m,nr_inodes=1200"))
    receiver = w.receiver(spool=spool).start()
    ledger, port = w.ledger(receiver), receiver.port
    first, second = image(1), image(2)
    with association(port, [first, second]) as assoc:
        yield Point("before", send(assoc, first, w.log), "0000")
        take_inodes(spool / "filler")
        yield Point("without an inode", send(assoc, second, w.log), "A700")
    yield Point(".part files", len(ledger.partial_files()), 0)
    yield Point("new association meanwhile", negotiation(port), "rejected (transient)")
    yield Point("alarm in the audit", ledger.audited("spool:refuses", reason="no_inodes"), 1)
    give_inodes_back(spool / "filler")
    yield Point("new association when inodes are free again", _recovers(port), "accepted")
    yield Point("the refused one sent again", send_all(port, [second], w.log), ["0000"])
    yield from ledger.invariants(w.log.acknowledged)


def sync_fails(w: Workplace) -> Iterator[Point]:
    for call, whose in (("fsync", "the file"), ("fdatasync", "the write-ahead log")):
        receiver = w.receiver(name=call).start()
        ledger, port, trace = w.ledger(receiver), receiver.port, w.folder / f"{call}.trace"
        one, other = image(1), image(2)
        acknowledged: set[tuple[str, str]] = set()
        with association(port, [one, other]) as assoc, traced(receiver.pid, "fsync,fdatasync", trace, inject=[f"{call}:error=EIO"]):
            yield Point(f"EIO on {call} of {whose}", send(assoc, one, w.log), "A700")
            answered = send(assoc, other, w.log)
            yield Point("acknowledged afterwards", answered == "0000", False)
            code = receiver.wait_exit(30)
        yield Point("exit code of serve", code, 74)
        yield Point("new association", negotiation(port), "no association")
        yield Point("tried again", _repeated(trace, call), [])
        yield Point("audited", ledger.audited("role:died", exit_code=74), 1)
        yield from ledger.invariants(acknowledged)


def _repeated(trace: Path, call: str) -> list[str]:
    """Names of files that were synced again although their first sync had failed."""
    about = [line.partition("<")[2].partition(">")[0] for line in calls_in(trace, call) if "EIO" in line]
    return sorted({Path(name).suffix for name in about if about.count(name) > 1})


def spool_not_writable(w: Workplace) -> Iterator[Point]:
    volume = w.enter(tmpfs(w.folder / "spool", "size=64m"))
    # without this capability permissions hold for root too
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    receiver = w.receiver(spool=volume, command=bound).start()
    ledger, port = w.ledger(receiver), receiver.port
    first, second, third = image(1), image(2), image(3)
    yield Point("before", send_all(port, [first], w.log), ["0000"])
    with association(port, [second]) as assoc:
        remount(volume, "ro")
        yield Point("C-STORE on a read-only spool", send(assoc, second, w.log), "A700")
    yield Point("new association", negotiation(port), "rejected (transient)")
    yield Point("alarm in the audit", ledger.audited("spool:refuses", reason="not_writable"), 1)
    remount(volume, "rw")
    yield Point("new association when it is writable again", _recovers(port), "accepted")
    yield Point("the refused one sent again", send_all(port, [second], w.log), ["0000"])
    with association(port, [third]) as assoc:
        _permit(volume, 0o500)
        yield Point("C-STORE without permission", send(assoc, third, w.log), "A700")
    yield Point("new association without permission", negotiation(port), "rejected (transient)")
    yield Point("alarms in the audit", ledger.audited("spool:refuses", reason="not_writable"), 2)
    _permit(volume, 0o700)
    yield Point("new association with permission again", _recovers(port), "accepted")
    yield Point("the refused one sent again", send_all(port, [third], w.log), ["0000"])
    yield Point(".part files", len(ledger.partial_files()), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _permit(spool: Path, mode: int) -> None:
    for folder in [spool, *spool.glob("instance"), *spool.glob("instance/*")]:
        folder.chmod(mode)


FAULTS = (
    Fault(
        number=11,
        what="no space in the spool (ENOSPC)",
        expected="A700, no `.part` left; below the reserve transient reject and an alarm; recovers when freed",
        how="spool on a tmpfs of 24 MB, filled",
        scenario=spool_full,
        needs=("root",),
    ),
    Fault(
        number=12,
        what="no space on the database's volume",
        expected="A700, not 0000; database whole; recovers when freed",
        how="database on a tmpfs of its own, filled during an association",
        scenario=database_full,
        needs=("root",),
    ),
    Fault(
        number=13,
        what="inodes of the spool exhausted",
        expected="A700, no `.part` left, transient reject and an alarm, recovers when freed",
        how="tmpfs with nr_inodes=, filled with empty files",
        scenario=inodes_exhausted,
        needs=("root",),
    ),
    Fault(
        number=14,
        what="EIO on fsync of the file, on fdatasync of the write-ahead log",
        expected="A700, nothing is accepted any more, no sync is tried again, exit code 74 for the supervisor",
        how="strace puts the error into the running receiver",
        scenario=sync_fails,
        needs=("root", "strace"),
    ),
    Fault(
        number=15,
        what="spool remounted read-only; its permissions taken away",
        expected="A700 within an association, transient reject of new ones, alarm; recovers by itself",
        how="mount -o remount,ro; chmod, with the receiver's CAP_DAC_OVERRIDE dropped",
        scenario=spool_not_writable,
        needs=("root", "setpriv"),
    ),
)
