"""Orthanc's DICOMweb behind basic authentication."""

from __future__ import annotations

import base64
import json
import socket
import threading
import urllib.request
from contextlib import suppress
from typing import Any

import pytest

from tests.peers.orthanc import DICOMWEB, Orthanc
from tests.peers.raw_scp import Behaviour, Visitor

USER, PASSWORD = "strnet", "a pass:word"


class WebOrthanc(Orthanc):
    """Only `USER` gets in. Its own HTTPS ends Debian's Orthanc 1.10 with the first request: by TLS it is reached as in hospitals, over a front."""

    def __init__(self) -> None:
        if not DICOMWEB.exists():
            pytest.skip("Orthanc's DICOMweb plugin is not installed (make test PEERS=install)")
        super().__init__(dicomweb_host="127.0.0.1")
        self._config |= {"AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web/"

    def get(self, path: str) -> Any:
        return json.loads(self._fetched(path))

    def file(self, instance: str) -> bytes:
        return self._fetched(f"/instances/{instance}/file")

    def _fetched(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


def relaying(port: int) -> Behaviour:
    """Hands everything on to a service on this host, as a reverse proxy does."""

    def relay(visitor: Visitor) -> None:
        with socket.create_connection(("127.0.0.1", port)) as behind:
            back = threading.Thread(target=_pump, args=(behind, visitor.socket), daemon=True)
            back.start()
            _pump(visitor.socket, behind)
            back.join(10)

    return relay


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
