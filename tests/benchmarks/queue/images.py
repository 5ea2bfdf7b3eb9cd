"""Images per second by one and by two worker processes over one queue, and how long an engine waited although jobs did too."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from gateway.app.file_ingest import ingest_files
from gateway.config import load_settings
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from gateway.store import schema
from gateway.store.database import Database
from tests.acceptance.serving import write_config

_LIMIT_SECONDS = 1800.0


@dataclass(frozen=True)
class Run:
    """One queue worked off. idle: of the time from an engine's first image to the last claim, the share in which it computed nothing."""

    workers: int
    images: int
    images_per_s: float
    idle: tuple[float, ...]
    largest_batch: int


def measure(folder: Path, bundle: Path, *, workers: int, images: int) -> Run:
    """Every image is a study of its own, so that as many reports are built beside."""
    config = write_config(folder, bundle=bundle, policy="shadow")
    settings = load_settings(config)
    database = Database(settings.database.url)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        schema.ensure(database)
        refused = [one for one in ingest_files(settings, database, _files(folder / "images", images)) if one.dimse_status != "0000"]
        if refused:
            raise RuntimeError(f"{len(refused)} images were refused")
        notes = [folder / f"engine-{number}.jsonl" for number in range(workers)]
        with (folder / "worker.log").open("ab") as log:
            for path in notes:
                command = [sys.executable, "-m", "tests.benchmarks.queue.worker_process", str(config), str(path)]
                processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        _wait(database, processes)
        return _run(database, notes, images)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)
        database.close()


def _files(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    files = []
    for number in range(count):
        study = PhantomStudy(
            seed=7,
            number=number,
            patient_name="BENCH^QUEUE",
            patient_id=f"B{number}",
            birth_date="19500101",
            sex="F",
            taken_at=datetime(2026, 1, 1, tzinfo=UTC),
            accession_number=f"B{number}",
        )
        instance = phantom_instance(study, phantom_parameters(side="R", rows=2400, columns=1800), instance_number=1)
        files.append(folder / f"{number}.dcm")
        instance.save_as(files[-1], enforce_file_format=True)
    return files


def _wait(database: Database, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        with database.reading() as session:
            states = dict(session.execute(text("SELECT state, count(*) FROM job GROUP BY state")).tuples().all())
        if set(states) == {"done"}:
            return
        ended = [process.poll() for process in processes if process.poll() is not None]
        if ended or time.monotonic() > deadline or states.keys() & {"dead", "held"}:
            raise RuntimeError(f"jobs {states}, ended workers {ended}")
        time.sleep(0.5)


def _run(database: Database, notes: list[Path], images: int) -> Run:
    analyses = "FROM job WHERE kind = 'analyze_instance'"
    with database.reading() as session:
        outcomes = session.execute(text("SELECT DISTINCT outcome FROM instance")).scalars().all()
        last_claim, last_end = session.execute(text(f"SELECT max(first_claimed_at), max(finished_at) {analyses}")).one()
    if outcomes != ["assessed"]:
        raise RuntimeError(f"outcomes {outcomes}")
    engines = [[json.loads(line) for line in path.read_text().splitlines()] for path in notes]
    first = min(note["began"] for engine in engines for note in engine)
    return Run(
        workers=len(notes),
        images=images,
        images_per_s=images / (_seconds(last_end) - first),
        idle=tuple(_idle(engine, _seconds(last_claim)) for engine in engines),
        largest_batch=max(note["images"] for engine in engines for note in engine),
    )


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()


def _idle(engine: list[dict[str, float]], until: float) -> float:
    began = engine[0]["began"]
    busy = sum(max(0.0, min(note["ended"], until) - note["began"]) for note in engine)
    return 1 - busy / (until - began)
