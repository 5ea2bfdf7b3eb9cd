"""A part 10 file read once: its header first, then, when that was accepted, the pixel bytes from where they lie."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from strnet_core.errors import (
    DecodeError,
    TooLargeError,
    TruncatedPixelsError,
    UnsupportedEncodingError,
    UnsupportedTransferSyntaxError,
)
from strnet_core.radiograph.header import PixelHeader
from strnet_core.radiograph.histogram import Words

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_EXPLICIT = (b"OB", b"OW", b"UN")
"""Pixel Data's VRs. As the low half of an implicit length they would make it odd, so the bytes tell which encoding this is:
some files declare the other one."""
_BYTE = 8
_MAX_INFLATED = 256 * 1024 * 1024
"""A deflated file of 3.7 MB can hold 1.7 GB of zeros; the largest image that is read needs half of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelElement:
    """Pixel Data as its element header says it."""

    vr: str
    length: int | None
    """Bytes; None for an undefined length, which is how compressed frames come (PS3.5 A.4)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part10:
    """An open file: everything before Pixel Data, and the stream standing on the first byte of its value."""

    dataset: Dataset
    syntax: UID
    pixels: PixelElement | None
    stream: BinaryIO

    def read_native(self, header: PixelHeader) -> Words:
        """(rows, cols) uint8 or uint16 words as allocated. Raises TruncatedPixelsError, UnsupportedEncodingError, DecodeError."""
        size = header.bits_allocated // _BYTE
        expected = header.rows * header.columns * size
        length = self.pixels.length if self.pixels is not None else None
        if length is None:
            raise DecodeError("compressed frames in an uncompressed transfer syntax")
        if length < expected:
            raise TruncatedPixelsError(f"{length} bytes, {expected} declared")
        if length >= 2 * expected and length > expected + 1:
            # another layout than declared: what came out would look like an image and be none
            raise UnsupportedEncodingError(f"{length} bytes for an image of {expected}")
        words = self._filled(expected, swapped=self.syntax == ExplicitVRBigEndian, header=header)
        return words.reshape(header.rows, header.columns)

    def read_encapsulated(self) -> bytes:
        """The rest of the file: offset table, fragments, delimiter. Raises DecodeError where the element is not encapsulated."""
        if self.pixels is None or self.pixels.length is not None:
            raise DecodeError("plain pixels in a compressed transfer syntax")
        return self.stream.read()

    def _filled(self, expected: int, *, swapped: bool, header: PixelHeader) -> Words:
        raw = np.empty(expected + expected % 2 * swapped, np.uint8)
        if self.stream.readinto(raw.data) != raw.size:  # type: ignore[attr-defined]  # every stream opened here has it
            raise TruncatedPixelsError(f"the file ends before its {expected} bytes of pixels")
        if header.bits_allocated == _BYTE:
            pairs = swapped and self.pixels is not None and self.pixels.vr == "OW"
            return raw.view("<u2").byteswap().view(np.uint8)[:expected] if pairs else raw[:expected]
        words = raw.view("<u2")
        return words.byteswap() if swapped else words


@contextmanager
def open_part10(path: Path) -> Iterator[Part10]:
    """The file with its header read. Raises UnsupportedTransferSyntaxError, TooLargeError, or what pydicom raises."""
    with path.open("rb") as file:
        meta = read_file_meta_info(path)
        syntax = meta.get("TransferSyntaxUID")
        if not syntax:
            raise UnsupportedTransferSyntaxError("none named")
        syntax = UID(str(syntax))
        deflated = syntax == DeflatedExplicitVRLittleEndian
        stream = _inflated(file, 144 + meta["FileMetaInformationGroupLength"].value) if deflated else file
        dataset = read_dataset(stream, False, True, stop_when=_at_pixels) if deflated else dcmread(stream, stop_before_pixels=True)
        order: Literal["little", "big"] = "big" if syntax == ExplicitVRBigEndian else "little"
        yield Part10(dataset=dataset, syntax=syntax, pixels=_pixel_element(stream, order), stream=stream)


def _inflated(file: BinaryIO, start: int) -> BinaryIO:
    file.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(file.read(), _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise TooLargeError("the deflated content")
    return io.BytesIO(content)


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >= 0x7FE00008  # noqa: PLR2004


def _pixel_element(stream: BinaryIO, order: Literal["little", "big"]) -> PixelElement | None:
    """Reads the element header that the stream stands before; None where the file ends there or another element follows."""
    head = stream.read(8)
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if len(head) < 8 or tag != _PIXEL_DATA:  # noqa: PLR2004
        return None
    vr, length = head[4:6], head[4:8]
    if vr in _EXPLICIT:
        length = stream.read(4)
    number = int.from_bytes(length, order)
    return PixelElement(vr=vr.decode() if vr in _EXPLICIT else "OW", length=None if number == _UNDEFINED else number)
