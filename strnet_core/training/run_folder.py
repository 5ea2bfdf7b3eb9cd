"""A run's folder: what it was begun with, its knees and their parts, and one folder per fit."""

from __future__ import annotations

import fcntl
import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from strnet_core.bundle.durable_file import write_durably
from strnet_core.errors import TrainingRunError
from strnet_core.training.films import LeftOut
from strnet_core.training.initial_weights import sha256_of
from strnet_core.training.knee_set import KneeSet
from strnet_core.training.prediction_table import COLUMNS, knee_row, to_csv
from strnet_core.training.settings import TrainingSettings, decode_settings, encode_settings
from strnet_core.training.splits import Part

PROTOCOL = "protocol.json"
RUN = "run.json"
KNEES = "knees.csv"
LEFT_OUT = "left-out.csv"
PREDICTIONS = "predictions.csv"
VALIDATION = "validation.csv"
FIT = "fit.json"
MODEL = "model.safetensors"

_SCHEMA = 1
_LOCK = ".lock"
_KNEE_COLUMNS = (*(name for name in COLUMNS if name not in ("fold", "logit", "severity_logit", "t_score_pred")), "image_sha256", "parts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a run's input lies."""

    data: tuple[Path, ...]
    patient_pattern: str = ""
    separate_patients: bool = False
    """An id in two folders is two people."""
    initial_weights: Path | None = None


def begin(folder: Path, settings: TrainingSettings, sources: Sources) -> None:
    """Write what the run is begun with. Raises TrainingRunError where the folder is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingRunError(f"{folder.name} is not empty; --resume goes on with a run")
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": _SCHEMA,
        "data": [str(path.resolve()) for path in sources.data],
        "patient_pattern": sources.patient_pattern,
        "separate_patients": sources.separate_patients,
        "initial_weights": None if sources.initial_weights is None else str(sources.initial_weights.resolve()),
        "software": {"python": platform.python_version(), "torch": torch.__version__},
    }
    write_durably(folder / PROTOCOL, f"{encode_settings(settings)}\n".encode())
    write_durably(folder / RUN, f"{json.dumps(document, indent=2)}\n".encode())


def begun_with(folder: Path) -> tuple[TrainingSettings, Sources]:
    """Raises TrainingRunError where nothing was begun."""
    try:
        document = json.loads((folder / RUN).read_bytes())
        settings = decode_settings((folder / PROTOCOL).read_text(encoding="utf-8"))
        if document["schema"] != _SCHEMA:
            raise TrainingRunError(f"schema {document['schema']}, this release reads {_SCHEMA}")
        weights = document["initial_weights"]
        sources = Sources(
            data=tuple(map(Path, document["data"])),
            patient_pattern=document["patient_pattern"],
            # runs of before it could be chosen did not separate them
            separate_patients=document.get("separate_patients", False),
            initial_weights=None if weights is None else Path(weights),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingRunError(f"{folder.name}: {type(error).__name__}") from error
    return settings, sources


def check_initial_weights(settings: TrainingSettings, sources: Sources) -> None:
    """Raises TrainingRunError where they are no longer the ones that the run was begun with; what is trained needs them no more."""
    if sources.initial_weights is not None and sha256_of(sources.initial_weights) != settings.initial_weights:
        raise TrainingRunError("the initial weights are another file now")


def record_knees(folder: Path, data: KneeSet, parts: Sequence[Part]) -> None:
    """Write knees and parts once; afterwards they must be the same. Raises TrainingRunError where they are not."""
    content = to_csv(
        ({**knee_row(knee), "image_sha256": knee.sha256, "parts": _parts_of(place, parts)} for place, knee in enumerate(data.knees)),
        _KNEE_COLUMNS,
    )
    path = folder / KNEES
    if path.exists():
        if path.read_bytes() != content:
            raise TrainingRunError("the data, or how it is read and split, is no longer what the run was begun with")
        return
    write_durably(folder / LEFT_OUT, _left_out(data.left_out))
    write_durably(path, content)


def fold_folder(folder: Path, fold: int) -> Path:
    """Of one fit."""
    return folder / f"fold-{fold}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time. Raises TrainingRunError where another one has it, or where there is no folder."""
    try:
        stream = (folder / _LOCK).open("a")
    except OSError as error:
        raise TrainingRunError(f"{folder.name}: {type(error).__name__}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingRunError("another process is training in this folder") from error
        yield


def _parts_of(place: int, parts: Sequence[Part]) -> str:
    """One word per fit."""
    return " ".join("test" if place in part.test else "validation" if place in part.validation else "train" for part in parts)


def _left_out(each: Sequence[LeftOut]) -> bytes:
    return to_csv(({"image": one.name, "reason": one.reason} for one in each), ("image", "reason"))
