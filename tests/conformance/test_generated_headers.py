"""Headers that nobody thought of: Hypothesis makes them, and makes them small when one does harm. The same ones in every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, reject, settings
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VM
from pydicom.dataset import Dataset

from gateway.config import ResultSettings
from gateway.dicom.characters import READ_ERRORS, text
from gateway.dicom.uids import derived_uid
from gateway.results.evidence import SourceInstance, normalised
from gateway.results.study_report import build_results
from tests.headers.hospital import header_of
from tests.headers.reading import said, undecodable
from tests.headers.rows import report_of
from tests.headers.strategies import OF_TEXT, rows, terms, wild

from .validators import missing, said_by_dciodvfy

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
generated = settings(derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", autouse=True)
def as_in_service() -> Iterator[None]:
    """`set_tolerant_reading`, for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom_config.settings, "_reading_validation_mode", pydicom_config.IGNORE)
        yield


def source(row: Mapping[str, str], values: Mapping[str, bytes], term: bytes | None = None) -> Dataset:
    header = header_of(row)
    header.values.update(values)
    if term is not None:
        header.values["SpecificCharacterSet"] = term
    try:
        return header.dataset()
    except READ_ERRORS:
        reject()  # the receiver refuses it as unreadable


def visible(text: str) -> str:
    """A result may hold soft hyphens, and spaces where a line broke; the store has neither."""
    return "".join(character for character in text if character.isprintable() and character != " ")


@settings(generated, max_examples=300)
@given(row=rows, values=wild, term=terms)
def test_whatever_stands_in_a_header_what_is_inherited_is_legal(row: dict[str, str], values: dict[str, bytes], term: bytes) -> None:
    header = normalised(source(row, values, term))
    assert list(undecodable(header)) == []
    assert [element.keyword for element in header if dictionary_VM(element.tag) == "1" and element.VM > 1] == []


@settings(generated, max_examples=200)
@given(row=rows, values=wild)
def test_what_stands_in_one_attribute_changes_no_other(row: dict[str, str], values: dict[str, bytes]) -> None:
    without, with_them = normalised(source(row, {})), normalised(source(row, values))
    others = [keyword for keyword in OF_TEXT if keyword not in values]
    assert {keyword: said(with_them, keyword) for keyword in others} == {keyword: said(without, keyword) for keyword in others}


@settings(generated, max_examples=200)
@given(row=rows, values=wild, term=terms)
def test_a_patient_id_in_a_result_is_the_one_in_the_store(row: dict[str, str], values: dict[str, bytes], term: bytes) -> None:
    header = source(row, values, term)
    inherited = str(normalised(header).PatientID)
    assert inherited == "" or visible(inherited) == visible(text(header, "PatientID"))


@pytest.mark.skipif("dciodvfy" in missing(), reason="dciodvfy is missing (make test PEERS=install)")
@settings(generated, max_examples=25)
@given(row=rows, values=wild, term=terms)
def test_results_of_any_header_are_valid(row: dict[str, str], values: dict[str, bytes], term: bytes) -> None:
    header = source(row, values, term)
    uid = str(header.SOPInstanceUID)
    asked = ResultSettings.model_validate({"sr_class": row["report class"], "language": row["language"]})
    made_of = report_of(row, uid, str(header.SOPClassUID))
    with TemporaryDirectory() as folder:
        for result in build_results(made_of, {uid: SourceInstance(dataset=header)}, asked, lambda kind: derived_uid((uid, kind))):
            file = Path(folder) / f"{result.kind}.dcm"
            file.write_bytes(result.content)
            assert said_by_dciodvfy(file).errors == ()
