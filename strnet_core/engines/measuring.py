"""One run of `strnet bench`: which passes take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self

import torch

from strnet_core.bundle import ModelBundle
from strnet_core.engines.bench_files import UNCOMPRESSED, write_files
from strnet_core.engines.bench_processes import COLUMNS, ROWS, decode_there, decoding_child, worker_memory
from strnet_core.engines.benchmark import (
    engine_passes,
    library_grad_cam,
    openvino_saliency,
    take_turns,
    torch_saliency,
)
from strnet_core.engines.choose import available_profiles, open_profile
from strnet_core.engines.measured import GRAD_CAM, SURVEY, Measured, Multiplication, Plan
from strnet_core.engines.multiplication import CPU_SIDE, CUDA_SIDE, gigaflop, openvino_multiplication, torch_multiplication


class _MakePass(Protocol):
    def __call__(self, file: Path, *, surveyed: bool) -> Callable[[], object]: ...


class Measuring:
    """Opens what is measured, runs it in turn and closes it. Raises StrnetError subclasses where an engine cannot be opened."""

    def __init__(self, bundle: ModelBundle, parts: frozenset[str], batches: tuple[int, ...], threads: int | None, *, card: bool) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._bundle = bundle
        self._parts = parts
        self._device = torch.device("cuda" if card else "cpu")
        self._stack = ExitStack()
        self._passes: dict[str, Callable[[], object]] = {}
        self._profiles = tuple(each for each in available_profiles() if card or each.device == "cpu")
        self._plan = Plan(profiles=self._profiles if "engines" in parts else (), batches=batches)

    @property
    def threads(self) -> int:
        return torch.get_num_threads()

    def __enter__(self) -> Self:
        engines = [open_profile(self._bundle, each, self.threads, allow_cpu_fallback=False) for each in self._plan.profiles]
        self._passes |= engine_passes(engines, self._plan.batches, self._bundle.preprocessing.size_px)
        if "limits" in self._parts:
            self._add_multiplications()
        if self._parts & {"saliency", "gradcam"}:
            self._add_saliency()
        if "decode" in self._parts:
            self._add_decoding()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(self, rounds: Iterable[int]) -> Measured:
        """Everything in turn; the first round warms up."""
        return Measured(plan=self._plan, times=take_turns(self._passes, rounds))

    def memory(self) -> dict[str, dict[str, float]]:
        """Of a fresh worker per profile."""
        asked = self._profiles if "memory" in self._parts else ()
        found = {each.name: worker_memory(self._bundle.folder, each.name, self.threads) for each in asked}
        return {
            "worker_rss_mb": {name: memory.resident_mb for name, memory in found.items()},
            "worker_peak_mb": {name: memory.peak_mb for name, memory in found.items()},
            "worker_start_s": {name: memory.start_s for name, memory in found.items()},
        }

    def _add_multiplications(self) -> None:
        kinds = sorted({(each.engine, each.device, each.arithmetic) for each in self._profiles})
        for engine, device, arithmetic in kinds:
            side = CUDA_SIDE if device == "cuda" else CPU_SIDE
            name = f"{engine}-{device}-{arithmetic}, {side} x {side} multiplication"
            if engine == "openvino":
                self._passes[name] = openvino_multiplication(arithmetic, self.threads)
            else:
                self._passes[name] = torch_multiplication(arithmetic, torch.device(device))
            self._plan.multiplications[name] = Multiplication(arithmetic=arithmetic, device=device, gigaflop=gigaflop(side))

    def _add_saliency(self) -> None:
        made = [torch_saliency(self._bundle, self._device)]
        if any(each.engine == "openvino" for each in self._profiles):
            made.append(openvino_saliency(self._bundle, self.threads))
        for passes, price in made:
            self._passes |= passes
            self._plan.prices.append(price)
        cam = library_grad_cam(self._bundle, self._device) if "gradcam" in self._parts else None
        if cam is not None:
            self._passes[GRAD_CAM] = cam

    def _add_decoding(self) -> None:
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        child = self._stack.enter_context(_child(self._bundle))
        for short, file in write_files(folder, ROWS, COLUMNS).items():
            name = f"decode and preprocess {ROWS} x {COLUMNS}, {short}"
            self._plan.files[short] = name
            self._passes[name] = child(file, surveyed=False)
            if short == UNCOMPRESSED:
                self._passes[SURVEY] = child(file, surveyed=True)


@contextmanager
def _child(bundle: ModelBundle) -> Iterator[_MakePass]:
    """Makes the pass of a file; all share one warm child."""
    with decoding_child(bundle.preprocessing) as connection:

        def make(file: Path, *, surveyed: bool) -> Callable[[], object]:
            return lambda: decode_there(connection, file, surveyed=surveyed)

        yield make
