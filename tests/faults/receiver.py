"""The gateway under test: `strnet-gateway serve --role receiver` as a process of its own, seen by its log and by /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.faults.processes import Load, load_of
from tests.faults.waiting import NeverHappenedError, happens

Sections = Mapping[str, Mapping[str, object] | Sequence[Mapping[str, object]]]
"""Tables of a configuration by name; a sequence stands for `[[name]]`."""

START_SECONDS: Final = 120


def write_config(path: Path, sections: Sections) -> Path:
    """As TOML: what JSON writes for texts, numbers, truth values and lists of them is TOML too."""
    lines: list[str] = []
    for name, tables in sections.items():
        for table in [tables] if isinstance(tables, Mapping) else tables:
            lines.append(f"[{name}]" if isinstance(tables, Mapping) else f"[[{name}]]")
            lines.extend(f"{key} = {json.dumps(value)}" for key, value in table.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def serve(roles: Sequence[str]) -> tuple[str, ...]:
    """Module and arguments of `strnet-gateway serve` with some of its roles."""
    return ("gateway.cli.main", "serve", *(word for role in roles for word in ("--role", role)))


class Receiver:
    """command: what runs the module, such as `ip netns exec name`. arguments: the module and what stands behind it."""

    def __init__(self, config: Path, *, spool: Path, database: Path, command: Sequence[str], arguments: Sequence[str]) -> None:
        self.config, self.spool, self.database = config, spool, database
        self._command = [*command, sys.executable, "-m", *arguments, "--config", str(config)]
        self._log = config.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0

    def start(self) -> Receiver:
        self.launch()
        self.wait_started()
        return self

    def launch(self) -> None:
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)

    def wait_started(self, times: int = 1, role: str = "receiver") -> None:
        """Until the role has started so often since this start."""
        happens(lambda: len(self._starts(role)) >= times or self.exit_code is not None, START_SECONDS)
        if len(self._starts(role)) < times:
            raise NeverHappenedError(f"the {role} did not start", self._log.read_text(errors="replace")[-1500:])

    def lines(self) -> list[dict[str, Any]]:
        """Log of this start. Only what is a whole line of JSON: a start that is refused says so in plain words."""
        text = self._log.read_bytes()[self._offset :].decode(errors="replace")
        found = []
        for line in text[: text.rfind("\n") + 1].splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def said(self) -> str:
        """Everything that this start has written, plain words too."""
        return self._log.read_bytes()[self._offset :].decode(errors="replace")

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("event") == event]

    def _starts(self, role: str) -> list[dict[str, Any]]:
        return [line for line in self.events("role:started") if line["role"] == role]

    @property
    def port(self) -> int:
        return int(self._starts("receiver")[-1]["port"])

    @property
    def pid(self) -> int:
        """Of the receiver's process, which the supervisor started."""
        return int(self._starts("receiver")[-1]["pid"])

    @property
    def supervisor(self) -> int:
        assert self._process is not None
        return self._process.pid

    def load(self) -> Load:
        return load_of(self.pid)

    @property
    def exit_code(self) -> int | None:
        """Of `serve`; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait_exit(self, seconds: float) -> int | str:
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"still running after {seconds:g} s"

    def kill(self) -> None:
        """kill -9 of the receiver's process; the supervisor starts another one."""
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """However it stands: nothing of it outlives the fault."""
        if self._process is None or self._process.poll() is not None:
            return
        self.terminate()
        if self.wait_exit(10) == 0:
            return
        pids = [int(line["pid"]) for line in self.events("role:started")]
        self._process.kill()
        self._process.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        happens(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10)
