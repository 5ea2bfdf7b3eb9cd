"""Modalities that keep a log: which data set was answered how. What was answered 0000 is what the gateway is held to."""

from __future__ import annotations

import re
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pynetdicom import AE, build_context

from tests.faults.images import Image
from tests.peers.raw_scu import send_bytes

STORESCU: Final = "/usr/bin/storescu"
ECHOSCU: Final = "/usr/bin/echoscu"
NO_ANSWER: Final = "no answer"
_PATIENCE_SECONDS: Final = 20


@dataclass
class SentLog:
    """Every answer in its order, and the data sets that were acknowledged: (SOP Instance UID, SHA-256)."""

    answers: list[str] = field(default_factory=list)
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, image: Image, answer: str) -> str:
        with self.lock:
            self.answers.append(answer)
            if answer == "0000":
                self.acknowledged.add((image.uid, image.digest))
        return answer


@contextmanager
def association(
    port: int,
    images: Sequence[Image] = (),
    *,
    calling: str = "XRAY1",
    source: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    patience: float = _PATIENCE_SECONDS,
) -> Iterator[Any]:
    """An association, open or refused, from one of the loopback addresses. patience: seconds that the modality waits for an answer."""
    contexts = sorted({(image.sop_class, image.syntax) for image in images}) or [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = patience
    assoc = ae.associate(
        "127.0.0.1",
        port,
        contexts=[build_context(*pair) for pair in contexts],
        ae_title="STRNET",
        bind_address=(source, 0),
        tls_args=(tls, None) if tls else None,
    )
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def family(answer: str) -> str:
    """Which of the codes of "cannot understand" it is does not matter to a fault."""
    return "C0xx" if answer.startswith("C0") else answer


def negotiation(port: int) -> str:
    """What a new association is told."""
    try:
        with association(port) as assoc:
            if assoc.is_established:
                return "accepted"
            if assoc.is_rejected:
                return "rejected (transient)" if assoc.acceptor.primitive.result == 2 else "rejected (permanent)"
            return "no association"
    except OSError:
        return "no connection"


def send(assoc: Any, image: Image, log: SentLog) -> str:
    """Sends a data set's bytes unread; its status as four digits, or that none came."""
    if not assoc.is_established:
        return log.note(image, "no association")
    accepted = [
        n for n, cx in enumerate(assoc.accepted_contexts) if (cx.abstract_syntax, cx.transfer_syntax[0]) == (image.sop_class, image.syntax)
    ]
    if not accepted:
        return log.note(image, "no context")
    try:
        status, _ = send_bytes(assoc, image.content, sop_class_uid=image.sop_class, sop_instance_uid=image.uid, context=accepted[0])
    except (OSError, RuntimeError, ValueError, AttributeError):
        status = None
    return log.note(image, NO_ANSWER if status is None else f"{status:04X}")


def send_all(port: int, images: Sequence[Image], log: SentLog, *, source: str = "127.0.0.1") -> list[str]:
    """One association with all of them."""
    try:
        with association(port, images, source=source) as assoc:
            return [send(assoc, one, log) for one in images]
    except OSError:
        return [log.note(one, "no association") for one in images]


def storescu(
    images: Sequence[Image],
    folder: Path,
    port: int,
    log: SentLog,
    *,
    host: str = "127.0.0.1",
    calling: str = "XRAY1",
    options: Sequence[str] = (),
    command: Sequence[str] = (),
    repeat: int = 1,
    seconds: float = 60,
) -> str:
    """DCMTK's storescu as the modality, until it ends. Its exit code tells too little: the log is read instead."""
    files = {str(one.write(folder)): one for one in images}
    call = [*command, STORESCU, "-v", "-nh", "-R", *options, "-aet", calling, "-aec", "STRNET", host, str(port), *(list(files) * repeat)]
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False)
    said = done.stdout.decode(errors="replace")
    current: Image | None = None
    for line in said.splitlines():
        if line.startswith("I: Sending file: "):
            current = files.get(line.removeprefix("I: Sending file: ").strip())
        answered = re.search(r"Received Store Response \((.*)\)", line)
        if answered and current is not None:
            log.note(current, "0000" if answered[1] == "Success" else answered[1])
            current = None
    return said


def echo(port: int, *, host: str = "127.0.0.1", seconds: int = 10) -> bool:
    """C-ECHO by DCMTK's echoscu."""
    call = [ECHOSCU, "-to", str(seconds), "-ta", str(seconds), "-td", str(seconds), "-aet", "XRAY1", "-aec", "STRNET", host, str(port)]
    return subprocess.run(call, capture_output=True, timeout=seconds * 3, check=False).returncode == 0
