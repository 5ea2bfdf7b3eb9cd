"""Compressed or native pixel data to stored values. One decoder per transfer syntax, chosen here and nowhere else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
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
from strnet_core.radiograph.extended_jpeg import decode_extended
from strnet_core.radiograph.header import PixelHeader

# never pylibjpeg-libjpeg: GPL, and wrong pixels for some lossless files
_JPEG_DECODERS: Mapping[UID, str] = {
    JPEGBaseline8Bit: "gdcm",
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
}
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
LOSSY_BY_NATURE = (JPEGBaseline8Bit, JPEGExtended12Bit)
_BYTE, _WORD = 8, 16
_END_OF_IMAGE = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS (T.81 B.1.1.3), EOC of JPEG 2000 (T.800 A.4.4)."""

# What pydicom and its plugins are known to raise on damaged input. RecursionError and NotImplementedError are RuntimeErrors.
DECODER_ERRORS = (
    AttributeError, ValueError, TypeError, RuntimeError, OSError, MemoryError, KeyError, IndexError, EOFError, ArithmeticError,
    struct.error, zlib.error,
)  # fmt: skip


def decode_stored(dataset: Dataset, syntax: UID, header: PixelHeader) -> npt.NDArray[np.int32]:
    """(rows, cols) int32 stored values, sign and unused bits resolved. Raises DecodeError subclasses and nothing else."""
    if "PixelData" not in dataset:
        raise MissingAttributeError("PixelData")
    try:
        if syntax in _JPEG_DECODERS:
            stored = _decode_jpeg(dataset, syntax, header)
        elif syntax == RLELossless or syntax in _NATIVE:
            stored = _decode_plain(dataset, syntax, header)
        else:
            raise UnsupportedTransferSyntaxError(str(syntax))
    except DecodeError:
        raise
    except DECODER_ERRORS as error:
        raise _translated(error) from error
    if stored.shape != (header.rows, header.columns):
        raise DecodeError(f"decoded {stored.shape}, declared {(header.rows, header.columns)}")
    return stored


def _decode_jpeg(dataset: Dataset, syntax: UID, header: PixelHeader) -> npt.NDArray[np.int32]:
    if header.shift:
        # encoders disagree on whether the shifted or the plain value went into the code stream
        raise UnsupportedEncodingError(f"compressed with high bit {header.high_bit} for {header.bits_stored} bits")
    frame = _whole_frame(dataset)
    if syntax == JPEGExtended12Bit and header.bits_allocated == _WORD:
        return pick_bits(decode_extended(frame, header), header)
    plugin = _JPEG_DECODERS[syntax]
    array, _ = get_decoder(syntax).as_array(dataset, raw=True, decoding_plugin=plugin)
    return array.astype(np.int32)


def _decode_plain(dataset: Dataset, syntax: UID, header: PixelHeader) -> npt.NDArray[np.int32]:
    """Native and RLE: pydicom only lays out the words, the bits are picked here (it ignores High Bit)."""
    options: dict[str, Any] = {"correct_unused_bits": False, "view_only": syntax in _NATIVE}
    array, _ = get_decoder(syntax).as_array(dataset, raw=True, **options)
    words = array.view(np.uint8 if header.bits_allocated == _BYTE else array.dtype.str.replace("i", "u"))
    return pick_bits(words, header)


def pick_bits(words: npt.NDArray[np.unsignedinteger], header: PixelHeader) -> npt.NDArray[np.int32]:
    """Stored values out of allocated words: drop the bits below and above, then extend the sign (PS3.5 8.1.1)."""
    values = words.astype(np.int32)
    if header.shift:
        values >>= header.shift
    values &= (1 << header.bits_stored) - 1
    if header.signed:
        sign = 1 << (header.bits_stored - 1)
        values ^= sign
        values -= sign
    return values


def _whole_frame(dataset: Dataset) -> bytes:
    """Some decoders fill what is missing with grey and say nothing; a whole stream ends with its end marker."""
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    # real files follow the marker with a few bytes of padding, and not always with zeros
    if _END_OF_IMAGE not in frame[-16:]:
        raise TruncatedPixelsError("the compressed stream has no end marker")
    return frame


def _translated(error: BaseException) -> DecodeError:
    kind = type(error).__name__
    if "is less than expected" in str(error) or isinstance(error, EOFError):
        return TruncatedPixelsError(kind)
    # the text of a third party's error may quote the header, so only its kind is passed on
    return DecodeError(kind)
