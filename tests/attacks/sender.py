"""The legitimate sender: DCMTK's storescu from 127.0.0.1. What counts is what the store holds."""

from __future__ import annotations

import subprocess
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import dcmread

from tests.attacks.attacks import data_set
from tests.attacks.target import Target
from tests.peers.dcmtk import STORESCU

SENDER: Final = "XRAY1"
_FILES: Final = 5
_CROWD: Final = 12
_SIDE: Final = 724
"""Rows and columns: an object of about 1 MB."""


class Sender:
    """Sends five objects of 1 MB over one association."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._files = [_make(folder, number) for number in range(_FILES)]

    def send(self, target: Target, *, patience: float = 120) -> tuple[float, bool]:
        """(seconds, all of them are acknowledged in the receiver's store)."""
        before, began = target.stored_of(SENDER), time.monotonic()
        command = [str(STORESCU), "-R", "-aet", SENDER, "-aec", "STRNET", "127.0.0.1", str(target.port), *map(str, self._files)]
        subprocess.run(command, capture_output=True, timeout=patience, check=False)
        return time.monotonic() - began, target.stored_of(SENDER) - before == _FILES

    def crowd(self, target: Target) -> None:
        """Several at once, so that the receiver has all the database connections that it keeps."""
        threads = [threading.Thread(target=self.send, args=(target,)) for _ in range(_CROWD)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _make(folder: Path, number: int) -> Path:
    path = folder / f"{number}.dcm"
    content = data_set(f"1.2.9.{number}", Rows=_SIDE, Columns=_SIDE, PixelData=bytes(2 * _SIDE * _SIDE))
    dataset = dcmread(BytesIO(content), force=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.save_as(path, enforce_file_format=True)
    return path
