"""The radiograph as the rest of the core sees it: words, what each word means, which count. No header, no DICOM behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from strnet_core.errors import EmptyImageError
from strnet_core.radiograph.histogram import Counts, Mask, Words, histogram

Float32Image = npt.NDArray[np.float32]
UInt8Image = npt.NDArray[np.uint8]
Table = npt.NDArray[np.float64]

_BLOCK_ROWS = 64
"""NumPy widens an index to 64 bits: in blocks of rows that copy stays in the processor's cache."""
_DECIMALS = 6
"""Grey levels are rounded to this before they are rounded to whole ones, so that twins that differ by float64 noise do not fall
on two sides of a half."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Radiograph:
    """Presentation values of one projection radiograph, brighter = denser (MONOCHROME2 sense), as words and their table."""

    words: Words
    """(rows, cols) uint8 or uint16: indices into `table`. Of a signed image these are the two's complement bits."""
    table: Table
    """(256,) or (65536,) float64, 0..1: presentation value of each word."""
    valid: Mask
    """(rows, cols) bool; False for pixel padding and for what a shutter or collimator covers."""
    pixel_digest: str
    """SHA-256 (hex) of the decoded stored pixels; the same for every lossless transfer syntax and every header text."""
    notes: tuple[str, ...] = ()
    """Codes of what was met on the way, e.g. `lossy`, `voi_lut`, `sigmoid`, `no_window`, `monochrome1`, `padding`, `shutter`."""

    @classmethod
    def from_presentation(
        cls, presentation: npt.NDArray[np.floating], valid: Mask | None = None, pixel_digest: str = "", notes: tuple[str, ...] = ()
    ) -> Self:
        """Of (rows, cols) presentation values 0..1, which are rounded to 16 bits. Without `valid` every pixel counts."""
        words = np.rint(np.clip(presentation, 0.0, 1.0) * 65535.0).astype(np.uint16)
        counted = np.ones(words.shape, np.bool_) if valid is None else valid
        return cls(words=words, table=np.arange(65536) / 65535.0, valid=counted, pixel_digest=pixel_digest, notes=notes)

    @property
    def rows(self) -> int:
        return int(self.words.shape[0])

    @property
    def columns(self) -> int:
        return int(self.words.shape[1])

    @property
    def presentation(self) -> Float32Image:
        """(rows, cols) float32, 0..1; 0 wherever `valid` is False. Made anew on every access: 8-bit values are what is used."""
        values: Float32Image = self.table.astype(np.float32)[self.words]
        values[~self.valid] = 0.0
        return values

    def crop_columns(self, start: int, stop: int) -> Self:
        """Columns start..stop-1 as a radiograph of its own; the digest stays that of the source, a note says the range.

        Raises ValueError where the range is empty or outside of the image.
        """
        if not 0 <= start < stop <= self.columns:
            raise ValueError(f"columns {start}..{stop} of {self.columns}")
        return replace(
            self,
            words=np.ascontiguousarray(self.words[:, start:stop]),
            valid=np.ascontiguousarray(self.valid[:, start:stop]),
            notes=(*self.notes, f"crop_columns:{start}:{stop}"),
        )


def to_8bit(radiograph: Radiograph) -> UInt8Image:
    """(rows, cols) uint8: the one quantisation. The valid values' minimum becomes 0 and their maximum 255.

    Modality LUT, VOI, polarity and this stretch are folded into one table in float64, rounded to six decimals of a grey level
    and then half to even. Stretching makes it independent of any linear window that does not clip, of rescale and of the bits
    stored. An image of one single value becomes all 0. Invalid pixels are 0. Raises EmptyImageError where nothing is valid.
    """
    return to_8bit_counted(radiograph)[0]


def to_8bit_counted(radiograph: Radiograph) -> tuple[UInt8Image, Counts]:
    """As `to_8bit`, with the (256,) int64 histogram of the valid pixels, which comes with it for next to nothing."""
    everything = bool(radiograph.valid.all())
    counts = histogram(radiograph.words, None if everything else radiograph.valid)
    levels = _grey_levels(radiograph.table, counts)
    grey_counts: Counts = np.zeros(256, np.int64)
    np.add.at(grey_counts, levels, counts)
    quantised = look_up(radiograph.words, levels)
    if not everything:
        quantised *= radiograph.valid
    return quantised, grey_counts


def look_up(words: Words, table: UInt8Image) -> UInt8Image:
    """(rows, cols) uint8: the table's entry of each word. The table has one for every word that there can be."""
    found = np.empty(words.shape, np.uint8)
    index = np.empty((_BLOCK_ROWS, words.shape[1]), np.intp)
    for top in range(0, words.shape[0], _BLOCK_ROWS):
        block = words[top : top + _BLOCK_ROWS]
        indices = index[: len(block)]
        np.copyto(indices, block)
        # no index can be out of range; any mode but "raise" spares a copy
        np.take(table, indices, out=found[top : top + _BLOCK_ROWS], mode="clip")
    return found


def _grey_levels(table: Table, counts: Counts) -> UInt8Image:
    occurring = table[counts > 0]
    if occurring.size == 0:
        raise EmptyImageError("no valid pixel")
    low, high = float(occurring.min()), float(occurring.max())
    if high <= low:
        return np.zeros(table.shape, np.uint8)
    levels = np.round((table - low) * (255.0 / (high - low)), _DECIMALS)
    return np.clip(np.rint(levels), 0.0, 255.0).astype(np.uint8)
