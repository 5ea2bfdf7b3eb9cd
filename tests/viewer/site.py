"""One origin for the viewer: OHIF's files, our configuration, and Orthanc's DICOMweb behind it. Loopback only."""

from __future__ import annotations

import http.client
import mimetypes
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PASSED_ON = ("/dicom-web", "/wado")
_HEADERS = ("Accept", "Content-Type")
_MISSING_TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".woff2": "font/woff2"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *connection: Any) -> None:
        self._site = site
        super().__init__(*connection)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(_PASSED_ON):
            self._pass_on()
        elif path == "/app-config.js":
            self._answer(200, "text/javascript", self._site.configuration.read_bytes())
        else:
            self._serve(path)

    def _serve(self, path: str) -> None:
        file = (self._site.viewer / path.lstrip("/")).resolve()
        if not file.is_relative_to(self._site.viewer):
            self._answer(404, "text/plain", b"")
            return
        if not file.is_file():
            if file.suffix:
                self._answer(404, "text/plain", b"")
                return
            file = self._site.viewer / "index.html"  # the application's own routes
        kind = _MISSING_TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._answer(200, kind, file.read_bytes())

    def _pass_on(self) -> None:
        pacs = http.client.HTTPConnection("127.0.0.1", self._site.pacs_port, timeout=60)
        try:
            pacs.request("GET", self.path, headers={name: self.headers[name] for name in _HEADERS if name in self.headers})
            answer = pacs.getresponse()
            self._answer(answer.status, answer.headers.get("Content-Type", "application/octet-stream"), answer.read())
        finally:
            pacs.close()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # As OHIF's own deployments are served: shared memory between its workers
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the browser tells what failed."""


class Site:
    """Listens on a free port from the start; `pacs_port` is set before the first question comes."""

    def __init__(self, viewer: Path, configuration: Path) -> None:
        self.viewer, self.configuration, self.pacs_port = viewer.resolve(), configuration, 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="viewer-site", daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
