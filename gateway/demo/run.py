"""The demonstration: a PACS, the gateway, a modality that sends; then what came of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.config import Settings, load_settings
from gateway.demo.gateway_process import GatewayProcess
from gateway.demo.modality import send_study
from gateway.demo.pacs import EmbeddedPacs
from gateway.demo.rendering import render
from gateway.demo.studies import DemoStudy, studies_from, synthetic_studies
from gateway.dicom.characters import text
from gateway.domain.story import Explanation, KneeStory, Status
from gateway.errors import GatewayError, NotFoundError
from gateway.store.database import Database
from gateway.store.queries import Queries

_MARKER: Final = "made-by-strnet-gateway-demo"
_START_SECONDS: Final = 120.0
_QUIET_SECONDS: Final = 600.0
_AE_TITLE: Final = "STRNET"
_SUCCESS: Final = "0000"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the demonstration's table. study: counted as sent; the rendered files carry the same number."""

    study: int
    sent: str
    answer: str
    outcome: str
    because: str
    returned: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What happened, and where to look."""

    rows: tuple[Row, ...]
    rendered: tuple[Path, ...]
    database: Path
    log: Path
    status: Status


class NothingToSendError(GatewayError):
    """The folder holds no DICOM files. Give one that does, or none for synthetic knees."""

    code = "nothing_to_send"


class UnsafeFolderError(GatewayError):
    """The demonstration's folder holds files that it did not make. Give another one with --folder."""

    code = "unsafe_folder"


def run_demo(folder: Path, source: Path | None, say: Say, progress: Callable[[int, int], None]) -> DemoReport:
    """Runs it. folder is emptied if it is an earlier demonstration's. source: a folder of DICOM files, None for phantoms."""
    studies = studies_from(source) if source else synthetic_studies(datetime.now().astimezone())
    if not studies:
        raise NothingToSendError(str(source))
    _prepare(folder)
    pacs = EmbeddedPacs(folder / "pacs", "DEMO_PACS")
    config = _write_config(folder, pacs.start())
    gateway = GatewayProcess(config, folder / "gateway.log")
    settings = load_settings(config)
    try:
        with _running(gateway, say):
            answers = _send(studies, gateway.receiver_port(), say)
            database = Database(settings.database.url)
            try:
                status = _wait_until_quiet(Queries(database), progress)
                return _report(folder, settings, Queries(database), answers, pacs, status)
            finally:
                database.close()
    finally:
        pacs.stop()


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise UnsafeFolderError(str(folder))
        for entry in folder.iterdir():
            if entry.name == _MARKER:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()


def _write_config(folder: Path, pacs_port: int) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f"""# Made by `strnet-gateway demo`.
[serve]
development = true
[receiver]
port = 0
ae_title = "{_AE_TITLE}"
[database]
url = "sqlite:///strnet-gateway.db"
[spool]
folder = "spool"
reserve_mb = 64
[model]
bundle = "bundle"
[results]
report_not_assessed = true
late_after_hours = 0
[delivery]
retry_first_seconds = 1
[[routes]]
name = "demo"
policy = "all"
destinations = ["demo-pacs"]
[[destinations]]
name = "demo-pacs"
ae_title = "DEMO_PACS"
host = "127.0.0.1"
port = {pacs_port}
class = "test"
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def _running(gateway: GatewayProcess, say: Say) -> Iterator[None]:
    say("starting the gateway (about 10 s)")
    gateway.start()
    try:
        for role in gateway.wait_started(_START_SECONDS):
            say(f"  {role} is up")
        yield
    finally:
        code = gateway.stop(60.0)
        say(f"gateway drained, exit code {code}")


@dataclass(frozen=True, slots=True)
class _Answer:
    study: int
    label: str
    sop_instance_uid: str
    study_instance_uid: str
    answer: str
    sent_at: float


def _send(studies: tuple[DemoStudy, ...], port: int, say: Say) -> list[_Answer]:
    found: list[_Answer] = []
    for number, study in enumerate(studies, start=1):
        statuses = send_study([i for _, i in study.instances], host="127.0.0.1", port=port, called_ae_title=_AE_TITLE)
        for (label, instance), status in zip(study.instances, statuses, strict=True):
            say(f"  C-STORE study {number}, {label}: {status}")
            uids = text(instance, "SOPInstanceUID"), text(instance, "StudyInstanceUID")
            found.append(_Answer(number, label, *uids, status, time.time()))
    return found


def _wait_until_quiet(queries: Queries, progress: Callable[[int, int], None]) -> Status:
    """Until no job is open. A job of the store, never a guess about time, says when it is over."""
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        status = queries.status()
        counts = {name: count for name, count in status.jobs.items() if name.split()[1] in ("queued", "running", "retry")}
        waiting = sum(counts.values())
        progress(sum(status.jobs.values()) - waiting, sum(status.jobs.values()))
        if not waiting or time.monotonic() > deadline:
            return status
        time.sleep(0.2)


def _report(folder: Path, settings: Settings, queries: Queries, answers: list[_Answer], pacs: EmbeddedPacs, status: Status) -> DemoReport:
    held = pacs.files()
    numbers = {answer.study_instance_uid: answer.study for answer in answers}
    return DemoReport(
        rows=tuple(_row(queries, answer, held) for answer in answers),
        rendered=tuple(sorted(render(path, folder / "results", numbers) for path in held.values())),
        database=Path(settings.database.url.removeprefix("sqlite:///")),
        log=folder / "gateway.log",
        status=status,
    )


def _row(queries: Queries, answer: _Answer, held: dict[str, Path]) -> Row:
    try:
        story = queries.explain(answer.sop_instance_uid)
    except NotFoundError:
        return Row(answer.study, answer.label, answer.answer, "never came in", "", "", None)
    if answer.answer != _SUCCESS or not story.instances:
        reason = story.refusals[-1].reason if story.refusals else "not accepted"
        return Row(answer.study, answer.label, answer.answer, "refused", reason, "", None)
    instance = story.instances[0]
    knees = "; ".join(_knee(knee) for knee in instance.knees)
    back, seconds = _returned(story, held, answer.sent_at)
    return Row(answer.study, answer.label, answer.answer, instance.outcome or "open", knees or (instance.reason or ""), back, seconds)


def _knee(knee: KneeStory) -> str:
    score = "" if knee.score is None else f", score {knee.score:.1f}, threshold {knee.threshold:.1f}"
    return f"{knee.laterality} {knee.decision}{score}"


def _returned(story: Explanation, held: dict[str, Path], sent_at: float) -> tuple[str, float | None]:
    """What the PACS holds for the instance's study."""
    results = [result for result in story.results if result.sop_instance_uid in held]
    sent = [d.sent_at.timestamp() for result in results for d in result.deliveries if d.sent_at is not None]
    pages = sum(result.kind != "sr" for result in results)
    return f"SR + {pages} SC" if results else "", round(max(sent) - sent_at, 2) if sent else None
