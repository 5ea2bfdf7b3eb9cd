"""Headers beyond the table: any combination of its values, with any bytes in any attributes of text."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from gateway.results.inheritance import INHERITED

from .characters import SPELLINGS
from .rows import RESULTS
from .table import TABLE

_BY_THE_RECEIVER: Final = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Rows", "Columns")
"""An instance without legal values of these is refused before anything is made of it."""


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return dictionary_VR(tag)


OF_TEXT: Final = tuple(sorted(keyword for keyword in INHERITED if keyword not in _BY_THE_RECEIVER and _vr(keyword) not in ("US", "SQ")))

rows: Final = st.fixed_dictionaries(
    {attribute: st.sampled_from(list(choices)) for attribute, choices in (*TABLE.items(), *RESULTS.items())}
)

_SCRAPS: Final = st.sampled_from(
    [
        b"\\",
        b"^",
        b"=",
        b"\x1b$B",
        b"\x1b(B",
        b"\x1b$)C",
        b"\x1b",
        b"\0",
        b"\r\n",
        b" ",
        "王".encode(),
        "王".encode("gbk"),
        b"\xfc",
        b"\xff",
        b"Z" * 70,
    ]
)
anything: Final = st.one_of(
    st.binary(max_size=80),
    st.lists(st.one_of(_SCRAPS, st.text("AZ09.^=+-", max_size=6).map(str.encode)), max_size=8).map(b"".join),
    st.sampled_from([value for spelling in SPELLINGS.values() for value in (spelling.name, spelling.text)]),
)
wild: Final = st.dictionaries(st.sampled_from(OF_TEXT), anything, max_size=6)
"""Values by keyword, over those of a row."""
terms: Final = st.one_of(
    st.sampled_from(sorted({spelling.term for spelling in SPELLINGS.values() if spelling.term is not None})),
    st.lists(
        st.sampled_from(
            [b"", b"ISO 2022 IR 87", b"ISO 2022 IR 149", b"ISO 2022 IR 58", b"ISO_IR 192", b"GB18030", b"rot13", b"idna", b"hex", b"UTF-16"]
        ),
        max_size=4,
    ).map(b"\\".join),
    anything,
)
"""Specific Character Set, as it should and should not be."""
