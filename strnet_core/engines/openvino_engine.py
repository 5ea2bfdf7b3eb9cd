"""The OpenVINO engine: the network with its saliency as one graph, compiled for this processor.

Converted from the torch module at every start (about 3 s): no cached graph that would have to be trusted. The graph takes one
image at a time, so that no image's result depends on what came with it.
"""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import torch

from strnet_core.bundle import ModelBundle, PreprocessingSettings
from strnet_core.engines.base import UInt8Images
from strnet_core.engines.batching import BatchedEngine, CovariateRows, Readings
from strnet_core.engines.openvino_import import openvino
from strnet_core.engines.profiles import Arithmetic, Profile
from strnet_core.engines.torch_engine import encoder, network_of
from strnet_core.errors import ProfileUnavailableError
from strnet_core.network.strnet import StrNet
from strnet_core.preprocessing import to_input
from strnet_core.saliency import NetworkWithSaliency

_PRECISION = {"float32": "f32", "bfloat16": "bf16"}
_DEVICE = "CPU"


class OpenVinoRunner:
    """The `Runner` over a compiled graph."""

    max_batch = 1

    def __init__(self, compiled: Any, settings: PreprocessingSettings, arithmetic: Arithmetic) -> None:
        self._request = compiled.create_infer_request()
        self._settings = settings
        self._profile = Profile(engine="openvino", device="cpu", arithmetic=arithmetic).name

    @property
    def profile(self) -> str:
        return self._profile

    def run(self, images: UInt8Images, covariates: CovariateRows) -> Readings:
        """See `Runner.run`."""
        outputs = self._request.infer([to_input(images, self._settings), covariates])
        # copied: the request writes its next answer into the same memory
        screening, severity, t_score, saliency = (np.array(outputs[index]) for index in range(4))
        return Readings(
            screening=screening.astype(np.float64),
            severity=severity.astype(np.float64),
            t_score=t_score.astype(np.float64),
            saliency=saliency.astype(np.float32),
        )


def open_openvino_engine(bundle: ModelBundle, threads: int | None = None, arithmetic: Arithmetic = "float32") -> BatchedEngine:
    """Convert and compile a bundle's network. Asks for no report: see `choose.open_engine`.

    `threads` are those of one image's pass; without it, as many as torch would take. Raises BundleError subclasses, and
    ProfileUnavailableError where the processor lacks the arithmetic.
    """
    if arithmetic not in arithmetics():
        raise ProfileUnavailableError(f"the processor has no {arithmetic}")
    graph = convert(network_of(bundle), bundle.preprocessing)
    compiled = compile_graph(graph, arithmetic, threads)
    # the torch module and the graph's own weights: 0.2 GB that nothing reads again
    del graph
    gc.collect()
    return BatchedEngine(OpenVinoRunner(compiled, bundle.preprocessing, arithmetic), bundle.preprocessing, encoder(bundle.covariates))


def arithmetics() -> frozenset[Arithmetic]:
    """What this processor computes natively (avx512_bf16 or amx_bf16 for bfloat16), as OpenVINO tells it."""
    capabilities = openvino().Core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return frozenset({"float32", "bfloat16"} if "BF16" in capabilities else {"float32"})


def convert(network: StrNet, settings: PreprocessingSettings) -> Any:
    """The graph of one image and its covariates. Raises RuntimeError where the conversion left the evaluation mode."""
    return graph_of(NetworkWithSaliency(network), (torch.zeros(1, 1, settings.size_px, settings.size_px), torch.zeros(1, 3)))


def graph_of(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """A module as a graph of fixed shapes.

    By the frontend itself, as `openvino.convert_model` does behind its reports and its guesses at formats.
    """
    openvino()  # first, and with it the reason why it stays silent
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        # tracing is what OpenVINO's own conversion does, and twice as fast as torch.export
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder = TorchScriptPythonDecoder(module, example_input=inputs, trace_kwargs={"check_trace": False})
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    if any(part.training for part in module.modules()):
        raise RuntimeError("the conversion left the evaluation mode, so dropout would be in the graph")
    graph.reshape({index: list(tensor.shape) for index, tensor in enumerate(inputs)})
    return graph


def compile_graph(graph: Any, arithmetic: Arithmetic, threads: int | None = None) -> Any:
    """Compiled for one stream on this processor. Raises ProfileUnavailableError where it would compute in another arithmetic."""
    compiled = (
        openvino()
        .Core()
        .compile_model(
            graph,
            _DEVICE,
            {
                "INFERENCE_PRECISION_HINT": _PRECISION[arithmetic],
                "NUM_STREAMS": "1",
                "INFERENCE_NUM_THREADS": str(threads or torch.get_num_threads()),
                # several workers on one machine would all be pinned to the same first cores
                "ENABLE_CPU_PINNING": "NO",
            },
        )
    )
    used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if used != _PRECISION[arithmetic]:
        raise ProfileUnavailableError(f"{arithmetic} became {used}")
    return compiled
