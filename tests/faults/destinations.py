"""Faults 21 to 23: a PACS that is down, out of reach, behind a bad road, or stands still. Real ones: Orthanc and DCMTK's storescp."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import Image, encode
from tests.faults.knees import phantom
from tests.faults.ledger import Ledger
from tests.faults.network import cable
from tests.faults.processes import is_stopped
from tests.faults.receiver import Receiver
from tests.faults.road import GOOD, Condition, Road
from tests.faults.senders import send_all
from tests.faults.sending import RESULTS, WAIT_SECONDS, codes, deliveries, each_deliverys, longest, orthanc, sending, states, to
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace
from tests.peers.orthanc import BINARY as ORTHANC
from tests.peers.orthanc import Orthanc
from tests.peers.storescp import BINARY as STORESCP
from tests.peers.storescp import Storescp

_BACKOFF: Final[dict[str, Any]] = {"retry_first_seconds": 0.5, "retry_max_seconds": 4}
_LEAST: Final = (0.2, 0.4, 0.9, 1.9)
"""Seconds between an attempt and the next one, at least: half of the backoff is fixed, less what its recording takes."""
_PROMPT_SECONDS: Final = 5
_SLOW: Final = Condition(bytes_per_second=1000)
_FAR: Final = Condition(delay_seconds=0.5, loss=0.05)


def _sent(w: Workplace, gateway: Receiver, one: Image) -> Iterator[Point]:
    """To the gateway, while a destination is in trouble."""
    began = time.monotonic()
    yield Point("C-STORE meanwhile", send_all(gateway.port, [one], w.log), ["0000"])
    yield Point("answered within", at_most(_PROMPT_SECONDS, time.monotonic() - began, "s"), f"at most {_PROMPT_SECONDS} s")


def _pause(ledger: Ledger, destination: str) -> list[list[float]]:
    """Seconds from the end of each attempt to the start of the next one, by delivery."""
    pairs = zip(each_deliverys(ledger, destination, "started_at"), each_deliverys(ledger, destination, "ended_at"), strict=True)
    return [[_seconds(end, start) for end, start in zip(ends, starts[1:], strict=False)] for starts, ends in pairs]


def _seconds(since: Any, until: Any) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def down(w: Workplace) -> Iterator[Point]:
    wire = w.enter(cable())
    off, cut = orthanc(w), w.enter(Storescp(command=wire.inside))
    names = ("off", "cut")
    gateway = sending(w, to("off", off.dicom_port), to("cut", cut.port, host=wire.theirs), **_BACKOFF)
    wire.pull()
    ledger = w.ledger(gateway)
    yield from _sent(w, gateway, encode(phantom(1)))
    happens(lambda: all(len(one) == RESULTS and min(one) >= len(_LEAST) for one in map(_tries(ledger), names)), WAIT_SECONDS)
    yield Point("waiting", [deliveries(ledger, name, "pending") for name in names], [RESULTS] * 2)
    yield from _sent(w, gateway, encode(phantom(2)))
    happens(lambda: all(deliveries(ledger, name, "pending") == 2 * RESULTS for name in names), WAIT_SECONDS)
    yield Point("waiting after another knee", [deliveries(ledger, name, "pending") for name in names], [2 * RESULTS] * 2)
    for name in names:
        yield Point(f"{name}: attempts told", codes(ledger, name), ["no_association"])
        pauses = [pause >= least for one in _pause(ledger, name) for pause, least in zip(one, _LEAST, strict=False)]
        yield Point("pauses of the backoff kept", all(pauses) and len(pauses) >= RESULTS * (len(_LEAST) - 1), True)
    left_alone = {line["destination"] for line in gateway.events("destination:left_alone")}
    yield Point("left alone by the circuit breaker", sorted(left_alone), sorted(names))
    off.start()
    wire.plug()
    yield from _arrived(ledger, "off", 2, off)
    yield from _arrived(ledger, "cut", 2, cut)
    yield Point("C-STORE requests to the one that counts them", cut.requests(), 2 * RESULTS)
    yield Point("sender died", len(gateway.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _tries(ledger: Ledger) -> Any:
    return lambda name: [len(one) for one in each_deliverys(ledger, name, "id")]


def _arrived(ledger: Ledger, name: str, knees: int, pacs: Orthanc | Storescp) -> Iterator[Point]:
    """In the end, or while another one is in trouble."""
    happens(lambda: deliveries(ledger, name, "sent") == knees * RESULTS, WAIT_SECONDS)
    yield Point(f"{name}: deliveries of {knees} knee{'s' if knees > 1 else ''}", states(ledger, name), ["sent"])
    held = len(pacs.get("/instances")) if isinstance(pacs, Orthanc) else pacs.objects()
    yield Point("objects that it has", held, knees * RESULTS)


def bad_road(w: Workplace) -> Iterator[Point]:
    """slow: 1 kB/s; far: half a second each way, and one segment in twenty comes a second later; deaf: answers are lost at first."""
    good, far, slow, deaf = w.enter(Storescp()), w.enter(Storescp()), w.enter(Storescp()), orthanc(w)
    deaf.start()
    roads = {
        "slow": w.enter(Road(slow.port, _SLOW)),
        "far": w.enter(Road(far.port, _FAR)),
        "deaf": w.enter(Road(deaf.dicom_port, Condition(answers_lost=True))),
    }
    destinations = [to("good", good.port), *(to(name, road.port) for name, road in roads.items())]
    gateway = sending(w, *destinations, response_seconds=4, message_seconds=8)
    ledger = w.ledger(gateway)
    yield from _sent(w, gateway, encode(phantom(1)))
    yield from _arrived(ledger, "good", 1, good)
    yield Point("slow, by then: deliveries", states(ledger, "slow"), ["pending"])
    happens(lambda: codes(ledger, "deaf") == ["no_response"], WAIT_SECONDS)
    yield Point("deaf: attempts told", codes(ledger, "deaf"), ["no_response"])
    yield Point("objects that it has all the same", len(deaf.get("/instances")) > 0, True)
    roads["deaf"].condition = GOOD
    yield from _arrived(ledger, "deaf", 1, deaf)
    yield from _arrived(ledger, "far", 1, far)
    happens(lambda: all(len(one) >= 2 for one in each_deliverys(ledger, "slow", "id")), WAIT_SECONDS)
    yield Point("slow: attempts told", codes(ledger, "slow"), ["no_response"])
    yield Point("each ended within", at_most(20, longest(ledger, "slow"), "s"), "at most 20 s")
    yield from _sent(w, gateway, encode(phantom(2)))
    yield from _arrived(ledger, "good", 2, good)
    roads["slow"].condition = GOOD
    yield from _arrived(ledger, "slow", 2, slow)
    yield from _arrived(ledger, "far", 2, far)
    yield Point("sender died", len(gateway.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def stands_still(w: Workplace) -> Iterator[Point]:
    frozen, good = orthanc(w), w.enter(Storescp())
    frozen.start()
    # the first result that is that long is a picture of three megabytes
    road = w.enter(Road(frozen.dicom_port, after_bytes=500_000, on_bytes=frozen.stand_still))
    w.undo(frozen.go_on)
    gateway = sending(w, to("frozen", road.port), to("good", good.port))
    ledger = w.ledger(gateway)
    yield from _sent(w, gateway, encode(phantom(1)))
    wait_for(lambda: is_stopped(frozen.pid), WAIT_SECONDS, "the PACS was not stopped")
    happens(lambda: max((len(one) for one in each_deliverys(ledger, "frozen", "id")), default=0) >= 2, WAIT_SECONDS)
    yield Point("stopped within a data set, attempts told", "no_response" in codes(ledger, "frozen"), True)
    yield Point("each ended within", at_most(10, longest(ledger, "frozen"), "s"), "at most 10 s")
    yield from _arrived(ledger, "good", 1, good)
    yield from _sent(w, gateway, encode(phantom(2)))
    yield from _arrived(ledger, "good", 2, good)
    yield Point("all of it to the one that stands still", deliveries(ledger, "frozen", "pending") > RESULTS, True)
    frozen.go_on()
    yield from _arrived(ledger, "frozen", 2, frozen)
    yield Point("sender died", len(gateway.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


FAULTS = (
    Fault(
        number=21,
        what="the PACS is down (RST); the PACS is out of reach (nothing comes back)",
        expected="tried again with growing pauses; the queue grows, receiving is unaffected; each object once when it is back",
        how="an Orthanc that is started later; DCMTK's storescp in a network namespace whose cable is pulled; `retry_first_seconds` 0.5",
        scenario=down,
        needs=("root", "ip", str(ORTHANC), str(STORESCP)),
        seconds=400,
    ),
    Fault(
        number=22,
        what="the PACS takes 1 kB/s; is half a second away and 5 % of what it is sent comes a second late; its answers are lost",
        expected="delivered, or given up in time and tried again; nobody else waits; each object once",
        how="a proxy before storescp or Orthanc for each, and a storescp without one; `message_seconds` 8, `response_seconds` 4",
        scenario=bad_road,
        needs=(str(ORTHANC), str(STORESCP)),
        seconds=600,
    ),
    Fault(
        number=23,
        what="the PACS stands still in the middle of a data set (SIGSTOP) and goes on (SIGCONT)",
        expected="given up at the deadline, tried again, one copy; nobody else waits",
        how="Orthanc, stopped when half a megabyte of a picture has gone to it; `message_seconds` 3, `response_seconds` 2",
        scenario=stands_still,
        needs=(str(ORTHANC), str(STORESCP)),
        seconds=400,
    ),
)
