"""A header as bytes, laid by hand: nothing checks, encodes or mends what a modality is said to have written."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

_LONG = frozenset({"OB", "OW", "SQ", "UN", "UT", "UC", "UR"})


@dataclass(slots=True)
class RawHeader:
    """values: encoded values by keyword, or items of a sequence. private: (group, element, VR, value)."""

    values: dict[str, bytes | list[Mapping[str, bytes]]] = field(default_factory=dict)
    vrs: dict[str, str] = field(default_factory=dict)
    private: list[tuple[int, int, str, bytes]] = field(default_factory=list)

    def encoded(self) -> bytes:
        """The data set in Explicit VR Little Endian, in the order of its tags (PS3.5 7.1.2)."""
        return b"".join(part for _, part in sorted(self._elements()))

    def dataset(self) -> Dataset:
        """As it is read back from the spool: text still undecoded."""
        return read_dataset(BytesIO(self.encoded()), is_implicit_VR=False, is_little_endian=True)

    def _elements(self) -> Iterator[tuple[int, bytes]]:
        for group, number, vr, value in self.private:
            yield group << 16 | number, _element(group << 16 | number, vr, value)
        for keyword, value in self.values.items():
            tag = tag_for_keyword(keyword)
            assert tag is not None, keyword
            vr = self.vrs.get(keyword) or dictionary_VR(tag)
            yield tag, _element(tag, vr, value if isinstance(value, bytes) else _items(value))


def _items(items: list[Mapping[str, bytes]]) -> bytes:
    contents = [RawHeader(values=dict(item)).encoded() for item in items]
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content for content in contents)


def _element(tag: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in _LONG:
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value
