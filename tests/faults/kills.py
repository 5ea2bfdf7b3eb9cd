"""Faults 1 to 3: kill -9 at named steps of a C-STORE."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, image
from tests.faults.ledger import Ledger
from tests.faults.senders import NO_ANSWER, send_all
from tests.faults.workplace import Workplace


def _killed(w: Workplace, step: str, one: Image) -> Iterator[Point]:
    dying = w.receiver(name=step, arguments=("tests.faults.odd_receiver", "--step", step)).start()
    yield Point(f"killed {step}, answer to the sender", send_all(dying.port, [one], w.log), [NO_ANSWER])
    yield Point("ended by", dying.wait_exit(20), -signal.SIGKILL)


def _resent(w: Workplace, step: str, one: Image) -> Iterator[Point]:
    """The gateway is started again, and the sender sends again, as a router does."""
    receiver = w.receiver(name=step).start()
    ledger = w.ledger(receiver)
    yield Point(".part files after the start", len(ledger.partial_files()), 0)
    yield from _found(ledger, step, one)
    yield Point("sent again", send_all(receiver.port, [one], w.log), ["0000"])
    yield Point("instances of this UID", ledger.count("instance", f"sop_instance_uid = '{one.uid}'"), 1)
    yield Point("jobs", ledger.count("job", "kind = 'analyze_instance'"), 1)
    yield Point("files", len(ledger.files()), 1)
    yield from ledger.invariants(w.log.acknowledged)
    receiver.stop()


def _found(ledger: Ledger, step: str, one: Image) -> Iterator[Point]:
    rows, adopted = (0, 0) if step in _BEFORE_THE_RENAME else (1, 0) if step == "after_commit" else (1, 1)
    yield Point("rows of it before it is sent again", ledger.count("instance", f"sop_instance_uid = '{one.uid}'"), rows)
    yield Point("adopted by the sweep", ledger.audited("instance:adopted"), adopted)


_BEFORE_THE_RENAME = ("after_bytes", "after_fsync")


def _at(w: Workplace, *steps: str) -> Iterator[Point]:
    for step in steps:
        yield from _killed(w, step, image(1))
        yield from _resent(w, step, image(1))
        w.log.acknowledged.clear()


def before_fsync(w: Workplace) -> Iterator[Point]:
    yield from _at(w, "after_bytes", "after_fsync")


def before_commit(w: Workplace) -> Iterator[Point]:
    yield from _at(w, "after_rename", "after_folder_fsync")


def before_answer(w: Workplace) -> Iterator[Point]:
    yield from _at(w, "after_commit")


FAULTS = (
    Fault(
        number=1,
        what="kill -9 after the bytes are written, before and after their fsync",
        expected="no answer, no row; the `.part` is swept at the next start; sent again it is new",
        how="the receiver kills itself at the step",
        scenario=before_fsync,
    ),
    Fault(
        number=2,
        what="kill -9 after the rename, before the commit",
        expected="no answer; the sweep adopts the file; sent again it is the same instance, one job",
        how="the receiver kills itself at the step",
        scenario=before_commit,
    ),
    Fault(
        number=3,
        what="kill -9 after the commit, before the answer",
        expected="no answer; sent again: 0000, still one instance and one job",
        how="the receiver kills itself at the step",
        scenario=before_answer,
        in_ci=True,
    ),
)
