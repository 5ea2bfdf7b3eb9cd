"""The torch engine: CUDA, and on the processor the float32 reference that other engines are measured against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from strnet_core.bundle import CovariateScaling, ModelBundle, PreprocessingSettings, read_weights
from strnet_core.engines.base import Covariates
from strnet_core.engines.batching import BatchedEngine, Encode, Runner
from strnet_core.engines.device_pass import MakePass, PaddedRunner, cuda_graphs, eager
from strnet_core.engines.on_device import OnDevice, prepared
from strnet_core.engines.profiles import Arithmetic, Profile
from strnet_core.errors import ArchitectureError, DeviceUnavailableError
from strnet_core.network.build import PARAMETERS, build_strnet_with
from strnet_core.network.strnet import StrNet

Device = Literal["auto", "cpu", "cuda"]
CPU_BATCH_SIZES = (1,)
"""Image by image on a processor: an image's result cannot depend on what came with it, the memory stays small, and there is
little to gain; `strnet bench` prints both."""
CUDA_BATCH_SIZES = (1, 8, 32, 64)


class TorchEngine(BatchedEngine):
    """A loaded network on one device. Safe to call from one thread at a time."""

    def __init__(
        self,
        network: StrNet,
        settings: PreprocessingSettings,
        device: torch.device,
        arithmetic: Arithmetic = "float32",
        fallback: Callable[[], Runner] | None = None,
        *,
        scaling: CovariateScaling | None = None,
    ) -> None:
        encode = encoder(scaling or CovariateScaling())
        super().__init__(torch_runner(network, settings, device, arithmetic), settings, encode, fallback)


def torch_runner(network: StrNet, settings: PreprocessingSettings, device: torch.device, arithmetic: Arithmetic) -> PaddedRunner:
    """Moves the network (not a copy, in float32) to the device."""
    module = OnDevice(prepared(network, arithmetic), settings).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    profile = Profile(engine="torch", device="cuda" if device.type == "cuda" else "cpu", arithmetic=arithmetic)
    make_pass: MakePass = cuda_graphs(module, settings.size_px) if device.type == "cuda" else eager(module)
    return PaddedRunner(profile.name, CUDA_BATCH_SIZES if device.type == "cuda" else CPU_BATCH_SIZES, make_pass)


def open_torch_engine(
    bundle: ModelBundle,
    device: Device = "auto",
    threads: int | None = None,
    arithmetic: Arithmetic = "float32",
    *,
    allow_cpu_fallback: bool = True,
) -> TorchEngine:
    """Load a bundle's weights onto a device; `auto` takes CUDA where there is one. Asks for no report: see `choose.open_engine`.

    `threads` is torch's own pool, which is one per process: set it once, in the process that runs the network.
    Raises BundleError subclasses and DeviceUnavailableError.
    """
    chosen = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    network = network_of(bundle)
    fallback = _reference_of(bundle) if allow_cpu_fallback and chosen.type != "cpu" else None
    return TorchEngine(network, bundle.preprocessing, chosen, arithmetic, fallback, scaling=bundle.covariates)


def network_of(bundle: ModelBundle) -> StrNet:
    """A bundle's network on the processor. Raises BundleError subclasses."""
    if bundle.parameters != PARAMETERS:
        raise ArchitectureError(f"{bundle.parameters} parameters instead of {PARAMETERS}")
    return build_strnet_with(read_weights(bundle))


def encoder(scaling: CovariateScaling) -> Encode:
    """How a bundle's T-score branch takes covariates."""

    def encode(covariates: Covariates) -> tuple[float, float, float]:
        return scaling.encode(covariates.age_years, male=covariates.sex == "M", bmi=covariates.bmi)

    return encode


def choose_device(device: Device) -> torch.device:
    """`auto` takes CUDA where there is one. Raises DeviceUnavailableError."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise DeviceUnavailableError(device)
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def _reference_of(bundle: ModelBundle) -> Callable[[], Runner]:
    return lambda: torch_runner(network_of(bundle), bundle.preprocessing, torch.device("cpu"), "float32")
