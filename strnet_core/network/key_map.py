"""From a checkpoint's names to ours: exact, complete, and never by resemblance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from strnet_core.errors import CheckpointError
from strnet_core.network.checkpoint import listed
from strnet_core.network.strnet import StrNet

KeyMap = Mapping[str, str]
"""Name in the checkpoint (without `module.`) to name in `StrNet`; a name that is not mentioned maps to itself."""

_WIDENED = (torch.float16, torch.bfloat16)
_NARROWED = (torch.float64,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappedWeights:
    """Weights under our names."""

    weights: Mapping[str, npt.NDArray[np.generic]]
    """Every name of `StrNet`, float32, and int64 for batch norm's counters."""
    converted: Mapping[str, int]
    """How many tensors were converted to float32, by their former type."""


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the network, without building it."""
    return {name: tuple(tensor.shape) for name, tensor in _skeleton().items()}


def map_weights(tensors: Mapping[str, Tensor], key_map: KeyMap, *, to_float32: bool = False) -> MappedWeights:
    """Tensors by our names, each with its expected shape and type.

    Other floating-point types are refused, or converted where `to_float32` asks for it: exact from float16 and bfloat16, rounded to
    nearest from float64. Raises CheckpointError that names what is missing, left over, of another shape or type, or not finite.
    """
    expected = _skeleton()
    renamed = _renamed(tensors, key_map, expected)
    missing, extra = sorted(set(expected) - set(renamed)), sorted(set(renamed) - set(expected))
    if missing or extra:
        raise CheckpointError(f"missing: {listed(missing) or 'none'}; left over: {listed(extra) or 'none'}")
    shapes = [
        f"{name} {tuple(renamed[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if renamed[name].shape != tensor.shape
    ]
    if shapes:
        raise CheckpointError(f"other shapes: {listed(shapes)}")
    converted = _conversions(renamed, expected, to_float32=to_float32)
    weights = {name: renamed[name].detach().to(tensor.dtype).contiguous().numpy() for name, tensor in expected.items()}
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        raise CheckpointError(f"not finite: {listed(broken)}")
    return MappedWeights(weights=weights, converted=converted)


def _skeleton() -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(StrNet().state_dict())


def _renamed(tensors: Mapping[str, Tensor], key_map: KeyMap, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    unknown = sorted(set(key_map) - set(tensors))
    if unknown:
        raise CheckpointError(f"the key map renames what is not there: {listed(unknown)}")
    aimless = sorted(set(key_map.values()) - set(expected))
    if aimless:
        raise CheckpointError(f"the key map names targets that STR-Net does not have: {listed(aimless)}")
    targets = [key_map.get(name, name) for name in tensors]
    doubled = sorted(name for name, count in Counter(targets).items() if count > 1)
    if doubled:
        raise CheckpointError(f"two tensors for one name: {listed(doubled)}")
    return dict(zip(targets, tensors.values(), strict=True))


def _conversions(renamed: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, to_float32: bool) -> dict[str, int]:
    others = {name: renamed[name].dtype for name, tensor in expected.items() if renamed[name].dtype != tensor.dtype}
    convertible = (*_WIDENED, *_NARROWED) if to_float32 else ()
    wrong = [
        f"{name} {str(dtype).removeprefix('torch.')}"
        for name, dtype in others.items()
        if dtype not in convertible or not expected[name].is_floating_point()
    ]
    if wrong:
        hint = "" if to_float32 else "; --to-float32 converts floating-point types"
        raise CheckpointError(f"other types: {listed(wrong)}{hint}")
    return dict(Counter(str(dtype).removeprefix("torch.") for dtype in others.values()))
