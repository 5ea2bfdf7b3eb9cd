"""Three results of every kind in both languages against the public validators; the whole matrix is `python -m tests.conformance`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from .build import build_one
from .cases import reduced
from .matrix import LANGUAGES, in_language
from .notes import note_files
from .validators import consistent, kind_of, missing, reason_of, said_by_dciodvfy, validate

needs_validators = pytest.mark.skipif(bool(missing()), reason=f"validators are missing: {', '.join(missing())}")


def damaged(report: Path) -> Path:
    """Another patient's name, a qualitative evaluation that is not of its template, a value type that does not exist."""
    dataset = dcmread(report)
    dataset.PatientName = "Somebody^Else"
    *_, evaluations = dataset.ContentSequence
    evaluations.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue = "111017X"
    evaluations.ContentSequence[-1].ValueType = "WORDS"
    file = report.with_name(f"damaged-{report.name}")
    dataset.save_as(file)
    return file


@needs_validators
def test_validators_find_no_error_in_a_reduced_matrix_and_find_the_damage_in_another(tmp_path: Path) -> None:
    built = [one for language in LANGUAGES for case in in_language(reduced(), language) for one in build_one(case, tmp_path)]
    assert [problem for one in built for problem in one.wrong] == []
    bad = damaged(built[0].file)
    *good, of_bad = validate([*(one.file for one in built), bad])
    assert len(good) == 9 * len(LANGUAGES)
    assert {verdict.file.name: verdict.errors for verdict in good if verdict.errors} == {}
    assert {validator for validator, _ in of_bad.errors} == {"dciodvfy", "dsrdump", "PixelMed"}
    agreeing, disagreeing = consistent([[one.file for one in built if one.case == built[0].case], [built[0].file, bad]])
    assert agreeing.errors == ()
    assert disagreeing.errors


@needs_validators
def test_validators_find_no_error_in_rejection_notes(tmp_path: Path) -> None:
    files = [file for number, case in enumerate(reduced()) for file in [*note_files(case, tmp_path)][: None if number == 0 else 1]]
    verdicts = validate(files)
    assert {verdict.file.name: verdict.errors for verdict in verdicts if verdict.errors} == {}
    assert {reason_of(line) for verdict in verdicts for _, line in verdict.warnings} & {"no reason is known"} == set()


@needs_validators
@pytest.mark.parametrize(("length", "judged"), [(64, "warnings"), (65, "errors")])
def test_length_is_counted_in_characters_as_the_standard_does(length: int, judged: str, tmp_path: Path) -> None:
    """dciodvfy counts the bytes of UTF-8."""
    page = next(one.file for one in build_one(next(reduced()), tmp_path) if one.kind == "sc_report_page")
    dataset = dcmread(page)
    dataset["StudyDescription"]._value = "膝" * length
    dataset.save_as(page)
    assert any("StudyDescription" in line for _, line in getattr(said_by_dciodvfy(page), judged))


def test_warnings_of_one_kind_are_counted_together_and_a_new_kind_has_no_reason() -> None:
    first = "Warning - </ContentSequence(0040,a730)[9]/CodingSchemeDesignator(0008,0102)[1]> - Unrecognized defined term = <99STRNET>"
    second = first.replace("[9]", "[10]")
    assert kind_of(first) == kind_of(second)
    assert "private coding scheme" in reason_of(first)
    assert reason_of("Warning - something else") == "no reason is known"
