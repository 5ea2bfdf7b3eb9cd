"""DCMTK's storescu as the modalities: one process per association, its own log with times as the clock."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.dcmtk import STORESCU

_LOG = """log4cplus.rootLogger = INFO, file
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = {file}
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %D{{%s.%q}} %m%n
"""


@dataclass(frozen=True)
class Sent:
    """seconds: from the first request for an association to the last answer. object_seconds: request to answer, per object."""

    seconds: float
    object_seconds: tuple[float, ...]
    stored: int
    cpu_seconds: float
    """Of the senders, user and system."""


def send(batches: list[list[Path]], *, port: int, called: str, folder: Path) -> Sent:
    """One association per batch, all at once."""
    logs = [folder / f"{number}.log" for number in range(len(batches))]
    running = [_start(batch, log, port=port, called=called) for batch, log in zip(batches, logs, strict=True)]
    cpu = sum(_cpu_of(process) for process in running)
    starts, ends, durations, stored = [], [], [], 0
    for log in logs:
        requested = 0.0
        for line in log.read_text(errors="replace").splitlines():
            at, _, message = line.partition(" ")
            if message.startswith("Requesting Association"):
                starts.append(float(at))
            elif message.startswith("Sending Store Request"):
                requested = float(at)
            elif message.startswith("Received Store Response"):
                ends.append(float(at))
                durations.append(float(at) - requested)
                stored += message.endswith("(Success)")
    if not ends:
        raise RuntimeError(f"no sender got an answer from {called}")
    return Sent(seconds=max(ends) - min(starts), object_seconds=tuple(durations), stored=stored, cpu_seconds=cpu)


def _start(batch: list[Path], log: Path, *, port: int, called: str) -> subprocess.Popen[bytes]:
    log.unlink(missing_ok=True)
    config = log.with_suffix(".cfg")
    config.write_text(_LOG.format(file=log))
    command = [str(STORESCU), "-R", "--log-config", str(config), "-aet", "BENCH", "-aec", called, "127.0.0.1", str(port), *map(str, batch)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Waits for its end."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
