"""What `strnet bench` runs in turn: whole engines, the network with and without its saliency, the library's Grad-CAM."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from strnet_core.bundle import ModelBundle
from strnet_core.engines.base import Engine
from strnet_core.engines.device_pass import exact_float32
from strnet_core.engines.torch_engine import network_of
from strnet_core.network.strnet import StrNet
from strnet_core.saliency import NetworkWithSaliency

GFLOP_PER_IMAGE = 41.9
"""20.94 G multiply-adds of the architecture at 512 x 512, counted as two operations each."""

Passes = Mapping[str, Callable[[], object]]
_MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds of one pass over all its turns."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        return min(self.samples)

    def over(self, other: Times) -> float:
        """Median ratio to another pass of the same rounds: both of a round saw the same disturbance."""
        return statistics.median(one / two for one, two in zip(self.samples, other.samples, strict=True))


def take_turns(passes: Passes, rounds: Iterable[int]) -> dict[str, Times]:
    """Every pass once per round, so that whatever else the machine does falls on all of them alike. The first round warms up."""
    samples: dict[str, list[float]] = {name: [] for name in passes}
    for number in rounds:
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            if number > 0:
                samples[name].append((time.perf_counter() - start) * _MILLISECONDS)
    return {name: Times(samples=tuple(values)) for name, values in samples.items()}


def engine_passes(engines: Iterable[Engine], batches: tuple[int, ...], size_px: int) -> dict[str, Callable[[], object]]:
    """`PROFILE x BATCH`: 8-bit images in, predictions out, with every copy."""
    images = np.random.default_rng(0).integers(0, 256, (max(batches), size_px, size_px), np.uint8)

    def predict(engine: Engine, batch: int) -> Callable[[], object]:
        return lambda: engine.predict(images[:batch], (None,) * batch)

    return {engine_pass(engine.profile, batch): predict(engine, batch) for engine in engines for batch in batches}


def engine_pass(profile: str, batch: int) -> str:
    """Name of an engine's pass."""
    return f"{profile} x {batch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyPrice:
    """Names of a pass with the saliency and of the same without."""

    with_saliency: str
    without: str


def torch_saliency(bundle: ModelBundle, device: torch.device) -> tuple[dict[str, Callable[[], object]], SaliencyPrice]:
    """The network alone, and with its saliency, in float32 on a device, one image."""
    network = network_of(bundle).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    whole = NetworkWithSaliency(network).to(device)
    images, covariates = _inputs(bundle, device)

    @torch.inference_mode()
    def run(module: nn.Module) -> object:
        with exact_float32():
            output = module(images, covariates)
        _wait(device)
        return output

    name = f"torch-{device.type}-float32"
    price = SaliencyPrice(with_saliency=f"{name}, network and saliency", without=f"{name}, network alone")
    return {price.without: lambda: run(network), price.with_saliency: lambda: run(whole)}, price


def openvino_saliency(bundle: ModelBundle, threads: int | None) -> tuple[dict[str, Callable[[], object]], SaliencyPrice]:
    """The same as compiled OpenVINO graphs in float32."""
    from strnet_core.engines.openvino_engine import compile_graph, convert, graph_of

    network = network_of(bundle)
    images, covariates = _inputs(bundle, torch.device("cpu"))
    arrays = [images.numpy(), covariates.numpy()]
    alone = compile_graph(graph_of(_Logits(network), (images, covariates)), "float32", threads).create_infer_request()
    whole = compile_graph(convert(network, bundle.preprocessing), "float32", threads).create_infer_request()
    name = "openvino-cpu-float32"
    price = SaliencyPrice(with_saliency=f"{name}, network and saliency", without=f"{name}, network alone")
    return {price.without: lambda: alone.infer(arrays), price.with_saliency: lambda: whole.infer(arrays)}, price


def library_grad_cam(bundle: ModelBundle, device: torch.device) -> Callable[[], object] | None:
    """Full Grad-CAM of the same image by the package `grad-cam`: forward, and backward through it all. None if not installed."""
    from strnet_core.network.torchvision_import import torchvision_models

    torchvision_models()  # the package imports torchvision, which does not import by itself beside every torch
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError:
        return None
    network = copy.deepcopy(network_of(bundle)).requires_grad_(requires_grad=True).to(device=device)
    images, _ = _inputs(bundle, device)
    cam = GradCAM(model=_Screening(network.to(memory_format=torch.channels_last)), target_layers=[network.backbone[7]])  # type: ignore[call-overload]

    def run() -> object:
        result: Any = cam(input_tensor=images, targets=None)
        _wait(device)
        return result

    return run


class _Screening(nn.Module):
    """(n, 1) screening logits, as the package wants classes."""

    def __init__(self, network: StrNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images).screening.unsqueeze(1)
        return logits


class _Logits(nn.Module):
    """The network's answers without the feature map, which a graph would otherwise have to give out."""

    def __init__(self, network: StrNet) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: torch.Tensor, covariates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        output = self.network(images, covariates)
        return output.screening, output.severity, output.t_score


def _inputs(bundle: ModelBundle, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    size = bundle.preprocessing.size_px
    images = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    return images.to(device=device, memory_format=torch.channels_last), torch.zeros(1, 3, device=device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
