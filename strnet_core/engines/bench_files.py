"""The radiographs that `strnet bench` decodes: one synthetic knee, uncompressed and in each lossless transfer syntax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from strnet_core.phantom import PhantomParameters, draw
from strnet_core.radiograph.benchmark import write_benchmark_dx

UNCOMPRESSED = "uncompressed"
_SYNTAXES = {
    UNCOMPRESSED: ExplicitVRLittleEndian,
    "jpeg_lossless": JPEGLosslessSV1,
    "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
    "rle": RLELossless,
}


def write_files(folder: Path, rows: int, columns: int) -> dict[str, Path]:
    """A DX file (14 of 16 bits) per transfer syntax, by a short name."""
    stored = (draw(PhantomParameters(side="R", density=0.5, rows=rows, columns=columns), 7) << 2).astype(np.uint16)
    return {name: write_benchmark_dx(folder / f"{name}.dcm", stored, syntax) for name, syntax in _SYNTAXES.items()}
