"""Three results of every kind in both languages against the public validators; the whole matrix is `python -m tests.conformance`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .build import build_one
from .cases import reduced
from .matrix import LANGUAGES, in_language
from .validators import missing, validate


@pytest.mark.skipif(bool(missing()), reason=f"validators are missing: {', '.join(missing())}")
def test_validators_find_no_error_in_a_reduced_matrix_in_each_language(tmp_path: Path) -> None:
    built = [one for language in LANGUAGES for case in in_language(reduced(), language) for one in build_one(case, tmp_path)]
    verdicts = validate(one.file for one in built)
    assert len(verdicts) == 9 * len(LANGUAGES)
    assert {verdict.file.name: verdict.errors for verdict in verdicts if verdict.errors} == {}
