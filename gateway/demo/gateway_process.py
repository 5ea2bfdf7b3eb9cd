"""The demonstration's gateway: `strnet-gateway serve` as a process of its own, as an installation runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import GatewayError


class GatewayDidNotStartError(GatewayError):
    """The gateway did not start. Its log says why."""

    code = "gateway_did_not_start"


class GatewayProcess:
    """Starts, waits for roles, stops."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(self._config)], stdout=output, stderr=subprocess.STDOUT
            )

    def wait_started(self, seconds: float) -> Iterator[str]:
        """Yields each role as it starts. GatewayDidNotStartError when one does not in time."""
        waiting, deadline = {"receiver", "worker", "sender"}, time.monotonic() + seconds
        while waiting:
            for line in self.log_lines():
                if line.get("event") == "role:started" and line.get("role") in waiting:
                    waiting.discard(str(line["role"]))
                    yield str(line["role"])
            if waiting and (time.monotonic() > deadline or self._process is None or self._process.poll() is not None):
                raise GatewayDidNotStartError(str(self._log))
            time.sleep(0.1)

    def receiver_port(self) -> int:
        return next(int(str(line["port"])) for line in self.log_lines() if line.get("role") == "receiver" and "port" in line)

    def log_lines(self) -> list[dict[str, object]]:
        lines = []
        for text in self._log.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                continue
        return lines

    def stop(self, seconds: float) -> int | None:
        """SIGTERM, and the exit code."""
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
