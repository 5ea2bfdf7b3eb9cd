"""What `strnet bench` runs: the passes apart, so that the price of the saliency is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from strnet_core.bundle import PreprocessingSettings, load_bundle, read_weights
from strnet_core.engines.torch_engine import Device, TorchEngine, choose_device
from strnet_core.network.build import build_strnet, build_strnet_with
from strnet_core.network.strnet import StrNet, StrNetOutput
from strnet_core.saliency import screening_saliency


class Bench:
    """One network on one device with one 512 x 512 image."""

    def __init__(self, network: StrNet, settings: PreprocessingSettings, device: torch.device) -> None:
        self._engine = TorchEngine(network, settings, device)
        self._network = network
        self._image = np.random.default_rng(0).integers(0, 256, (1, settings.size_px, settings.size_px), np.uint8)
        image = torch.randn(1, 1, settings.size_px, settings.size_px)
        self._input = image.to(device=device, memory_format=torch.channels_last)
        self._device = device
        self._output = self.forward()

    @classmethod
    def open(cls, folder: Path | None, device: Device, threads: int | None) -> Bench:
        """Raises BundleError subclasses and DeviceUnavailableError."""
        chosen = choose_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        if folder is None:
            return cls(build_strnet(), PreprocessingSettings(), chosen)
        bundle = load_bundle(folder)
        return cls(build_strnet_with(read_weights(bundle)), bundle.preprocessing, chosen)

    @property
    def profile(self) -> str:
        return self._engine.profile

    @property
    def threads(self) -> int:
        return torch.get_num_threads()

    @torch.inference_mode()
    def forward(self) -> StrNetOutput:
        output: StrNetOutput = self._network(self._input)
        return output

    @torch.inference_mode()
    def with_saliency(self) -> torch.Tensor:
        output = self._network(self._input)
        return screening_saliency(self._network, output.features, output.pooled)

    @torch.inference_mode()
    def saliency_only(self) -> torch.Tensor:
        return screening_saliency(self._network, self._output.features, self._output.pooled)

    def predict(self) -> object:
        """8-bit image in, prediction out, with the copies."""
        return self._engine.predict(self._image, (None,))

    def synchronize(self) -> None:
        """Wait for the device, so that what is timed has happened."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
