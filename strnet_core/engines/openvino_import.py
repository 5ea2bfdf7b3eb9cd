"""Imports OpenVINO without its telemetry.

`import openvino` (2026.4) reports to a public analytics service, without being asked, that it was imported, and writes an
identifier under the home folder; a conversion reports more. Where the package `openvino_telemetry` cannot be imported OpenVINO
takes its own silent stand-in, so that import is blocked here. Everything of this project imports OpenVINO through this module.
"""

from __future__ import annotations

import sys
from typing import Any


def openvino() -> Any:
    """The module `openvino`. Raises ImportError where it is not installed."""
    if "openvino" not in sys.modules:
        # a module that is None cannot be imported; OpenVINO catches that ImportError itself
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino as module

    return module


def is_installed() -> bool:
    """Whether `openvino` can be had; asks without importing it."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None
