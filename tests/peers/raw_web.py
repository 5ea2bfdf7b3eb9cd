"""A DICOMweb service that speaks bytes: it reads a request, and then answers as no archive should."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.peers.raw_scp import Behaviour, Visitor


@dataclass
class Request:
    """A whole request."""

    line: str
    headers: dict[str, str]
    body: bytes


def read_request(visitor: Visitor) -> Request:
    """ConnectionError when the visitor has gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += visitor._exactly(1)
    line, *rest = head.decode("ascii").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
    return Request(line, headers, visitor._exactly(int(headers.get("content-length", 0))))


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def stated(*, stored: str = "", failed: str = "", reason: int | None = None, status: int = 200) -> bytes:
    """An answer to a store transaction that names an instance. reason: of its warning or failure."""
    item = {"00081155": {"vr": "UI", "Value": [stored or failed]}}
    if reason is not None:
        item["00081196" if stored else "00081197"] = {"vr": "US", "Value": [reason]}
    return answer(status, json.dumps({"00081199" if stored else "00081198": {"vr": "SQ", "Value": [item]}}).encode())


@dataclass
class RawWeb:
    """Answers each request with the next of its answers, the last one goes on; keeps what it was asked."""

    answers: list[bytes]
    asked: list[Request] = field(default_factory=list)

    def __call__(self, visitor: Visitor) -> None:
        while True:
            self.asked.append(read_request(visitor))
            visitor.socket.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


__all__ = ["Behaviour", "RawWeb", "Request", "answer", "read_request", "stated"]
