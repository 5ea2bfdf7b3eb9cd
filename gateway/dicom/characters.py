"""Text from headers of any hospital: decoded as well as the character set allows, never with an exception."""

from __future__ import annotations

import re
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b[$(-/]+[0-9A-Z]")
"""ISO 2022 designations (PS3.3 C.12.1.1.2): pydicom 3.0.2 keeps those of ISO 2022 IR 58 in the decoded text."""

READ_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What pydicom was seen to raise on hostile input, RecursionError (a RuntimeError) included; it has no root of its own."""


def values(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an attribute as stripped strings; empty when it is absent, empty, or cannot be read."""
    try:
        element = dataset.get(keyword)
    except READ_ERRORS:
        return ()
    value = element.value if isinstance(element, DataElement) else element
    if value is None or isinstance(value, bytes | Dataset):
        return ()
    items = value if isinstance(value, MultiValue | list | tuple) else (value,)
    return tuple(text for text in (_printable(item) for item in items) if text)


def text(dataset: Dataset, keyword: str) -> str:
    """The values joined by a backslash, as PS3.5 6.4 writes them."""
    return "\\".join(values(dataset, keyword))


def _printable(value: object) -> str:
    """NUL padding and control characters have no place in a column or a comparison; nor have escape sequences that pydicom left."""
    text = _ESCAPE_SEQUENCE.sub("", str(value))
    return "".join(character for character in text if character.isprintable()).strip()
