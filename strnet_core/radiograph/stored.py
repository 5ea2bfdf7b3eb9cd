"""Stored values out of decoded words: unused bits dropped, sign extended, one digest for every way to write the same numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.errors import UnsupportedEncodingError
from strnet_core.radiograph.header import PixelHeader
from strnet_core.radiograph.histogram import Words

Numbers = npt.NDArray[np.integer]
"""uint8, uint16, int8 or int16."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPixels:
    """Decoded pixels before any meaning is given to them."""

    words: Words
    """(rows, cols) uint8 or uint16; of signed values the two's complement bits in the word's full width."""
    signed: bool

    @property
    def numbers(self) -> Numbers:
        """(rows, cols) the stored values, a view of the words."""
        return self.words.view(self.words.dtype.str.replace("u", "i")) if self.signed else self.words

    @property
    def meanings(self) -> npt.NDArray[np.float64]:
        """(256,) or (65536,) float64: the stored value that each word stands for."""
        every = np.arange(1 << 8 * self.words.dtype.itemsize).astype(self.words.dtype)
        return StoredPixels(words=every, signed=self.signed).numbers.astype(np.float64)


def settle_native(words: Words, header: PixelHeader) -> StoredPixels:
    """Words as they lie in a native file: bits below and above the stored ones may hold anything and are dropped (PS3.5 8.1.1)."""
    if header.shift == 0 and _within(words, header):
        return StoredPixels(words=words, signed=header.signed)
    values = words.astype(np.int32)
    values >>= header.shift
    return StoredPixels(words=_extended(values, header).astype(words.dtype), signed=header.signed)


def settle_compressed(words: Words, header: PixelHeader, *, lossy: bool) -> StoredPixels:
    """Words out of a codec, whose bits above the stored ones are 0 or the sign.

    A lossy codec may overshoot the declared range of unsigned values: those are clipped, as masking would turn white into black.
    Raises UnsupportedEncodingError where the values need more bits than the header declares.
    """
    if _within(words, header):
        return StoredPixels(words=words, signed=header.signed)
    if header.signed and int(words.max()) < 1 << header.bits_stored:
        return StoredPixels(words=_extended(words.astype(np.int32), header).astype(words.dtype), signed=True)
    if lossy and not header.signed:
        return StoredPixels(words=np.minimum(words, words.dtype.type((1 << header.bits_stored) - 1)), signed=False)
    raise UnsupportedEncodingError(f"the code stream holds values of more than {header.bits_stored} bits")


def digest_of_stored(numbers: npt.NDArray[np.integer]) -> str:
    """SHA-256 (hex) over the shape and the stored values, row by row; knows nothing of the photometric or of any header text.

    Canonical form: `<u2` where no value is negative and `<i2` otherwise, said in the prefix `strnet-pixels-2 u|i rows columns`.
    So the same numbers have one digest, whatever the allocation, the signedness or the lossless transfer syntax they came in.
    Raises ValueError for an empty image or values that do not fit.
    """
    low, high = int(numbers.min()), int(numbers.max())
    kind = "u" if low >= 0 else "i"
    room = np.iinfo(f"{kind}2")
    if low < room.min or high > room.max:
        raise ValueError(f"stored values {low}..{high} do not fit 16 bits")
    rows, columns = numbers.shape
    digest = hashlib.sha256(f"strnet-pixels-2 {kind} {rows} {columns}\n".encode())
    digest.update(np.ascontiguousarray(numbers, dtype=f"<{kind}2").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _within(words: Words, header: PixelHeader) -> bool:
    """Whether the words are already the stored values in their full width."""
    if not header.signed:
        return int(words.max()) < 1 << header.bits_stored
    half = 1 << (header.bits_stored - 1)
    numbers = StoredPixels(words=words, signed=True).numbers
    return -half <= int(numbers.min()) and int(numbers.max()) < half


def _extended(values: npt.NDArray[np.int32], header: PixelHeader) -> npt.NDArray[np.int32]:
    values &= (1 << header.bits_stored) - 1
    if header.signed:
        sign = 1 << (header.bits_stored - 1)
        values ^= sign
        values -= sign
    return values
