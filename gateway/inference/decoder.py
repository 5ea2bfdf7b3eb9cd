"""Pixels are decoded in a child process with a memory and a time limit: a hostile image costs its own job, not the worker."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import numpy as np

from gateway.config import WorkerSettings
from gateway.domain.finding import Region
from gateway.errors import DecodeAnswerError, DecodeError, DecodeMemoryError, DecoderCrashedError, DecodeTimeoutError
from gateway.events import Event, log_event
from gateway.inference.decoder_child import serve
from strnet_core.bundle import PreprocessingSettings

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 2.0
_MAX_HEADER_BYTES: Final = 1 << 20
_ERRORS: Final = {"oom": DecodeMemoryError}
_COSTS_THE_CHILD: Final = frozenset({"oom"})
"""What a child may not have got over."""
_DEFECTS: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""What a defect of a codec ends in. SIGKILL is the kernel's when memory is short, SIGABRT a library's that was refused it."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedKnee:
    """One knee of an instance. position: 1-based from the image's left. region: the crop in source pixels.

    image: uint8 (512, 512), the network's input before the float step. measures: by quality flag, larger is worse.
    """

    position: int
    region: Region
    image: np.ndarray[Any, np.dtype[np.uint8]]
    image_sha256: str
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """What the child made of an instance: the knees from the image's left to its right, and what concerns the whole image."""

    pixel_digest: str
    rows: int
    columns: int
    notes: tuple[str, ...]
    measures: Mapping[str, float]
    knees: tuple[PreparedKnee, ...]


def _prepared(header: dict[str, Any], content: bytes) -> Prepared:
    images = np.frombuffer(content, dtype=np.uint8).reshape(header["shape"])
    return Prepared(
        pixel_digest=header["pixel_digest"],
        rows=header["rows"],
        columns=header["columns"],
        notes=tuple(header["notes"]),
        measures=header["measures"],
        knees=tuple(
            PreparedKnee(
                position=knee["position"],
                region=Region(**knee["region"]),
                image=image,
                image_sha256=knee["image_sha256"],
                measures=knee["measures"],
            )
            for knee, image in zip(header["knees"], images, strict=True)
        ),
    )


def _presented(header: dict[str, Any], content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(content, dtype=np.uint8).reshape(header["shape"])


class Decoder:
    """Owns the child: started when needed, reused, replaced after a failure or a number of images. One caller at a time."""

    def __init__(self, settings: WorkerSettings, preprocessing: PreprocessingSettings) -> None:
        self._settings = settings
        self._preprocessing = preprocessing
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._answered = 0

    def __enter__(self) -> Self:
        self._ensure()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def prepare(self, path: Path) -> Prepared:
        """Decodes a DICOM file and makes the network's input. DecodeError and its kinds say why it could not."""
        return self._ask("prepare", path, _prepared)

    def present(self, path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The presentation image of a DICOM file, uint8 (rows, columns), brighter = denser."""
        return self._ask("present", path, _presented)

    def _ask(self, what: str, path: Path, understand: Callable[[dict[str, Any], bytes], _Answer]) -> _Answer:
        """One request and its own answer. Whatever goes wrong in between costs the child: a late answer would be another patient's."""
        connection = self._ensure()
        try:
            header, content = self._exchange(connection, what, path)
            answer = None if "error" in header else understand(header, content)
        except DecodeError:
            raise
        except (EOFError, OSError) as error:
            raise self._died() from error
        except Exception as error:  # an answer that cannot be understood, in whatever way
            self._replace("unclear")
            raise DecodeAnswerError(type(error).__name__) from error
        if header.get("error") in _COSTS_THE_CHILD:
            self._replace(header["error"])
        else:
            self._retire_after_its_images()
        if answer is None:
            raise _ERRORS.get(header["error"], DecodeError)(header["error"])
        return answer

    def _exchange(self, connection: Connection, what: str, path: Path) -> tuple[dict[str, Any], bytes]:
        """The answer carries the request's number. Both of its messages have to come within the one time limit."""
        deadline = time.monotonic() + self._settings.decode_seconds
        number = uuid4().hex
        limits = {"max_rows": self._settings.max_rows, "max_columns": self._settings.max_columns}
        connection.send_bytes(json.dumps({"number": number, "what": what, "path": str(path), "limits": limits}).encode())
        header: dict[str, Any] = json.loads(self._receive(connection, what, deadline, _MAX_HEADER_BYTES))
        if header.pop("number") != number:
            raise ValueError("the answer to another request")
        if "error" in header:
            return header, b""
        largest = max(self._settings.max_rows * self._settings.max_columns, _MAX_HEADER_BYTES)
        return header, self._receive(connection, what, deadline, largest)

    def _receive(self, connection: Connection, what: str, deadline: float, largest: int) -> bytes:
        if not connection.poll(max(0.0, deadline - time.monotonic())):
            self._replace("timeout")
            raise DecodeTimeoutError(what)
        return connection.recv_bytes(largest)

    def _ensure(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self.close()
        self._answered = 0
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, self._settings.decode_memory_mb, self._preprocessing), name="decoder", daemon=True
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        try:
            ready = ours.poll(_START_SECONDS) and ours.recv_bytes(_MAX_HEADER_BYTES) == b"ready"
        except (EOFError, OSError):
            ready = False
        if not ready:
            self._replace("not started")
            raise DecodeTimeoutError("the decoder did not start")
        return ours

    def _died(self) -> DecodeError:
        """Why the child is gone, by the signal that ended it."""
        process = self._process
        if process is not None:
            # its end of the pipe closes a moment before it can be waited for
            process.join(_STOP_SECONDS)
        code = process.exitcode if process is not None else None
        crashed = code is not None and -code in _DEFECTS
        self._replace("crashed" if crashed else "died")
        return DecoderCrashedError(signal.Signals(-code).name) if code is not None and crashed else DecodeMemoryError("the decoder died")

    def _retire_after_its_images(self) -> None:
        """Whatever the decoding libraries leak ends with the child."""
        self._answered += 1
        if self._answered >= self._settings.decode_images_per_child:
            self.close()

    def _replace(self, reason: str) -> None:
        log_event(Event.DECODER_RESTARTED, level="warning", reason=reason)
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(_STOP_SECONDS)
        self._process = self._connection = None
