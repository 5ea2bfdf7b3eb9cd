"""Orthanc's DICOMweb behind basic authentication, plain or by TLS."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from typing import Any

import pytest

from tests.peers.authority import Pair
from tests.peers.orthanc import DICOMWEB, Orthanc

USER, PASSWORD = "strnet", "a pass:word"


class WebOrthanc(Orthanc):
    """Only `USER` gets in. shows: the certificate by which it speaks HTTPS."""

    def __init__(self, shows: Pair | None = None) -> None:
        if not DICOMWEB.exists():
            pytest.skip("Orthanc's DICOMweb plugin is not installed (make test PEERS=install)")
        super().__init__(dicomweb_host="127.0.0.1")
        self._config |= {"AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}}
        self._scheme = "http"
        if shows is not None:
            both = self.folder / "both.pem"
            both.write_bytes(shows.key.read_bytes() + shows.certificate.read_bytes())
            self._config |= {"SslEnabled": True, "SslCertificate": str(both)}
            self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.http_port}/dicom-web/"

    def get(self, path: str) -> Any:
        return json.loads(self._fetched(path))

    def file(self, instance: str) -> bytes:
        return self._fetched(f"/instances/{instance}/file")

    def _fetched(self, path: str) -> bytes:
        request = urllib.request.Request(f"{self._scheme}://127.0.0.1:{self.http_port}{path}")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        context = ssl._create_unverified_context() if self._scheme == "https" else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return bytes(answer.read())
