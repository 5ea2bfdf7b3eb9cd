"""Reads a training checkpoint. The one place where anything pickled is opened, and only with torch's `weights_only` reader.

The layout is that of the authors' training code: `{"model": state_dict, "best_threshold": number}`. Nothing else may be in it but
what is named as ignored.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from strnet_core.errors import CheckpointError

MODEL_KEY = "model"
THRESHOLD_KEY = "best_threshold"
_PARALLEL_PREFIX = "module."
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """What was in the file."""

    tensors: Mapping[str, Tensor]
    """By the names of the file, without DataParallel's `module.`; they may lie in the file's memory map."""
    best_threshold: float | None
    """As it was stored, to the last bit; None where the file has none."""
    sha256: str
    """Of the file (hex)."""
    was_parallel: bool
    """Whether every name began with `module.`."""


def read_checkpoint(path: Path, ignored_keys: frozenset[str] = frozenset()) -> Checkpoint:
    """Read a checkpoint (`.pth`, zip or the older format). Raises CheckpointError that names what is wrong."""
    content = _load(path)
    if not isinstance(content, dict) or not isinstance(content.get(MODEL_KEY), Mapping):
        raise CheckpointError(f"no {{'{MODEL_KEY}': state_dict}} at the top")
    surplus = sorted({str(key) for key in content} - {MODEL_KEY, THRESHOLD_KEY} - ignored_keys)
    if surplus:
        raise CheckpointError(f"unknown at the top: {listed(surplus)}; name what may be left out with --ignore")
    tensors = _tensors(content[MODEL_KEY])
    parallel = {name.startswith(_PARALLEL_PREFIX) for name in tensors}
    if parallel == {True, False}:
        raise CheckpointError(f"some names begin with {_PARALLEL_PREFIX} and some do not")
    was_parallel = parallel == {True}
    return Checkpoint(
        tensors={name.removeprefix(_PARALLEL_PREFIX): tensor for name, tensor in tensors.items()} if was_parallel else tensors,
        best_threshold=_number(content[THRESHOLD_KEY]) if THRESHOLD_KEY in content else None,
        sha256=_file_sha256(path),
        was_parallel=was_parallel,
    )


def listed(names: list[str]) -> str:
    """The first few names and how many there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _load(path: Path) -> Any:
    try:
        # only the zip format can be mapped
        mapped = zipfile.is_zipfile(path)
        with torch.serialization.safe_globals(_number_globals()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        # torch's own text says how to switch the protection off
        raise CheckpointError("no checkpoint of tensors and numbers alone") from error
    except (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise CheckpointError(f"cannot be read: {_first_line(error)}") from error


def _number_globals() -> list[Any]:
    """What a numpy number is pickled with, under its present and its former name: numpy's grid gives thresholds of that type."""
    scalar = np.float64(0.0).__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in (np.float64, np.float32)]
    return [np.dtype, *types, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    wrong = sorted(str(name) for name, value in state.items() if not isinstance(name, str) or not isinstance(value, Tensor))
    if wrong:
        raise CheckpointError(f"no tensors: {listed(wrong)}")
    odd = sorted(name for name, value in state.items() if value.layout is not torch.strided or value.is_quantized)
    if odd:
        raise CheckpointError(f"sparse or quantised: {listed(odd)}")
    return dict(state)


def _number(value: object) -> float:
    """A float as it is stored; a float32 becomes the float64 of the same value."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        return float(value.double().item())
    if isinstance(value, float | np.floating):
        return float(value)
    raise CheckpointError(f"{THRESHOLD_KEY} is no floating-point number but {type(value).__name__}")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
