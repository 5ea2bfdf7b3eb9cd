"""Fault 53: the host's memory is short, and the kernel ends the worker."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.odd_gateway import HEAVY
from tests.faults.receiver import Receiver
from tests.faults.senders import echo, send_all
from tests.faults.waiting import wait_for
from tests.faults.workplace import Workplace

_WORKER = {"settle_seconds": 0.1, "max_lease_expiries": 2}


def _heavy(number: int) -> Image:
    dataset = phantom(number)
    dataset.StationName = HEAVY.decode()
    return encode(dataset)


def _running(w: Workplace) -> Receiver:
    arguments = ("tests.faults.odd_gateway", "--odd", "killed by a heavy image", "--role", "receiver", "--role", "worker")
    receiver = w.receiver(sections={"worker": _WORKER}, arguments=arguments).start()
    receiver.wait_started(role="worker")
    return receiver


def _job(ledger: Ledger, one: Image) -> str:
    sql = (
        "SELECT j.state, coalesce(j.last_code, '') FROM job j JOIN instance i ON i.id = j.subject"
        " WHERE j.kind = 'analyze_instance' AND i.sop_instance_uid = ?"
    )
    return ", ".join(f"{state} {code}".strip() for state, code in ledger.ask(sql, one.uid))


def killed(w: Workplace) -> Iterator[Point]:
    """What the kernel's OOM killer does: SIGKILL, each time the worker takes the image."""
    receiver = _running(w)
    ledger, heavy, sound = w.ledger(receiver), _heavy(1), [encode(phantom(number)) for number in (2, 3)]
    first = receiver.pid
    yield Point("answers", send_all(receiver.port, [heavy, *sound], w.log), ["0000"] * 3)
    wait_for(lambda: bool(receiver.events("role:died")), 60, "the worker was not killed")
    yield Point("C-ECHO meanwhile", echo(receiver.port), True)
    wait_quiet(ledger)
    yield Point("its job", _job(ledger, heavy), "held lease_expiries")
    deaths = [f"{line['role']} {line['exit_code']}" for line in receiver.events("role:died") if "exit_code" in line]
    yield Point("died", deaths, ["worker -9"] * 3)
    yield Point("receiver is the same process", receiver.pid == first, True)
    yield Point("neighbours", [outcome(ledger, one) for one in sound], ["assessed", "assessed"])
    yield Point("results of it", ledger.count("assessment") - len(sound), 0)
    yield from ledger.invariants(w.log.acknowledged)


FAULTS = (
    Fault(
        number=53,
        what="the kernel ends the worker for want of memory",
        expected="only the worker dies; its job is tried again and held after `max_lease_expiries`; the neighbours are assessed",
        how="SIGKILL, as the kernel sends it, whenever the worker takes a marked image; `max_lease_expiries` 2",
        scenario=killed,
        seconds=400,
    ),
)
