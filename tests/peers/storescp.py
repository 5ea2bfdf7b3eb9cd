"""DCMTK's storescp as the PACS: a folder of its own, gone with the tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.peers.postgresql import free_port

BINARY: Final = Path("/usr/bin/storescp")


class Storescp:
    """Takes whatever it is sent. command: what runs it, such as `ip netns exec name`."""

    def __init__(self, *, command: Sequence[str] = ()) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="strnet-storescp-"))
        self._log = self._folder / "log"
        self._objects = self._folder / "objects"
        self._objects.mkdir()
        self.port = free_port()
        self._command = [*command, str(BINARY), "-v", "+B", "-aet", "PACS", "-od", str(self._objects), str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def objects(self) -> int:
        """Files: one for each SOP Instance UID."""
        return sum(1 for _ in self._objects.iterdir())

    def requests(self) -> int:
        """C-STORE requests that it has read to their end."""
        return self._log.read_text(errors="replace").count("Received Store Request")
