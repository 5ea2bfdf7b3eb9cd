"""What the disk allows: the same files written durably by a plain loop."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path


def durable_mb_per_s(folder: Path, *, megabytes: float, threads: int, files: int = 8) -> tuple[float, float]:
    """(MB/s, median seconds of one fsync) of write, fsync, rename and fsync of the folder."""
    content = os.urandom(int(megabytes * 1e6))
    fsyncs: list[float] = []

    def write(number: int) -> None:
        for count in range(files):
            path = folder / f"probe-{number}-{count}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, content)
            before = time.monotonic()
            os.fsync(descriptor)
            fsyncs.append(time.monotonic() - before)
            os.close(descriptor)
            path.rename(path.with_suffix(".done"))
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    workers = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
    before = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - before
    for path in folder.glob("probe-*"):
        path.unlink()
    return threads * files * megabytes / seconds, sorted(fsyncs)[len(fsyncs) // 2]
