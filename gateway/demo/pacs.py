"""An embedded PACS for the demonstration: keeps what it is sent as files, by our own names. Not for anything else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pynetdicom import AE, StoragePresentationContexts, evt

from gateway.domain.identifiers import new_id


class EmbeddedPacs:
    """C-STORE SCP on a free port of 127.0.0.1."""

    def __init__(self, folder: Path, ae_title: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[str, Path] = {}
        self._ae = AE(ae_title=ae_title)
        self._ae.supported_contexts = StoragePresentationContexts
        self._server: Any = None

    def start(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        port: int = self._server.server_address[1]
        return port

    def stop(self) -> None:
        self._server.shutdown()

    def files(self) -> dict[str, Path]:
        """What it holds, by SOP Instance UID."""
        with self._lock:
            return dict(self._files)

    def _store(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        path = self._folder / f"{new_id()}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        with self._lock:
            previous = self._files.pop(str(dataset.SOPInstanceUID), None)
            self._files[str(dataset.SOPInstanceUID)] = path
        if previous is not None:
            previous.unlink()
        return 0x0000
