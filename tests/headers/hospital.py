"""A row of the table becomes a source: a whole instance as a modality sends it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np

from tests.conformance.sources import drawn_knee

from .characters import SPELLINGS
from .raw import RawHeader
from .table import TABLE

ROWS, COLUMNS = 120, 100
STUDY = "2.25.2000"
ORDINARY: Final = {name: next(iter(choices)) for name, choices in TABLE.items()}
"""The row whose every value is the first of its attribute."""


def header_of(row: Mapping[str, str], *, study: str = STUDY) -> RawHeader:
    """The header that `row` describes: attributes it leaves out have their first value. With pixels, 12 bits stored."""
    header = RawHeader(
        values={
            "SOPInstanceUID": f"{study}.1.1".encode(),
            "StudyInstanceUID": study.encode(),
            "SeriesInstanceUID": f"{study}.1".encode(),
            "ImageType": b"ORIGINAL\\PRIMARY",
            "BodyPartExamined": b"KNEE",
            "ViewPosition": b"AP",
            "SamplesPerPixel": _number(1),
            "PhotometricInterpretation": b"MONOCHROME2",
            "Rows": _number(ROWS),
            "Columns": _number(COLUMNS),
            "BitsAllocated": _number(16),
            "BitsStored": _number(12),
            "HighBit": _number(11),
            "PixelRepresentation": _number(0),
            "PixelData": _pixels(study),
        },
        vrs={"PixelData": "OW"},
    )
    spelling = SPELLINGS[row.get("characters", ORDINARY["characters"])]
    for attribute, choices in TABLE.items():
        choices[row.get(attribute, ORDINARY[attribute])].write(header, spelling)
    return header


def _pixels(study: str) -> bytes:
    """Each study's own: one image under several patients would be a correction (docs/corrections.md)."""
    pixels = drawn_knee(ROWS, COLUMNS).astype("<u2") << 4
    pixels.flat[:8] |= np.frombuffer(hashlib.sha256(study.encode()).digest()[:8], np.uint8) & 0x0F
    return pixels.tobytes()


def expected(row: Mapping[str, str]) -> dict[str, str]:
    """What a result of `row` must say, by keyword; "" is an empty or absent attribute."""
    spelling = SPELLINGS[row["characters"]]
    return {
        keyword: read if isinstance(read, str) else read(spelling)
        for attribute, value in row.items()
        if attribute in TABLE
        for keyword, read in TABLE[attribute][value].reads.items()
    }


def _number(value: int) -> bytes:
    return np.uint16(value).tobytes()
