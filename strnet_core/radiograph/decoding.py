"""Compressed or native pixel data to stored values. One decoder per transfer syntax, chosen here and nowhere else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from pydicom.encaps import get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from strnet_core.errors import (
    DecodeError,
    MissingAttributeError,
    TruncatedPixelsError,
    UnsupportedEncodingError,
    UnsupportedTransferSyntaxError,
)
from strnet_core.radiograph.codecs import decode_with_charls, decode_with_gdcm, decode_with_openjpeg
from strnet_core.radiograph.codestream import StreamFacts, jpeg_2000_facts, jpeg_facts, refuse_cut, refuse_other_image
from strnet_core.radiograph.header import PixelHeader
from strnet_core.radiograph.histogram import Words
from strnet_core.radiograph.part10 import NATIVE, Part10
from strnet_core.radiograph.stored import StoredPixels, settle_compressed, settle_native

_Decoder = Callable[[bytes, StreamFacts, PixelHeader], Words]


def _gdcm(syntax: UID, frame: bytes, _facts: StreamFacts, header: PixelHeader) -> Words:
    return decode_with_gdcm(frame, syntax, header)


_CODECS: Mapping[UID, tuple[Callable[[bytes], StreamFacts], _Decoder]] = {
    **{syntax: (jpeg_facts, partial(_gdcm, syntax)) for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)},
    JPEGLSLossless: (jpeg_facts, decode_with_charls),
    JPEGLSNearLossless: (jpeg_facts, decode_with_charls),
    JPEG2000Lossless: (jpeg_2000_facts, decode_with_openjpeg),
    JPEG2000: (jpeg_2000_facts, decode_with_openjpeg),
}

# What pydicom and the codecs are known to raise on damaged input. RecursionError and NotImplementedError are RuntimeErrors.
DECODER_ERRORS = (
    AttributeError, ValueError, TypeError, RuntimeError, OSError, MemoryError, KeyError, IndexError, EOFError, ArithmeticError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """Stored values, and whether the stream itself says that it lost some of them."""

    stored: StoredPixels
    lossy: bool


def decode_stored(part: Part10, header: PixelHeader) -> Decoded:
    """Stored values (rows, cols), sign and unused bits resolved. Raises DecodeError subclasses and nothing else."""
    if part.pixels is None:
        raise MissingAttributeError("PixelData")
    try:
        return _decoded(part, header)
    except DecodeError:
        raise
    except DECODER_ERRORS as error:
        raise _translated(error) from error


def _decoded(part: Part10, header: PixelHeader) -> Decoded:
    if part.syntax in NATIVE:
        return Decoded(stored=settle_native(part.read_native(header), header), lossy=False)
    if part.syntax != RLELossless and part.syntax not in _CODECS:
        raise UnsupportedTransferSyntaxError(str(part.syntax))
    frame = get_frame(part.read_encapsulated(), 0, number_of_frames=1)
    if part.syntax == RLELossless:
        return Decoded(stored=settle_native(decode_with_gdcm(frame, part.syntax, header), header), lossy=False)
    return _decoded_stream(frame, part.syntax, header)


def _decoded_stream(frame: bytes, syntax: UID, header: PixelHeader) -> Decoded:
    if header.shift:
        # encoders disagree on whether the shifted or the plain value went into the code stream
        raise UnsupportedEncodingError(f"compressed with high bit {header.high_bit} for {header.bits_stored} bits")
    refuse_cut(frame)
    read_facts, decode = _CODECS[syntax]
    facts = read_facts(frame)
    refuse_other_image(facts, header)
    words = _widened(decode(frame, facts, header), header)
    return Decoded(stored=settle_compressed(words, header, lossy=facts.lossy), lossy=facts.lossy)


def _widened(words: Words, header: PixelHeader) -> Words:
    """One width per allocation; 8 bits or fewer in a 16-bit image come out of a codec as bytes."""
    return words.astype(np.uint16) if header.bits_allocated > 8 * words.dtype.itemsize else words


def _translated(error: BaseException) -> DecodeError:
    kind = type(error).__name__
    if isinstance(error, EOFError):
        return TruncatedPixelsError(kind)
    # the text of a third party's error may quote the header, so only its kind is passed on
    return DecodeError(kind)
