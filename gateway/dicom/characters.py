"""Text from headers of any hospital: decoded as well as the character set allows, never with an exception."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from pydicom.charset import convert_encodings, default_encoding, python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")
"""ISO 2022 designations (PS3.3 C.12.1.1.2): pydicom 3.0.2 keeps those of ISO 2022 IR 58 in the decoded text."""
_C1: Final = re.compile(r"[\x80-\x9f]")
"""Control characters that no character set of DICOM has (PS3.5 6.1.3): bytes of another set were read as this one's."""
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_DESIGNATED: Final = frozenset(python_encoding[f"ISO 2022 IR {number}"] for number in (58, 149))
"""Multi-byte sets that stand where Latin-1 does, once an escape sequence has put them there."""
_LATIN: Final = ("latin_1", default_encoding)

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
    struct.error,
)
"""What pydicom was seen to raise on hostile input, RecursionError (a RuntimeError) included; it has no root of its own."""


def values(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an attribute as stripped strings; empty when it is absent, empty, or cannot be read."""
    try:
        element = dataset.get(keyword)
        value = element.value if isinstance(element, DataElement) else element
        if value is None or isinstance(value, bytes | Dataset):
            return ()
        items = [str(item) for item in (value if isinstance(value, MultiValue | list | tuple) else (value,))]
    except READ_ERRORS:
        return ()
    encodings = declared_encodings(dataset)
    return tuple(text for text in (_printable(as_meant(item, encodings)) for item in items) if text)


def text(dataset: Dataset, keyword: str) -> str:
    """The values joined by a backslash, as PS3.5 6.4 writes them."""
    return "\\".join(values(dataset, keyword))


def declared_encodings(dataset: Dataset, inherited: Sequence[str] = (default_encoding,)) -> Sequence[str]:
    """pydicom's names of a data set's character sets; `inherited`, those around it, when it declares none (PS3.3 C.12.1.1.2)."""
    try:
        return convert_encodings(dataset.SpecificCharacterSet) if "SpecificCharacterSet" in dataset else inherited
    except READ_ERRORS:
        return inherited


def as_meant(text: str, encodings: Sequence[str]) -> str:
    """`text`, as pydicom decoded it, read anew where its bytes are none of the declared set's.

    Such bytes are UTF-8 when they are well-formed as that, else of a multi-byte set that is declared beside the first and whose escape
    sequences were left out, else as pydicom read them; what then is no character becomes U+FFFD. Bytes that the declared set has are
    never read anew, however odd the characters: other readers of the source see these too.
    """
    if text.isascii() or not (encodings[0] == default_encoding or _C1.search(text)):
        return text
    try:
        read = text.encode("latin-1") if encodings[0] in _LATIN else b""
    except UnicodeEncodeError:
        read = b""  # decoded by more than the first set
    beside = [encoding for encoding in encodings[1:] if encoding in _DESIGNATED]
    for codec in ("utf-8", *beside) if read else ():
        try:
            found = read.decode(codec)
        except UnicodeDecodeError:
            continue
        if not _C1.search(found):
            return found
    return _C1.sub(_REPLACEMENT, text)


def without_escapes(text: str) -> str:
    """Without ISO 2022 escape sequences, which pydicom 3.0 leaves in names and texts of ISO 2022 IR 58."""
    return _ESCAPE_SEQUENCE.sub("", text)


def _printable(value: str) -> str:
    """NUL padding and control characters have no place in a column or a comparison; nor have escape sequences that pydicom left."""
    return "".join(character for character in without_escapes(value) if character.isprintable()).strip()
