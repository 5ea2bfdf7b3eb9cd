"""Whatever a hospital writes into a header: what a result says is what the table says, and legal."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset

from gateway.dicom.characters import text
from gateway.results.evidence import normalised
from tests.headers.characters import SPELLINGS
from tests.headers.hospital import ORDINARY, expected, header_of
from tests.headers.pairs import all_pairs, pairs_of
from tests.headers.table import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
EVERY_VALUE = [(attribute, value) for attribute, choices in TABLE.items() for value in choices]
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@pytest.fixture(autouse=True)
def as_in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """`set_tolerant_reading`, for one test."""
    monkeypatch.setattr(pydicom_config.settings, "_reading_validation_mode", pydicom_config.IGNORE)


def said(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)


def texts(header: Dataset) -> Iterator[tuple[str, str]]:
    for element in header.iterall():
        if element.VR in ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"):
            yield from ((element.keyword, str(value)) for value in ([element.value] if element.VM < 2 else element.value))


@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE, ids=lambda one: one.replace(" ", "-"))
def test_result_inherits_what_the_table_says(attribute: str, value: str) -> None:
    row = {**ORDINARY, attribute: value}
    header = normalised(header_of(row).dataset())
    assert {keyword: said(header, keyword) for keyword in expected(row)} == expected(row)


@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE, ids=lambda one: one.replace(" ", "-"))
def test_nothing_that_a_result_inherits_is_illegal(attribute: str, value: str) -> None:
    header = normalised(header_of({**ORDINARY, attribute: value}).dataset())
    assert [(keyword, found) for keyword, found in texts(header) if _CONTROLS.search(found)] == []
    for element in header.iterall():
        assert dictionary_VR(element.tag) == element.VR or element.VR in ("US", "SQ")
        assert dictionary_VM(element.tag) != "1" or element.VM <= 1


@pytest.mark.parametrize("name", SPELLINGS, ids=lambda name: name.replace(" ", "-"))
def test_store_and_result_read_the_same_characters(name: str) -> None:
    """The patient id that rows are compared by is the one that the result carries."""
    source = header_of({**ORDINARY, "characters": name, "patient id": "own characters"}).dataset()
    assert text(source, "PatientID") == str(normalised(source).PatientID) == SPELLINGS[name].read_text
    assert text(source, "PatientName") == SPELLINGS[name].read_name


@pytest.mark.parametrize("name", SPELLINGS, ids=lambda name: name.replace(" ", "-"))
def test_what_cannot_be_decoded_stays_in_its_own_attribute(name: str) -> None:
    source = header_of({**ORDINARY, "characters": name})
    source.values["PatientName"] += b"\x1b$)C\xff\xfe\x81"
    source.values["StudyDescription"] = bytes(range(0x80, 0x100)).replace(b"\\", b"")
    header = normalised(source.dataset())
    assert (header.PatientID, header.AccessionNumber, header.StudyID) == ("PID-7781", "ACC-4711", "S1")
    assert header.InstitutionName == "Hospital"


@pytest.mark.parametrize("term", [b"undefined", b"idna", b"\\undefined", b"\\idna", b"\\punycode", b"hex\\rot13", b"unicode_escape"])
def test_a_term_that_only_python_knows_does_no_harm(term: bytes) -> None:
    """pydicom takes the name of any Python codec for a character set."""
    source = header_of(ORDINARY)
    source.values |= {"SpecificCharacterSet": term, "PatientID": "Ä-1".encode("latin-1"), "PatientName": "Müller^Jörg".encode("latin-1")}
    dataset = source.dataset()
    text(dataset, "PatientID")
    assert normalised(dataset).AccessionNumber in ("ACC-4711", "")


def test_tabs_are_spaces_and_lines_stay_where_a_text_may_have_them() -> None:
    source = header_of(ORDINARY)
    source.values |= {"InstitutionAddress": b"Street\t1\r\nTown", "StudyDescription": b"Knee\tAP\r\n"}
    header = normalised(source.dataset())
    assert (header.InstitutionAddress, header.StudyDescription) == ("Street 1\r\nTown", "Knee AP")


def test_value_in_a_binary_representation_is_no_text() -> None:
    source = header_of(ORDINARY)
    source.vrs |= {"PatientID": "OB", "PatientName": "OB"}
    header = normalised(source.dataset())
    assert (header.PatientID, str(header.PatientName)) == ("", "")


def test_all_pairs_are_in_the_rows_and_every_run_has_the_same_rows() -> None:
    choices = {attribute: list(values) for attribute, values in TABLE.items()}
    rows = all_pairs(choices)
    met = set().union(*(pairs_of(row) for row in rows))
    names = list(choices)
    assert met == {
        ((one, value), (other, beside))
        for number, one in enumerate(names)
        for other in names[number + 1 :]
        for value in choices[one]
        for beside in choices[other]
    }
    assert rows == all_pairs(choices)
