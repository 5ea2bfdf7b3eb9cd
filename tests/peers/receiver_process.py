"""The receiver's role as a process of its own, without supervisor and model: `python -m tests.peers.receiver_process CONFIG`.

Database and spool must be prepared: the process then fsyncs nothing before its first instance, so that calls can be counted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from gateway.app.role import Role
from gateway.app.roles import run_role
from gateway.config import load_settings
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.spool import Spool

_START_SECONDS = 60


class ReceiverProcess:
    """Started under `wrapper` (strace and its options), over a prepared store in `folder`."""

    def __init__(self, folder: Path, *, wrapper: tuple[str, ...] = (), receiver: str = "") -> None:
        self.folder = folder
        self.database_url = f"sqlite:///{folder / 'store.db'}"
        self._log = folder / "receiver.log"
        self._wrapper = wrapper
        config = folder / "config.toml"
        config.write_text(
            f"""
[serve]
development = true
[database]
url = "{self.database_url}"
[spool]
folder = "{folder / "spool"}"
reserve_mb = 0
[receiver]
port = 0
self_check_seconds = 0
{receiver}
"""
        )
        database = Database(self.database_url)
        schema.ensure(database)
        database.close()
        Spool(folder / "spool").prepare()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [*self._wrapper, sys.executable, "-m", "tests.peers.receiver_process", str(self.folder / "config.toml")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _START_SECONDS
        while self._started() is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(self._log.read_text(errors="replace")[-3000:])
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            # a tracer would not hand the signal on
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(30)

    @property
    def port(self) -> int:
        return int(self._line["port"])  # type: ignore[call-overload]

    @property
    def pid(self) -> int:
        return int(self._line["pid"])  # type: ignore[call-overload]

    def wait(self, seconds: float = 30) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def _line(self) -> dict[str, object]:
        found = self._started()
        assert found is not None
        return found

    def _started(self) -> dict[str, object] | None:
        for line in self._log.read_text(errors="replace").splitlines():
            if line.startswith("{") and '"role:started"' in line and line.endswith("}"):
                found: dict[str, object] = json.loads(line)
                return found
        return None


if __name__ == "__main__":
    run_role(Role.RECEIVER, load_settings(Path(sys.argv[1])))
