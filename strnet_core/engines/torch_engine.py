"""The torch engine: CUDA, and on the CPU the float32 reference that other engines are measured against."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from strnet_core.bundle import CovariateScaling, ModelBundle, PreprocessingSettings, read_weights
from strnet_core.engines.base import Covariates, Prediction, UInt8Images, check_batch
from strnet_core.errors import ArchitectureError, DeviceUnavailableError
from strnet_core.network.build import PARAMETERS, build_strnet_with
from strnet_core.network.strnet import StrNet
from strnet_core.preprocessing import to_input
from strnet_core.saliency import screening_saliency

Device = Literal["auto", "cpu", "cuda"]
_BATCH = 8
"""Images per pass: bounds the memory (about 0.2 GB each in float32), and more is no faster on a CPU."""


class TorchEngine:
    """A loaded network on one device. Safe to call from one thread at a time."""

    def __init__(
        self, network: StrNet, settings: PreprocessingSettings, device: torch.device, *, scaling: CovariateScaling | None = None
    ) -> None:
        self._network = network.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._settings = settings
        self._scaling = scaling or CovariateScaling()
        self._device = device

    @property
    def profile(self) -> str:
        """`torch-cpu-float32` or `torch-cuda-float32`."""
        return f"torch-{self._device.type}-float32"

    def predict(self, images: UInt8Images, covariates: tuple[Covariates | None, ...]) -> tuple[Prediction, ...]:
        """See `Engine.predict`. Images go through in passes of 8; a T-score is given where covariates are."""
        check_batch(images, covariates, self._settings.size_px)
        predictions: list[Prediction] = []
        for start in range(0, images.shape[0], _BATCH):
            part = slice(start, start + _BATCH)
            predictions += self._pass(images[part], covariates[part])
        return tuple(predictions)

    @torch.inference_mode()
    def _pass(self, images: UInt8Images, covariates: tuple[Covariates | None, ...]) -> list[Prediction]:
        inputs = torch.from_numpy(to_input(images, self._settings)).to(self._device, memory_format=torch.channels_last)
        # TF32 is on by default for convolutions: it would not be the float32 that the profile's name promises
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            output = self._network(inputs, self._covariates(covariates))
            saliency = screening_saliency(self._network, output.features, output.pooled)
        logits = _numbers(torch.stack((output.screening, output.severity), dim=1))
        t_scores = None if output.t_score is None else _numbers(output.t_score)
        maps = saliency.cpu().numpy()
        return [
            Prediction(
                screening_logit=float(logits[index, 0]),
                severity_logit=float(logits[index, 1]),
                t_score=None if t_scores is None or values is None else float(t_scores[index]),
                saliency=np.array(maps[index], np.float32),
            )
            for index, values in enumerate(covariates)
        ]

    def _covariates(self, covariates: tuple[Covariates | None, ...]) -> Tensor | None:
        if all(values is None for values in covariates):
            return None
        rows = [
            (0.0, 0.0, 0.0) if values is None else self._scaling.encode(values.age_years, male=values.sex == "M", bmi=values.bmi)
            for values in covariates
        ]
        return torch.tensor(rows, dtype=torch.float32, device=self._device)


def open_torch_engine(bundle: ModelBundle, device: Device = "auto", threads: int | None = None) -> TorchEngine:
    """Load a bundle's weights onto a device; `auto` takes CUDA where there is one.

    `threads` is torch's own pool, which is one per process: set it once, in the process that runs the network.
    Raises BundleError subclasses and DeviceUnavailableError.
    """
    if bundle.parameters != PARAMETERS:
        raise ArchitectureError(f"{bundle.parameters} parameters instead of {PARAMETERS}")
    chosen = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    network = build_strnet_with(read_weights(bundle))
    return TorchEngine(network, bundle.preprocessing, chosen, scaling=bundle.covariates)


def choose_device(device: Device) -> torch.device:
    """`auto` takes CUDA where there is one. Raises DeviceUnavailableError."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise DeviceUnavailableError(device)
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def _numbers(values: Tensor) -> npt.NDArray[np.float64]:
    return values.to(device="cpu", dtype=torch.float64).numpy()
