"""Three results of every kind in both languages against the public validators; the whole matrix is `python -m tests.conformance`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .__main__ import write
from .cases import reduced
from .matrix import LANGUAGES, in_language
from .validators import missing, validate


@pytest.mark.skipif(bool(missing()), reason=f"validators are missing: {', '.join(missing())}")
@pytest.mark.parametrize("language", LANGUAGES)
def test_validators_find_no_error_in_a_reduced_matrix(language: str, tmp_path: Path) -> None:
    verdicts = validate(write(in_language(reduced(), language), tmp_path))
    assert len(verdicts) == 9
    assert {verdict.file.name: verdict.errors for verdict in verdicts if verdict.errors} == {}
