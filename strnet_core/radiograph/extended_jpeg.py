"""JPEG Extended with 12 bits (transfer syntax .51), which pydicom's plugins refuse.

pydicom 3.0 refuses it for every decoder; GDCM itself decodes it, equal to DCMTK's dcmdjpeg to the bit (measured). The frame is
wrapped as a GDCM image here, as pydicom's own plugin does for the other JPEGs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from strnet_core.errors import DecodeError, TruncatedPixelsError
from strnet_core.radiograph.header import PixelHeader


def decode_extended(frame: bytes, header: PixelHeader) -> npt.NDArray[np.unsignedinteger]:
    """(rows, cols) uint16 words as the code stream holds them. Raises DecodeError."""
    import gdcm

    # GDCM says nothing useful on its own; what went wrong is in the return values
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    image = _wrap(gdcm, frame, header)
    if image.GetBufferLength() != header.rows * header.columns * 2:
        raise DecodeError("JPEG Extended in another layout than declared")
    # GDCM hands bytes out as text
    buffer: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    if len(buffer) != header.rows * header.columns * 2:
        raise TruncatedPixelsError("JPEG Extended")
    return np.frombuffer(buffer, "<u2").reshape(header.rows, header.columns)


def _wrap(gdcm: Any, frame: bytes, header: PixelHeader) -> Any:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, header.bits_stored, header.high_bit, int(header.signed)))
    return image
