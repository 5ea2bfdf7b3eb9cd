"""Measurements that need a process of their own: decoding as a warm child does it, and the memory of a fresh worker."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from strnet_core.bundle import PreprocessingSettings, load_bundle
from strnet_core.engines.profiles import profile_named

ROWS, COLUMNS = 2500, 2048
_STATUS = Path("/proc/self/status")
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMemory:
    """Of a process that loads a bundle, opens an engine and predicts 8 images."""

    resident_mb: float
    """At the end."""
    peak_mb: float
    start_s: float
    """From the first import to the first prediction's end."""


def worker_memory(folder: Path, profile: str, threads: int | None) -> WorkerMemory:
    """Raises RuntimeError where the process ended without an answer."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_be_a_worker, args=(there, folder, profile, threads))
    process.start()
    there.close()
    try:
        if not here.poll(_TIMEOUT_S):
            raise RuntimeError(f"no answer from a worker with {profile}")
        return WorkerMemory(**here.recv())
    except EOFError as error:
        raise RuntimeError(f"a worker with {profile} ended by itself") from error
    finally:
        process.terminate()
        process.join()
        here.close()


@contextmanager
def decoding_child(settings: PreprocessingSettings) -> Iterator[Connection]:
    """A warm process that decodes and preprocesses the file whose path it is sent, and answers with the image's bytes.

    Asked for the survey, it also counts the knees and measures their quality, as the gateway's decoder does.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_be_a_decoder, args=(there, settings))
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(_TIMEOUT_S)


def decode_there(child: Connection, path: Path, *, surveyed: bool = False) -> bytes:
    """One round trip. Raises RuntimeError where the child could not read the file."""
    child.send((path, surveyed))
    image, error_code = child.recv()
    if error_code:
        raise RuntimeError(f"the decoding child answered {error_code}")
    return bytes(image)


def _be_a_worker(answer: Connection, folder: Path, profile: str, threads: int | None) -> None:
    start = time.perf_counter()
    from strnet_core.engines.choose import open_profile

    bundle = load_bundle(folder)
    engine = open_profile(bundle, profile_named(profile), threads)
    size = bundle.preprocessing.size_px
    images = np.random.default_rng(0).integers(0, 256, (8, size, size), np.uint8)
    engine.predict(images[:1], (None,))
    start_s = time.perf_counter() - start
    engine.predict(images, (None,) * 8)
    answer.send({"resident_mb": _status_mb("VmRSS"), "peak_mb": _status_mb("VmHWM"), "start_s": start_s})


def _be_a_decoder(requests: Connection, settings: PreprocessingSettings) -> None:
    from strnet_core.errors import DecodeError
    from strnet_core.preprocessing import preprocess
    from strnet_core.radiograph import read_dicom
    from strnet_core.survey import survey

    while True:
        try:
            path, surveyed = requests.recv()
        except EOFError:
            return
        try:
            radiograph = read_dicom(path, settings=settings)
            image = survey(radiograph, settings).knees[0].image if surveyed else preprocess(radiograph, settings).image
            requests.send((image.tobytes(), ""))
        except DecodeError as error:
            requests.send((b"", error.code))


def _status_mb(key: str) -> float:
    """Megabytes (10^6 bytes) of a field of this process's status."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {key} in {_STATUS}")
