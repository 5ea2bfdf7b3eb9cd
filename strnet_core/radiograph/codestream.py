"""What a compressed stream says of itself. It is asked before memory is taken and compared with the DICOM header."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from strnet_core.errors import DecodeError, TruncatedPixelsError, UnsupportedEncodingError
from strnet_core.radiograph.header import PixelHeader

_END_OF_IMAGE = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS (T.81 B.1.1.3), EOC of JPEG 2000 (T.800 A.4.4)."""
_TRAILING = 16
"""Real files follow the end marker with a few bytes of padding, and not always with zeros."""
_START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})
"""Baseline, extended, progressive, lossless (T.81 table B.1) and JPEG-LS (T.87 C.1.1); hierarchical and arithmetic are not DICOM's."""
_START_OF_SCAN = 0xDA
_J2K_SIZE, _J2K_CODING_STYLE, _J2K_TILE_PART = 0xFF51, 0xFF52, 0xFF90
_J2K_MAX_PRECISION = 16
_IRREVERSIBLE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """The stream's own header."""

    rows: int
    columns: int
    components: int
    precision: int
    """Bits per sample."""
    lossy: bool
    """Known to be lossy from the stream alone: near-lossless deviation above 0 (T.87), irreversible wavelet (T.800), DCT (T.81)."""


def refuse_cut(frame: bytes) -> None:
    """Some decoders fill what is missing with grey and say nothing; a whole stream ends with its end marker.

    Raises TruncatedPixelsError.
    """
    if _END_OF_IMAGE not in frame[-_TRAILING:]:
        raise TruncatedPixelsError("the compressed stream has no end marker")


def refuse_other_image(facts: StreamFacts, header: PixelHeader) -> None:
    """Raises DecodeError where the stream holds an image of another size, and UnsupportedEncodingError for other samples."""
    if (facts.rows, facts.columns) != (header.rows, header.columns):
        raise DecodeError(f"the stream holds {facts.rows} x {facts.columns}, declared {header.rows} x {header.columns}")
    if facts.components != 1 or not 1 <= facts.precision <= header.bits_allocated:
        raise UnsupportedEncodingError(f"the stream holds {facts.components} components of {facts.precision} bits")


def jpeg_facts(frame: bytes) -> StreamFacts:
    """Of a JPEG or JPEG-LS stream, from its frame and scan headers. Raises DecodeError where there are none."""
    position, found = 2, None
    while position + 4 <= len(frame):
        if frame[position] != 0xFF:  # noqa: PLR2004
            break
        marker = frame[position + 1]
        if marker == 0xFF:  # noqa: PLR2004  fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", frame, position + 2)
        if marker in _START_OF_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 4)
            found = (marker, precision, rows, columns, components)
        elif marker == _START_OF_SCAN and found is not None:
            kind, precision, rows, columns, components = found
            near = frame[position + length - 1]
            lossy = kind < 0xC3 or (kind == 0xF7 and near > 0)  # noqa: PLR2004
            return StreamFacts(rows=rows, columns=columns, components=components, precision=precision, lossy=lossy)
        position += 2 + length
    raise DecodeError("no frame header in the compressed stream")


def jpeg_2000_facts(frame: bytes) -> StreamFacts:
    """Of a JPEG 2000 code stream, from SIZ and COD of its main header (T.800 A.5.1, A.6.1). Raises DecodeError."""
    start = frame.find(b"\xff\x4f\xff\x51")  # real files wrap the code stream in a JP2 box now and then
    if start < 0:
        raise DecodeError("no JPEG 2000 code stream")
    position, size, lossy = start + 2, None, None
    while position + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == _J2K_SIZE:
            size = struct.unpack_from(">2xIIII16xHB", frame, position + 4)
        elif marker == _J2K_CODING_STYLE:
            # Scod, SGcod (4), levels, code block (2), style, wavelet
            lossy = frame[position + 4 + 9] == _IRREVERSIBLE
        elif marker == _J2K_TILE_PART or marker < 0xFF00:  # noqa: PLR2004
            break
        position += 2 + length
    if size is None or lossy is None:
        raise DecodeError("an incomplete JPEG 2000 header")
    right, bottom, left, top, components, depth = size
    return StreamFacts(rows=bottom - top, columns=right - left, components=components, precision=(depth & 0x7F) + 1, lossy=lossy)
