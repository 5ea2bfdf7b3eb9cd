"""What a measurement of numbers and speed depends on beside the weights: the processor, the card, the libraries."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from strnet_core.engines.profiles import Profile

_CPU_FILE = Path("/proc/cpuinfo")
_NAMES = ("model name", "cpu family", "model", "stepping", "CPU part", "CPU variant")
_FLAGS = (
    "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "bf16", "sve", "sve2",
)  # fmt: skip
"""What the libraries choose their code by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What computes a profile here. Two machines that are equal compute the same numbers with the same code."""

    processor: str
    """Name and the instruction sets that matter; for CUDA the card's name and compute capability too."""
    versions: Mapping[str, str]
    """Of the libraries that compute, by name."""


def this_machine(profile: Profile) -> Machine:
    """The machine at hand, as far as it matters to a profile and to the reference that it is compared with."""
    names = ["torch", "strnet-gateway"] + (["openvino"] if profile.engine == "openvino" else [])
    versions = {name: _version_of(name) for name in names}
    if profile.device != "cuda":
        return Machine(processor=processor(), versions=versions)
    import torch

    card = torch.cuda.get_device_properties(0)
    versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    return Machine(processor=f"{processor()}; {card.name} {card.major}.{card.minor}", versions=versions)


@cache
def processor() -> str:
    """Name, family, model, stepping and instruction sets of the first processor."""
    try:
        text = _CPU_FILE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    return processor_of(text)


def processor_of(text: str) -> str:
    """The same, of the content of /proc/cpuinfo."""
    first = text.strip().split("\n\n", maxsplit=1)[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    words = [f"{name} {fields[name]}" if name != "model name" else fields[name] for name in _NAMES if name in fields]
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return f"{', '.join(words)} ({' '.join(flag for flag in _FLAGS if flag in flags)})"


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively; without that it is emulated, a hundred times slower."""
    flags = set(processor().rpartition("(")[2].rstrip(")").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
