"""strace at a running receiver: its system calls, and failures or stops put into them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.waiting import wait_for


@contextmanager
def traced(pid: int, calls: str, trace: Path, *, inject: Sequence[str] = ()) -> Iterator[Path]:
    """Traces the named system calls of a process and all its threads into a file. inject: such as `fsync:error=EIO`."""
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", f"trace={calls}"]
    for one in inject:
        command += ["-e", f"inject={one}"]
    said = trace.with_suffix(".said")
    with said.open("wb") as out:
        process = subprocess.Popen([*command, "-p", str(pid)], stdout=out, stderr=out)
    try:
        wait_for(lambda: b"attached" in said.read_bytes() or process.poll() is not None, 10, "strace did not attach")
        yield trace
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def calls_in(trace: Path, *names: str, about: str = "") -> list[str]:
    """Lines of a trace that begin one of the calls and name a path with `about` in it."""
    lines = trace.read_text(errors="replace").splitlines()
    begun = [line.split(maxsplit=1)[1] for line in lines if len(line.split(maxsplit=1)) == 2]
    return [line for line in begun if line.startswith(tuple(f"{name}(" for name in names)) and about in line]
