from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.uids import IMPLEMENTATION_VERSION_NAME, derived_uid, is_legal


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_derived_uid_is_legal_and_repeatable(parts: list[str]) -> None:
    assert is_legal(derived_uid(parts))
    assert derived_uid(parts) == derived_uid(list(parts))


def test_derived_uid_tells_parts_apart() -> None:
    assert derived_uid(["ab", "c"]) != derived_uid(["a", "bc"])


@pytest.mark.parametrize("uid", ["", "1", "1..2", "1.2.", ".1", "1.02", "a.b", "1.2\n", "1." + "2" * 63])
def test_illegal_uid_is_told(uid: str) -> None:
    assert not is_legal(uid)


def test_version_name_fits_its_element() -> None:
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
