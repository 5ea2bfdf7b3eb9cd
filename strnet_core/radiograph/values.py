"""What a radiograph is once every DICOM matter is behind it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from strnet_core.errors import EmptyImageError

Float32Image = npt.NDArray[np.float32]
UInt8Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Radiograph:
    """Presentation values of one projection radiograph, brighter = denser (MONOCHROME2 sense)."""

    presentation: Float32Image
    """(rows, cols) float32, 0..1; 0 wherever `valid` is False."""
    valid: Mask
    """(rows, cols) bool; False for pixel padding and for what a shutter or collimator covers."""
    pixel_digest: str
    """SHA-256 (hex) of the decoded stored pixels; the same for every lossless transfer syntax and every header text."""
    notes: tuple[str, ...] = ()
    """Codes of what was met on the way, e.g. `lossy`, `voi_lut`, `sigmoid`, `no_window`, `monochrome1`, `padding`, `shutter`."""

    @property
    def rows(self) -> int:
        return int(self.presentation.shape[0])

    @property
    def columns(self) -> int:
        return int(self.presentation.shape[1])

    def crop_columns(self, start: int, stop: int) -> Radiograph:
        """Columns start..stop-1 as a radiograph of its own; the digest stays that of the source, a note says the range.

        Raises ValueError where the range is empty or outside of the image.
        """
        if not 0 <= start < stop <= self.columns:
            raise ValueError(f"columns {start}..{stop} of {self.columns}")
        return replace(
            self,
            presentation=np.ascontiguousarray(self.presentation[:, start:stop]),
            valid=np.ascontiguousarray(self.valid[:, start:stop]),
            notes=(*self.notes, f"crop_columns:{start}:{stop}"),
        )


def to_8bit(radiograph: Radiograph) -> UInt8Image:
    """(rows, cols) uint8: the one quantisation. The valid values' minimum becomes 0 and their maximum 255, rounded half to even.

    Stretching first makes it independent of any linear window that does not clip, of rescale and of the bits stored.
    An image of one single value becomes all 0. Invalid pixels are 0. Raises EmptyImageError where nothing is valid.
    """
    presentation = radiograph.presentation
    everything = bool(radiograph.valid.all())
    values = presentation if everything else presentation[radiograph.valid]
    if values.size == 0:
        raise EmptyImageError("no valid pixel")
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(presentation.shape, np.uint8)
    scaled = np.subtract(presentation, np.float32(low))
    np.multiply(scaled, np.float32(255.0 / (high - low)), out=scaled)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    quantised = scaled.astype(np.uint8)
    if not everything:
        quantised[~radiograph.valid] = 0
    return quantised


def digest_of_stored(stored: npt.NDArray[np.integer]) -> str:
    """SHA-256 (hex) over the shape and the stored values as little-endian int32, row by row; knows nothing of the photometric."""
    rows, columns = stored.shape
    digest = hashlib.sha256(f"strnet-pixels-1 {rows} {columns}\n".encode())
    digest.update(np.ascontiguousarray(stored, dtype="<i4").tobytes())
    return digest.hexdigest()
