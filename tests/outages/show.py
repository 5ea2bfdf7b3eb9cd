"""One show from an empty database to what Orthanc holds at its end."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.images import Image
from tests.faults.ledger import Ledger
from tests.faults.receiver import write_config
from tests.faults.senders import SentLog, storescu
from tests.faults.waiting import wait_for
from tests.outages.pacs import Pacs
from tests.peers.postgresql import free_port
from tests.soak.gateway import Gateway
from tests.soak.studies import study

_WAIT_SECONDS: Final = 300
_LOOK_SECONDS: Final = 0.5
_REFUSALS: Final = 5
"""Of each kind, before Orthanc comes back."""
_STATES: Final = ("pending", "sent", "committed", "dead")
_ARRIVED: Final = "state IN ('sent', 'committed')"


@dataclass(frozen=True, slots=True)
class Plan:
    """Images of each study that is sent before the PACS is stopped, while it is stopped, killed, refuses, and when it is back."""

    there: tuple[int, ...]
    stopped: tuple[int, ...]
    killed: tuple[int, ...]
    refusing: tuple[int, ...]
    back: tuple[int, ...]

    @property
    def results(self) -> int:
        """A report and a report card of each study, and a page of each image."""
        return results_of(*self.there, *self.stopped, *self.killed, *self.refusing, *self.back)


def results_of(*studies: int) -> int:
    """studies: images of each."""
    return sum(2 + images for images in studies)


FIFTY: Final = Plan(there=(1, 1, 2), stopped=(1, 1, 1, 1), killed=(1, 1, 2), refusing=(1, 1, 1), back=(1, 1, 1))
SHORT: Final = Plan(there=(1,), stopped=(1,), killed=(1,), refusing=(1,), back=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """results: released, by the gateway's rows; held_once, doubled, missing: of these, in Orthanc; unknown: there, and no row knows it."""

    results: int
    held_once: int
    doubled: int
    missing: int
    unknown: int
    committed: int
    refused_meanwhile: int
    seconds: float

    def is_good(self, plan: Plan) -> bool:
        whole = self.results == self.held_once == self.committed == plan.results
        return whole and not self.doubled and not self.missing and not self.unknown and self.refused_meanwhile >= 2 * _REFUSALS


def show(plan: Plan, bundle: Path) -> Outcome:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strnet-outages-")))
        port = free_port()
        pacs = Pacs(reports_to=port)
        stack.callback(pacs.clear_away)
        gateway = Gateway(_config(folder, bundle=bundle, port=port, pacs_port=pacs.port), port)
        stack.callback(gateway.stop)
        gateway.launch()
        gateway.wait_started()
        began = time.monotonic()
        ledger = Ledger(folder / "store.db", folder / "spool")
        with _told(ledger, pacs, began):
            refused = _Outages(_Modality(folder, port), pacs, ledger).run(plan)
        return _outcome(ledger, pacs, refused, time.monotonic() - began)


