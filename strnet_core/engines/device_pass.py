"""One pass over a batch of a fixed size, on the processor or as a captured CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from strnet_core.engines.base import UInt8Images
from strnet_core.engines.batching import CovariateRows, Readings, size_for
from strnet_core.engines.on_device import OnDevice, unpacked
from strnet_core.errors import DeviceMemoryError

Packed = npt.NDArray[np.float32]
_Element = TypeVar("_Element", bound=np.generic)
Pass = Callable[[UInt8Images, CovariateRows], Packed]
"""Exactly as many images as the pass was made for."""
MakePass = Callable[[int], Pass]

_WARM_UP_RUNS = 3
_MEMORY_MESSAGES = ("out of memory", "ALLOC_FAILED")
"""What CUDA's own libraries say of memory; torch has an error class only for its own allocator."""


class PaddedRunner:
    """The `Runner` over passes of a few fixed sizes: a batch is padded with black images to the next size, the surplus dropped."""

    def __init__(self, profile: str, sizes: tuple[int, ...], make_pass: MakePass) -> None:
        self._profile = profile
        self._sizes = tuple(sorted(sizes))
        self._make_pass = make_pass
        self._passes: dict[int, Pass] = {}

    @property
    def profile(self) -> str:
        return self._profile

    @property
    def max_batch(self) -> int:
        return self._sizes[-1]

    def run(self, images: UInt8Images, covariates: CovariateRows) -> Readings:
        """See `Runner.run`."""
        count = images.shape[0]
        size = size_for(count, self._sizes)
        try:
            if size not in self._passes:
                self._passes[size] = self._make_pass(size)
            packed = self._passes[size](_padded(images, size), _padded(covariates, size))
        except RuntimeError as error:
            if _is_out_of_memory(error):
                # what this size has taken would be missing to the next smaller one
                self._passes.pop(size, None)
                torch.cuda.empty_cache()
                raise DeviceMemoryError(f"{size} images at once") from None
            raise
        return unpacked(packed[:count])


def eager(module: OnDevice) -> MakePass:
    """Passes that call the module, wherever its parameters are."""
    device = module.get_buffer("levels").device

    @torch.inference_mode()
    def run(images: UInt8Images, covariates: CovariateRows) -> Packed:
        with exact_float32():
            packed: Packed = module(_tensor(images).to(device), _tensor(covariates).to(device)).cpu().numpy()
        return packed

    return lambda _size: run


def cuda_graphs(module: OnDevice, size_px: int) -> MakePass:
    """Passes that replay a captured CUDA graph: one launch instead of some hundred, which is what a small batch waits for.

    Each size is captured at its first use. The graphs share one memory pool; every input and output is a tensor of its own that
    lives as long as its graph, so only what lies between them is shared, and one pass runs at a time.
    """
    device = module.get_buffer("levels").device
    pool = torch.cuda.graph_pool_handle()

    def make(size: int) -> Pass:
        images = torch.zeros((size, size_px, size_px), dtype=torch.uint8, device=device)
        covariates = torch.zeros((size, 3), dtype=torch.float32, device=device)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), exact_float32():
            _warm_up(module, images, covariates, device)
            with torch.cuda.graph(graph, pool=pool):
                output = module(images, covariates)

        @torch.inference_mode()
        def replay(new_images: UInt8Images, new_covariates: CovariateRows) -> Packed:
            images.copy_(_tensor(new_images))
            covariates.copy_(_tensor(new_covariates))
            graph.replay()
            # the copy to the host waits for the graph, which runs on the same stream
            packed: Packed = output.cpu().numpy()
            return packed

        return replay

    return make


@contextmanager
def exact_float32() -> Iterator[None]:
    """Inside: no TF32, which is on by default for convolutions and is not the float32 that a profile's name promises.

    And no choice of algorithm by trial, which would make two starts differ. Outside everything is as it was.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _warm_up(module: OnDevice, images: torch.Tensor, covariates: torch.Tensor, device: torch.device) -> None:
    """Libraries set themselves up at first use, which may not be captured; on a stream of its own, as CUDA graphs ask."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP_RUNS):
            module(images, covariates)
    torch.cuda.current_stream(device).wait_stream(stream)


def _tensor(array: npt.NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, order="C"))  # copied: torch refuses to read what may not be written


def _padded(array: npt.NDArray[_Element], size: int) -> npt.NDArray[_Element]:
    missing = size - array.shape[0]
    return np.concatenate((array, np.zeros((missing, *array.shape[1:]), array.dtype))) if missing else array


def _is_out_of_memory(error: BaseException) -> bool:
    """Also where the memory ran out first and something else was raised on the way out, as a broken capture does."""
    if isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _MEMORY_MESSAGES):
        return True
    return error.__context__ is not None and _is_out_of_memory(error.__context__)
