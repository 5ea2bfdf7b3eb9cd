"""Faults 39 to 42: the device, the network, the bundle and the decoder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.odd_decoder import DIES, HANGS
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.workplace import Workplace

_WORKER = {"settle_seconds": 0.1, "retry_first_seconds": 0.2, "retry_max_seconds": 0.5}


def _odd(w: Workplace, odd: str, **worker: object) -> Receiver:
    arguments = ("tests.faults.odd_gateway", "--odd", odd, "--role", "receiver", "--role", "worker")
    receiver = w.receiver(name=odd.replace(" ", "-"), sections={"worker": {**_WORKER, **worker}}, arguments=arguments).start()
    receiver.wait_started(role="worker")
    return receiver


def device(w: Workplace) -> Iterator[Point]:
    for odd, deaths in (("device full", 0), ("device lost", 1)):
        receiver, one = _odd(w, odd), encode(phantom(1))
        ledger = w.ledger(receiver)
        yield Point(f"{odd}: answer", send_all(receiver.port, [one], w.log), ["0000"])
        wait_quiet(ledger)
        yield Point("worker died", len(receiver.events("role:died")), deaths)
        yield Point("failed attempts", ledger.audited("job:retry"), 1)
        yield Point("outcome", outcome(ledger, one), "assessed")
        yield Point("results", ledger.count("result"), 3)
        yield from ledger.invariants(w.log.acknowledged)
        w.log.acknowledged.clear()
        receiver.stop()


def implausible(w: Workplace) -> Iterator[Point]:
    receiver, one = _odd(w, "not finite"), encode(phantom(1))
    ledger = w.ledger(receiver)
    yield Point("answer", send_all(receiver.port, [one], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("outcome", outcome(ledger, one), "failed_implausible")
    yield Point("alarm in the audit", ledger.audited("output:implausible"), 1)
    yield Point("assessments with a score", ledger.count("assessment", "score IS NOT NULL"), 0)
    yield Point("results", ledger.count("result"), 0)
    yield Point("worker died", len(receiver.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def bundle_changes(w: Workplace) -> Iterator[Point]:
    bundle = w.folder / "bundle"
    shutil.copytree(w.bundle, bundle)
    receiver = w.receiver(roles=("receiver", "worker"), sections={"worker": _WORKER, "model": {"bundle": str(bundle)}}).start()
    receiver.wait_started(role="worker")
    ledger = w.ledger(receiver)
    first, second = encode(phantom(1)), encode(phantom(2))
    yield Point("answer", send_all(receiver.port, [first], w.log), ["0000"])
    wait_quiet(ledger)
    _flip(bundle)
    yield Point("answer with one bit of the weights flipped", send_all(receiver.port, [second], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("outcomes", [outcome(ledger, first), outcome(ledger, second)], ["assessed", "assessed"])
    yield Point("bundles that assessed", ledger.ask("SELECT count(DISTINCT bundle_hash) FROM assessment"), [(1,)])
    receiver.terminate()
    yield Point("exit code", receiver.wait_exit(30), 0)
    for name, change in (("flipped bit", None), ("no weights", bundle / "weights.safetensors")):
        if change is not None:
            change.unlink()
        receiver.launch()
        yield Point(f"started with {name}: exit code", receiver.wait_exit(100), 78)
        yield Point("remedy shown", "model bundle cannot be used" in receiver.said(), True)
    yield from ledger.invariants(w.log.acknowledged)


def _flip(bundle: object) -> None:
    path = bundle / "weights.safetensors"  # type: ignore[operator]
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def codec(w: Workplace) -> Iterator[Point]:
    receiver = _odd(w, "poison in the decoder", decode_seconds=2, max_attempts=2)
    ledger = w.ledger(receiver)
    poison = [_poisoned(number, mark) for number, mark in enumerate((HANGS, DIES), 1)]
    sound = [encode(phantom(number)) for number in (3, 4)]
    yield Point("answers", send_all(receiver.port, [*poison, *sound], w.log), ["0000"] * 4)
    wait_quiet(ledger)
    yield Point("hangs", outcome(ledger, poison[0]), "failed_timeout")
    yield Point("dies of SIGSEGV", outcome(ledger, poison[1]), "failed_decode")
    rows = ledger.ask("SELECT state, attempts FROM job WHERE kind = 'analyze_instance' AND state <> 'done'")
    yield Point("their jobs", [f"{state} after {attempts} attempts" for state, attempts in rows], ["dead after 2 attempts"] * 2)
    yield Point("neighbours", [outcome(ledger, one) for one in sound], ["assessed", "assessed"])
    yield Point("worker died", len(receiver.events("role:died")), 0)
    yield Point("studies without an ended report", ledger.count("job", "kind = 'report_study' AND state NOT IN ('done', 'dead')"), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _poisoned(number: int, mark: bytes) -> Image:
    dataset = phantom(number)
    dataset.StationName = mark.decode()
    return encode(dataset)


FAULTS = (
    Fault(
        number=39,
        what="the device has too little memory; the device is lost",
        expected="tried again, in a new process when the device is lost; no result lost",
        how="the engine raises what torch raises, once; on the processor",
        scenario=device,
        seconds=300,
    ),
    Fault(
        number=40,
        what="the network returns what is no number",
        expected="`failed_implausible` and an alarm; no score, no result",
        how="the engine's logit is NaN",
        scenario=implausible,
        seconds=300,
    ),
    Fault(
        number=41,
        what="one bit of the weights flipped while running; weights missing",
        expected="the running worker keeps what it has loaded; a start is refused with the remedy",
        how="weights.safetensors changed in place, then removed",
        scenario=bundle_changes,
        seconds=300,
    ),
    Fault(
        number=42,
        what="a codec hangs; a codec dies",
        expected="the child is killed at its time; tried again, dead after `max_attempts`; the neighbours are assessed",
        how="a decoder child that sleeps or kills itself by SIGSEGV at marked images; `decode_seconds` 2, `max_attempts` 2",
        scenario=codec,
        seconds=300,
    ),
)