class _Modality:
    """DCMTK's storescu, one association for all that goes at a time."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder / "modality", port
        self.sent: list[int] = []
        """Images of each study."""

    def send(self, studies: tuple[int, ...]) -> None:
        """Whatever the PACS does, each image is answered 0000."""
        images: list[Image] = []
        for count in studies:
            self.sent.append(count)
            images += study(len(self.sent), count)
        log = SentLog()
        if images:
            storescu(images, self._folder, self._port, log)
        assert log.answers == ["0000"] * len(images), log.answers


@dataclass(frozen=True, slots=True)
class _Outages:
    modality: _Modality
    pacs: Pacs
    ledger: Ledger

    def run(self, plan: Plan) -> int:
        """Requests and associations that were refused meanwhile."""
        self.pacs.start()
        self._send(plan.there)
        self._wait_for(lambda: self._count("state = 'committed'") > 0, "nothing was committed")
        self.pacs.stop()
        self._send(plan.stopped)
        self._wait_for(lambda: self._count("state = 'pending' AND attempts > 0") > 0, "nothing was tried in vain")
        arrived = self._count(_ARRIVED)
        self.pacs.start()
        self._wait_for(lambda: self._count(_ARRIVED) > arrived, "nothing arrived")
        self.pacs.kill()
        self._send(plan.killed)
        with self.pacs.replaced() as refuser:
            self._send(plan.refusing)
            self._wait_for(lambda: refuser.refused >= _REFUSALS, "nothing was refused")
            self.pacs.rejecting(refuser)
            self._wait_for(lambda: refuser.rejected >= _REFUSALS, "nothing was rejected")
        self.pacs.start()
        self._send(plan.back)
        self._wait_for(lambda: self._count("state = 'committed'") == plan.results, "not all was committed")
        return refuser.refused + refuser.rejected

    def _send(self, studies: tuple[int, ...]) -> None:
        """Returns when their results are built and wait for the PACS, or are there."""
        self.modality.send(studies)
        self._wait_for(lambda: self._count() == results_of(*self.modality.sent), "results are missing")

    def _count(self, where: str = "1 = 1") -> int:
        return self.ledger.count("delivery", where)

    @staticmethod
    def _wait_for(fact: Callable[[], bool], otherwise: str) -> None:
        wait_for(fact, _WAIT_SECONDS, otherwise)


def _outcome(ledger: Ledger, pacs: Pacs, refused: int, seconds: float) -> Outcome:
    results = {str(uid) for (uid,) in ledger.ask("SELECT sop_instance_uid FROM result WHERE release = 'sent'")}
    held = pacs.held()
    return Outcome(
        results=len(results),
        held_once=sum(held[uid] == 1 for uid in results),
        doubled=sum(times - 1 for times in held.values()),
        missing=sum(not held[uid] for uid in results),
        unknown=len(held.keys() - results),
        committed=ledger.count("delivery", "state = 'committed'"),
        refused_meanwhile=refused,
        seconds=round(seconds, 1),
    )


@contextmanager
def _told(ledger: Ledger, pacs: Pacs, began: float) -> Iterator[None]:
    """A line whenever a count, or what stands at the PACS's port, has changed."""
    over = threading.Event()

    def tell() -> None:
        last = ""
        while not over.wait(_LOOK_SECONDS):
            counts = Counter({str(state): int(str(n)) for state, n in ledger.ask("SELECT state, count(*) FROM delivery GROUP BY state")})
            line = f"{', '.join(f'{state} {counts[state]:2}' for state in _STATES)}   the PACS: {pacs.is_now}"
            if line != last:
                print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)
            last = line

    thread = threading.Thread(target=tell, name="counts")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _config(folder: Path, *, bundle: Path, port: int, pacs_port: int) -> Path:
    """Short pauses, so that much happens in a minute; everything else as shipped."""
    return write_config(
        folder / "gateway.toml",
        {
            "serve": {"development": True},
            "receiver": {"port": port},
            "database": {"url": f"sqlite:///{folder / 'store.db'}"},
            "spool": {"folder": str(folder / "spool"), "reserve_mb": 0},
            "model": {"bundle": str(bundle), "equivalence": str(folder / "equivalence")},
            "results": {"late_after_hours": 0},
            "worker": {"settle_seconds": 0.5},
            # what the PACS refuses is counted: an echo would be among it
            "alarms": {"echo_seconds": 0},
            "delivery": {"response_seconds": 5, "retry_first_seconds": 0.2, "retry_max_seconds": 2, "confirm_after_seconds": 3},
            "routes": [{"name": "all", "policy": "all", "destinations": ["pacs"]}],
            "destinations": [
                {
                    "name": "pacs",
                    "ae_title": "PACS",
                    "host": "127.0.0.1",
                    "port": pacs_port,
                    "class": "test",
                    "commitment": "storage_commitment",
                    "breaker_seconds": 1,
                }
            ],
        },
    )
