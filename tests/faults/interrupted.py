"""Faults 4 to 6 and 47: worker and sender die or stand still with work in their hands."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator

from tests.faults.fault import Fault, Point
from tests.faults.images import encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.processes import is_stopped
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.waiting import wait_for
from tests.faults.workplace import Workplace
from tests.peers.orthanc import BINARY, Orthanc

_SHORT_LEASE = {"lease_seconds": 2, "settle_seconds": 0.1}
_SHORT_DELIVERY = {"message_seconds": 1.5}


def _odd(w: Workplace, name: str, *roles: str, **worker: object) -> Receiver:
    """A gateway with a difference: receiver, worker, and what else is named."""
    words = [word for role in ("receiver", "worker", *roles) for word in ("--role", role)]
    sections = {"worker": {**_SHORT_LEASE, **worker}, "delivery": _SHORT_DELIVERY}
    receiver = w.receiver(sections=sections, arguments=("tests.faults.odd_gateway", "--odd", name, *words)).start()
    receiver.wait_started(role="worker")
    return receiver


def _deaths(receiver: Receiver) -> list[str]:
    return [f"{line['role']} {line['exit_code']}" for line in receiver.events("role:died") if "exit_code" in line]


def _counted(ledger: Ledger) -> Iterator[Point]:
    """That it was done once, and that nobody counts what happened as a failed attempt."""
    yield Point("assessments", ledger.count("assessment"), 1)
    yield Point("results", ledger.count("result"), 3)
    yield Point("jobs with a failed attempt", ledger.count("job", "attempts > 0"), 0)
    yield Point("jobs not done", ledger.count("job", "state <> 'done'"), 0)


def in_inference(w: Workplace) -> Iterator[Point]:
    receiver, one = _odd(w, "dies in inference"), encode(phantom(1))
    ledger = w.ledger(receiver)
    yield Point("answer", send_all(receiver.port, [one], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("died", _deaths(receiver), ["worker -9"])
    yield Point("job taken back", ledger.audited("job:lease_expired", job_kind="analyze_instance"), 1)
    yield Point("outcome", outcome(ledger, one), "assessed")
    yield from _counted(ledger)
    yield from ledger.invariants(w.log.acknowledged)


def before_results_commit(w: Workplace) -> Iterator[Point]:
    """Both attempts leave their files in the spool: those of the first are compared with what stands in the rows."""
    receiver, one = _odd(w, "dies before the results are committed"), encode(phantom(1))
    ledger = w.ledger(receiver)
    yield Point("answer", send_all(receiver.port, [one], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("died", _deaths(receiver), ["worker -9"])
    yield Point("report taken back", ledger.audited("job:lease_expired", job_kind="report_study"), 1)
    yield from _counted(ledger)
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in ledger.spool.glob("result/*/*.dcm")]
    yield Point("result files of two attempts", len(files), 6)
    yield Point("different ones", len(set(files)), 3)
    yield Point("those of the rows", {str(row[0]) for row in ledger.ask("SELECT sha256 FROM result")} == set(files), True)
    yield from ledger.invariants(w.log.acknowledged)


def after_the_pacs_said_yes(w: Workplace) -> Iterator[Point]:
    pacs = Orthanc()
    w.undo(shutil.rmtree, pacs.folder, True)
    w.undo(pacs.stop)
    pacs.start()
    receiver, one = _to_pacs(w, pacs), encode(phantom(1))
    ledger = w.ledger(receiver)
    yield Point("answer", send_all(receiver.port, [one], w.log), ["0000"])
    wait_for(lambda: ledger.count("delivery") == 3, 120, "no deliveries")
    wait_quiet(ledger)
    yield Point("died", _deaths(receiver), ["sender -9"])
    yield Point("delivery taken back", ledger.audited("job:lease_expired", job_kind="deliver_result"), 1)
    yield Point("deliveries sent", ledger.count("delivery", "state = 'sent'"), 3)
    yield Point("objects in the PACS", len(pacs.get("/instances")), 3)
    yield Point("requests told", ledger.count("delivery_attempt"), 4)
    yield Point("of them without a known answer", ledger.count("delivery_attempt", "ended_at IS NULL"), 1)
    yield from _counted(ledger)
    yield from ledger.invariants(w.log.acknowledged)


def _to_pacs(w: Workplace, pacs: Orthanc) -> Receiver:
    sections = {
        "worker": _SHORT_LEASE,
        "delivery": _SHORT_DELIVERY,
        "routes": [{"name": "all", "policy": "all", "destinations": ["pacs"]}],
        "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.dicom_port, "class": "test"}],
    }
    receiver = w.receiver(sections=sections, arguments=("tests.faults.odd_gateway", "--odd", "dies before the delivery is recorded"))
    receiver.start()
    receiver.wait_started(role="worker")
    receiver.wait_started(role="sender")
    return receiver


def zombie(w: Workplace) -> Iterator[Point]:
    """The stopped worker belongs to one gateway, the one that takes its job over to another, on one database and spool."""
    first, one = _odd(w, "stops in inference"), encode(phantom(1))
    ledger = w.ledger(first)
    worker = int(next(line["pid"] for line in first.events("role:started") if line["role"] == "worker"))
    yield Point("answer", send_all(first.port, [one], w.log), ["0000"])
    wait_for(lambda: is_stopped(worker), 60, "the worker did not stop")
    sections = {"worker": _SHORT_LEASE, "delivery": _SHORT_DELIVERY}
    second = w.receiver(name="second", spool=ledger.spool, database=ledger.database, roles=("worker",), sections=sections)
    second.launch()
    second.wait_started(role="worker")
    wait_quiet(ledger)
    yield Point("lease ran out", ledger.audited("job:lease_expired", job_kind="analyze_instance"), 1)
    before = ledger.ask("SELECT id, created_at FROM assessment")
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: bool(first.events("job:lease_expired")), 60, "the late worker noticed nothing")
    yield Point(
        "the late worker's write", "rejected" if ledger.ask("SELECT id, created_at FROM assessment") == before else "accepted", "rejected"
    )
    yield Point("outcome", outcome(ledger, one), "assessed")
    yield from _counted(ledger)
    yield from ledger.invariants(w.log.acknowledged)


FAULTS = (
    Fault(
        number=4,
        what="kill -9 during inference",
        expected="the job is taken back and run again; one assessment, one set of results, no failed attempt",
        how="the worker kills itself when it asks the network; `lease_seconds` 2",
        scenario=in_inference,
        seconds=300,
    ),
    Fault(
        number=5,
        what="kill -9 after the result is computed, before the commit",
        expected="computed again with identical bytes",
        how="the worker kills itself before the transaction of the results",
        scenario=before_results_commit,
        seconds=300,
    ),
    Fault(
        number=6,
        what="kill -9 after the PACS said 0000, before it is recorded",
        expected="sent again; the PACS holds each object once; every request is told, also that of the dead process",
        how="the sender kills itself before the transaction of the delivery; Orthanc's REST interface is asked",
        scenario=after_the_pacs_said_yes,
        needs=(str(BINARY),),
        seconds=300,
    ),
    Fault(
        number=47,
        what="a worker that stands still past its lease and goes on (SIGSTOP, SIGCONT)",
        expected="another worker does the job; the fence number rejects the late write",
        how="the worker stops itself when it asks the network; a second gateway on the same database and spool; `lease_seconds` 2",
        scenario=zombie,
        seconds=300,
    ),
)
