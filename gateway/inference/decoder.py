"""Pixels are decoded in a child process with a memory and a time limit: a hostile image costs its own job, not the worker."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from gateway.config import WorkerSettings
from gateway.domain.finding import Region
from gateway.errors import DecodeError, DecodeMemoryError, DecodeTimeoutError
from gateway.events import Event, log_event
from gateway.inference.decoder_child import serve
from strnet_core.bundle import PreprocessingSettings

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 2.0
_ERRORS: Final = {"oom": DecodeMemoryError}


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
        header, content = self._ask("prepare", path)
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

    def present(self, path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The presentation image of a DICOM file, uint8 (rows, columns), brighter = denser."""
        header, content = self._ask("present", path)
        return np.frombuffer(content, dtype=np.uint8).reshape(header["shape"])

    def _ask(self, what: str, path: Path) -> tuple[dict[str, Any], bytes]:
        connection = self._ensure()
        limits = {"max_rows": self._settings.max_rows, "max_columns": self._settings.max_columns}
        try:
            connection.send_bytes(json.dumps({"what": what, "path": str(path), "limits": limits}).encode())
            if not connection.poll(self._settings.decode_seconds):
                self._replace("timeout")
                raise DecodeTimeoutError(what)
            header: dict[str, Any] = json.loads(connection.recv_bytes())
            if "error" in header:
                raise _ERRORS.get(header["error"], DecodeError)(header["error"])
            content = connection.recv_bytes()
        except (EOFError, OSError) as error:
            self._replace("died")
            raise DecodeMemoryError("the decoder died") from error
        self._retire_after_its_images()
        return header, content

    def _ensure(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self._answered = 0
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, self._settings.decode_memory_mb, self._preprocessing), name="decoder", daemon=True
        )
        process.start()
        theirs.close()
        if not ours.poll(_START_SECONDS) or ours.recv_bytes() != b"ready":
            process.kill()
            raise DecodeError("the decoder did not start")
        self._process, self._connection = process, ours
        return ours

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
