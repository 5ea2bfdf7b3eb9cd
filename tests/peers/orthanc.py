"""Orthanc as the PACS: its own folder, free ports, gone with the tests."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.peers.postgresql import free_port

BINARY = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """A running Orthanc that accepts everything. dicomweb_host: answer DICOMweb too, as if at this host and port. changes: of its configuration."""

    def __init__(
        self,
        *,
        lua: Path | None = None,
        modalities: Mapping[str, object] | None = None,
        dicomweb_host: str | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> None:
        if not BINARY.exists():
            pytest.skip("Orthanc is not installed (make test PEERS=install)")
        self.folder = Path(tempfile.mkdtemp(prefix="strnet-orthanc-"))
        self.dicom_port, self.http_port = free_port(), free_port()
        self._config = {
            "Name": "strnet-test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomAet": "PACS",
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": modalities or {},
            "LuaScripts": [str(lua)] if lua else [],
            "OverwriteInstances": False,
            "Plugins": [str(DICOMWEB)] if dicomweb_host else [],
        }
        if dicomweb_host:
            # the host stands in the URLs of its answers: a viewer behind a proxy must find them on the proxy
            self._config["DicomWeb"] = {
                "Enable": True,
                "Root": "/dicom-web/",
                "EnableWado": True,
                "WadoRoot": "/wado",
                "Host": dicomweb_host,
            }
        self._config.update(changes or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._config))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([str(BINARY), str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.get("/system")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stand_still(self) -> None:
        """SIGSTOP: its connections stay, and its port takes further ones, but nobody reads."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return json.load(answer)

    def file(self, instance: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/instances/{instance}/file", timeout=10) as answer:
            return bytes(answer.read())

    def upload(self, content: bytes) -> str:
        """Stores a Part 10 file by REST; Orthanc's own identifier of the instance."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/instances", data=content, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(json.load(answer)["ID"])

    def preview(self, instance: str) -> tuple[int, str, bytes]:
        """(HTTP status, content type, image) of an instance's preview."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/instances/{instance}/preview", timeout=30) as answer:
                return answer.status, answer.headers.get_content_type(), answer.read()
        except HTTPError as error:
            return error.code, error.headers.get_content_type(), b""

    def instances(self) -> dict[str, dict[str, str]]:
        """Main attributes of everything it holds, by SOP Instance UID."""
        found = {}
        for instance in self.get("/instances"):
            tags = self.get(f"/instances/{instance}/simplified-tags")
            found[tags["SOPInstanceUID"]] = {**{key: value for key, value in tags.items() if isinstance(value, str)}, "orthanc": instance}
        return found

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")
