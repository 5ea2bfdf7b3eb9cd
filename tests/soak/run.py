"""One soak from an empty database to its findings: kills under load, a quiet tail, the comparison."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gateway.store import schema
from gateway.store.database import Database
from tests.faults.receiver import write_config
from tests.faults.waiting import happens
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import free_port, running_cluster
from tests.soak.checker import Findings, check
from tests.soak.collecting import collect, open_jobs
from tests.soak.gateway import Gateway
from tests.soak.killing import Killer
from tests.soak.sending import Modality

DatabaseKind = Literal["sqlite", "postgresql"]
_MODALITIES: Final = 2
_MOST_OPEN: Final = 12
_TELL_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What came of it. acknowledged: SOP instances that a sender was told 0000 for, of so many studies in so many associations."""

    kills: Counter[str]
    acknowledged: int
    studies: int
    associations: int
    results: int
    tail_seconds: float
    findings: Findings


def soak(*, minutes: float, tail_minutes: float, database: DatabaseKind, seed: str, bundle: Path) -> Soak:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strnet-soak-")))
        url = f"sqlite:///{folder / 'store.db'}" if database == "sqlite" else _on_postgresql(stack)
        pacs = stack.enter_context(_orthanc())
        store = stack.enter_context(closing(Database(url)))
        schema.ensure(store)
        port = free_port()
        gateway = Gateway(_config(folder, url=url, bundle=bundle, port=port, pacs_port=pacs.dicom_port), port)
        stack.callback(gateway.stop)
        gateway.launch()
        gateway.wait_started()
        killer = Killer(gateway, f"{seed}/kills")
        modalities = [
            Modality(number, port=port, folder=folder, seed=seed, backlog=lambda: open_jobs(store), most_open=_MOST_OPEN)
            for number in range(_MODALITIES)
        ]
        tail_seconds = _run(killer, modalities, lambda: open_jobs(store), minutes=minutes, tail_minutes=tail_minutes)
        told = [one for modality in modalities for one in modality.told()]
        facts = collect(store, folder / "spool", pacs, told, killer.ended_by_itself)
        return Soak(
            kills=killer.kills,
            acknowledged=len({one.sop_uid for one in told}),
            studies=len({one.study_uid for one in told}),
            associations=sum(modality.associations for modality in modalities),
            results=len(facts.held),
            tail_seconds=tail_seconds,
            findings=check(facts),
        )


def _run(killer: Killer, modalities: Sequence[Modality], jobs: Callable[[], int], *, minutes: float, tail_minutes: float) -> float:
    """Kills and load for so many minutes, then quiet until nothing is open, for so many at most. Seconds of quiet that were needed."""
    stop, give_up = threading.Event(), threading.Event()
    senders = [threading.Thread(target=modality.run, args=(stop, give_up), name="modality") for modality in modalities]
    threads = [*senders, threading.Thread(target=killer.run, args=(stop,), name="killer")]
    for thread in threads:
        thread.start()
    try:
        _tell(killer, modalities, jobs, 60 * minutes)
        stop.set()
        threads[-1].join()
        began = time.monotonic()
        happens(lambda: not any(sender.is_alive() for sender in senders), 60 * tail_minutes)
        give_up.set()
        happens(lambda: killer.revive() is None and jobs() == 0, max(0.0, 60 * tail_minutes - (time.monotonic() - began)))
        return time.monotonic() - began
    finally:
        stop.set()
        give_up.set()
        for thread in threads:
            thread.join()


def _tell(killer: Killer, modalities: Sequence[Modality], jobs: Callable[[], int], seconds: float) -> None:
    """A line every half minute."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(min(_TELL_SECONDS, seconds - passed))
        acknowledged = sum(len(modality.told()) for modality in modalities)
        kills = ", ".join(f"{role} {times}" for role, times in sorted(killer.kills.items()))
        print(f"{time.monotonic() - began:5.0f} s  acknowledged {acknowledged}, open jobs {jobs()}, kills: {kills}", flush=True)


def _config(folder: Path, *, url: str, bundle: Path, port: int, pacs_port: int) -> Path:
    """Short leases and pauses, so that much happens in a minute; everything else as shipped."""
    return write_config(
        folder / "gateway.toml",
        {
            "serve": {"development": True, "restart_first_seconds": 0.1, "restart_max_seconds": 0.5},
            "receiver": {"port": port},
            "database": {"url": url},
            "spool": {"folder": str(folder / "spool"), "reserve_mb": 0},
            "model": {"bundle": str(bundle), "equivalence": str(folder / "equivalence")},
            "results": {"late_after_hours": 0},
            "worker": {"lease_seconds": 6, "settle_seconds": 0.5, "retry_first_seconds": 0.2, "retry_max_seconds": 2},
            "delivery": {"message_seconds": 5, "retry_first_seconds": 0.2, "retry_max_seconds": 1},
            "routes": [{"name": "all", "policy": "all", "destinations": ["pacs"]}],
            "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs_port, "class": "test"}],
        },
    )


def _on_postgresql(stack: ExitStack) -> str:
    return stack.enter_context(running_cluster(stop_mode="immediate")).new_database()


@contextmanager
def _orthanc() -> Iterator[Orthanc]:
    pacs = Orthanc()
    try:
        pacs.start()
        yield pacs
    finally:
        pacs.stop()
        shutil.rmtree(pacs.folder, ignore_errors=True)
