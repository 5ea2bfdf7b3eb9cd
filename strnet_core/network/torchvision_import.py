"""Imports torchvision's model zoo beside a torch that torchvision's compiled operators were not built for.

PyPI's torchvision 0.28 is compiled against the CUDA build of torch. Beside the CPU build its `_C` library does not load, and
`import torchvision` then fails with "operator torchvision::nms does not exist", because it registers fake versions of two
operators (`nms`, `qnms`) that `_C` would have declared. Declaring the two schemas first is all that it needs; the operators
themselves (box suppression of detectors) are used nowhere here. Where `_C` loads, nothing is declared.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def torchvision_models() -> Any:
    """The module `torchvision.models`. Raises ImportError where torchvision is not installed."""
    library = None if _operators_load() else _declare_missing()
    from torchvision import models

    # a library object takes its declarations with it when it is collected: keep it as long as the module
    if library is not None:
        setattr(models, "strnet_declared_schemas", library)  # noqa: B010
    return models


def _operators_load() -> bool:
    """Loads torchvision's compiled operators if they fit this torch; a later import finds them loaded."""
    if _is_declared():
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("torchvision is not installed")
    for path in sorted(Path(spec.submodule_search_locations[0]).glob("_C*.so")):
        try:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return _is_declared()


def _is_declared() -> bool:
    return hasattr(torch.ops.torchvision, "nms")


def _declare_missing() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library
