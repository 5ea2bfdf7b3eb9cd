"""The gateway as `serve`, which can be killed in part or whole and is started again. What its processes are is read from its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.faults.waiting import happens, wait_for

START_SECONDS: Final = 300


class Gateway:
    """Not thread-safe but for `port`: one thread kills and starts it."""

    def __init__(self, config: Path, port: int) -> None:
        self.port = port
        self._command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config)]
        self._log = config.with_suffix(".log")
        self._log.touch()
        # as in an installation, modules are compiled once: else most of a role's start would be that
        self._environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(config.parent / "compiled")}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._offset = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: list[int] = []
        """One process group per start: the supervisor and whatever it started."""
        self._pids: dict[str, int] = {}
        self._useful: set[int] = set()
        """Worker processes that have finished a job."""

    def launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, env=self._environment, start_new_session=True
            )
        self._sessions.append(self._process.pid)

    def wait_started(self) -> None:
        wait_for(lambda: all(self.pid(role) for role in ("receiver", "worker", "sender")), START_SECONDS, "a role did not start")

    @property
    def supervisor(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Of `serve`; None while it runs."""
        return None if self._process is None else self._process.poll()

    def pid(self, role: str) -> int | None:
        """Of the role's process of this supervisor, once it has started."""
        self._read()
        pid = self._pids.get(role)
        if pid is None or _parent(pid) != self.supervisor:
            return None
        return pid

    def is_useful(self, pid: int) -> bool:
        """True when a worker's process has finished a job since its start."""
        return pid in self._useful

    def kill(self, role: str) -> bool:
        """kill -9. False when the role has no process at the moment."""
        pid = self.pid(role)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def kill_supervisor(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int | None:
        """SIGTERM, and the exit code; whatever is left is killed."""
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        code = self._process.poll()
        # of this start and of those whose supervisor was killed: a role that was starting then may still be on its way
        for session in self._sessions:
            with suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)
        self._process.wait()
        happens(lambda: not any(map(_is_alive, self._sessions)), 30)
        return code

    def _read(self) -> None:
        """What the log has gained since it was last read."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in _objects(whole):
            if line.get("event") == "role:started":
                self._pids[line["role"]] = int(line["pid"])
            elif line.get("event") == "job:done" and line.get("process") == "worker" and "worker" in self._pids:
                self._useful.add(self._pids["worker"])


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _objects(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _parent(pid: int) -> int | None:
    """None when there is no such process, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])
