"""A PACS that comes and goes: Orthanc with storage commitment, or on its port one that refuses."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.dicom.uids import RESULT_SOP_CLASSES
from tests.peers.orthanc import Orthanc
from tests.peers.raw_scp import RawScp, Visitor

_OUT_OF_RESOURCES: Final = 0xA700


class Pacs:
    """Not started yet. reports_to: the port of the gateway's receiver."""

    def __init__(self, *, reports_to: int) -> None:
        gateway = {"AET": "STRNET", "Host": "127.0.0.1", "Port": reports_to, "AllowStorageCommitment": True}
        self._orthanc = Orthanc(modalities={"gateway": gateway})
        self.port = self._orthanc.dicom_port
        self.is_now = "not there"

    def start(self) -> None:
        self._orthanc.start()
        self.is_now = "there"

    def stop(self) -> None:
        """SIGTERM."""
        self.is_now = "stopped"
        self._orthanc.stop()

    def kill(self) -> None:
        """kill -9."""
        self.is_now = "killed"
        self._orthanc.kill()

    @contextmanager
    def replaced(self) -> Iterator[Refuser]:
        """By one that refuses everything, at the same port under the same AE title."""
        refuser = Refuser()
        with RawScp(refuser, port=self.port):
            self.is_now = "one that answers A700"
            yield refuser
        self.is_now = "not there"

    def rejecting(self, refuser: Refuser) -> None:
        """From now on the one that took its place rejects associations."""
        refuser.rejects = True
        self.is_now = "one that rejects associations"

    def held(self) -> Counter[str]:
        """How many objects it has of each SOP Instance UID."""
        return Counter(one["MainDicomTags"]["SOPInstanceUID"] for one in self._orthanc.get("/instances?expand"))

    def clear_away(self) -> None:
        self._orthanc.stop()
        shutil.rmtree(self._orthanc.folder, ignore_errors=True)


class Refuser:
    """Answers each C-STORE with A700, then, when it is told so, rejects associations (transient)."""

    def __init__(self) -> None:
        self.rejects = False
        self.refused = 0
        """C-STORE requests."""
        self.rejected = 0
        """Associations."""
        self._lock = threading.Lock()

    def __call__(self, visitor: Visitor) -> None:
        if self.rejects:
            with self._lock:
                self.rejected += 1
            visitor.reject()
            return
        visitor.accept(only=set(RESULT_SOP_CLASSES))
        while not self.rejects:
            request = visitor.request()
            with self._lock:
                self.refused += 1
            visitor.answer(request, _OUT_OF_RESOURCES)
