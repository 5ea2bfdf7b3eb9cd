"""What the machine can do at best: a large matrix multiplication, by the libraries that the engines rest on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from strnet_core.engines.profiles import Arithmetic

CPU_SIDE = 2048
CUDA_SIDE = 8192
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def gigaflop(side: int) -> float:
    """Of one multiplication of two square matrices, in 10^9 operations."""
    return 2.0 * side**3 / 1e9


def torch_multiplication(arithmetic: Arithmetic, device: torch.device) -> Callable[[], object]:
    """Through torch (oneDNN or MKL on a processor, cuBLAS on a card); float32 is float32, without TF32."""
    side = CUDA_SIDE if device.type == "cuda" else CPU_SIDE
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(side, side, generator=generator).to(device=device, dtype=_TYPES[arithmetic]) for _ in range(2))
    result = torch.empty_like(one)

    @torch.inference_mode()
    def run() -> object:
        torch.mm(one, other, out=result)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return result

    return run


def openvino_multiplication(arithmetic: Arithmetic, threads: int | None) -> Callable[[], object]:
    """Through an OpenVINO graph (oneDNN), with one matrix a constant as weights are."""
    from strnet_core.engines.openvino_engine import compile_graph
    from strnet_core.engines.openvino_import import openvino

    openvino()
    from openvino import Model, opset13

    numbers = np.random.default_rng(0).standard_normal((2, CPU_SIDE, CPU_SIDE), np.float32)
    given = opset13.parameter([CPU_SIDE, CPU_SIDE], np.float32)
    product = opset13.matmul(given, opset13.constant(numbers[1]), transpose_a=False, transpose_b=False)
    graph = Model([opset13.result(product)], [given], "multiplication")
    request = compile_graph(graph, arithmetic, threads).create_infer_request()
    return lambda: request.infer([numbers[0]])
