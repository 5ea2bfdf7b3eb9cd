"""Stored values against independent decoders; the whole table is `make decode-table`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.decode_table.comparison import compare
from tests.decode_table.peers import missing
from tests.decode_table.samples import SYNTAXES, combinations, make, real

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (make test PEERS=install)"),
]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_depth_and_sign_decodes_as_independent_decoders_decode_it(tmp_path: Path, syntax: str) -> None:
    # each depth and sign once: photometric changes no stored value, the whole matrix is in the table
    wanted = [(bits, signed, name) for bits, signed, name in combinations(syntax) if (name == "MONOCHROME1") == signed]
    rows = [compare(make(tmp_path, syntax, bits, signed=signed, photometric=name)) for bits, signed, name in wanted]
    assert [row for row in rows if not row.passed] == []
    assert all(row.compared for row in rows)


def test_a_single_wrong_pixel_fails_a_row(tmp_path: Path) -> None:
    sample = make(tmp_path, "1.2.840.10008.1.2.4.70", 12, signed=False, photometric="MONOCHROME2")
    assert compare(sample).passed
    assert sample.original is not None
    sample.original[3, 4] ^= 1
    row = compare(sample)
    assert (row.passed, row.differing, row.largest) == (False, 1, 1)


def test_real_grey_images_decode_as_independent_decoders_decode_them(cases: Path) -> None:
    rows = [compare(sample) for sample in real(cases)]
    assert len(rows) >= 13
    assert [row for row in rows if not row.passed] == []
