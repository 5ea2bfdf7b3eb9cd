"""The supervisor's HTTP end point: `/healthz`, `/readyz`, and figures for Prometheus at any other path. Read only, no access control."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from gateway.domain.readiness import Hindrance

_JSON: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
Start = Callable[[str, list[tuple[str, str]]], Any]


class Endpoint:
    """Answers from what is known already: a store that does not answer keeps no probe waiting."""

    def __init__(
        self,
        collector: Collector,
        *,
        is_alive: Callable[[], bool],
        hindrances: Callable[[], Sequence[Hindrance]],
        host: str,
        port: int,
    ) -> None:
        """OSError when the address cannot be listened on."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        self._figures = make_wsgi_app(registry)
        self._is_alive = is_alive
        self._hindrances = hindrances
        self._server: WSGIServer = make_server(host, port, self._answer, _server_class(host), handler_class=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/healthz":
            alive = self._is_alive()
            return _json(start, HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE, {"alive": alive})
        if path == "/readyz":
            found = self._hindrances()
            hindrances = [{"cause": one.cause, "subject": one.subject} for one in found]
            status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
            return _json(start, status, {"ready": not found, "hindrances": hindrances})
        answer: Iterable[bytes] = self._figures(environ, start)
        return answer


def _json(start: Start, status: HTTPStatus, content: object) -> list[bytes]:
    start(f"{status.value} {status.phrase}", list(_JSON))  # wsgiref adds to the list that it gets
    return [json.dumps(content).encode()]


def _server_class(host: str) -> type[WSGIServer]:
    class Server(ThreadingWSGIServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server


class _Silent(WSGIRequestHandler):
    """Says nothing of requests: the log is the gateway's."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002  wsgiref's names
        return
