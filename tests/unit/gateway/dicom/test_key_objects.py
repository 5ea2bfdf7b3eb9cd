"""Key Object Selections of others: what they name, and everything that must not be taken for it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.dicom.key_objects import key_objects_of, read_key_objects
from gateway.dicom.part10 import DefectiveDatasetError, read_received, set_tolerant_reading
from gateway.errors import KeyObjectError
from tests.doubles.key_objects import EXPLICIT, IMPLICIT, QUALITY, WORKLIST, code, encoded, key_objects, part10, reference

ONE, OTHER, STUDY = "1.2.3.1", "1.2.3.2", "1.2.4"


@pytest.fixture(autouse=True)
def _tolerant() -> None:
    set_tolerant_reading()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_what_the_content_names_is_read_with_its_study_in_either_syntax(syntax: str) -> None:
    content = BytesIO(encoded(key_objects(WORKLIST, [(ONE, STUDY), (OTHER, STUDY)], uid="1.2.9"), syntax))
    found = key_objects_of(read_received(content, syntax).dataset)
    assert found.title == WORKLIST
    assert [(one.sop_instance_uid, one.study_instance_uid) for one in found.named] == [(ONE, STUDY), (OTHER, STUDY)]
    assert not found.made_by_us


def test_file_of_the_spool_is_read_alike(tmp_path: Path) -> None:
    (path := tmp_path / "kos.dcm").write_bytes(part10(key_objects(QUALITY, [(ONE, STUDY)], uid="1.2.9")))
    assert [one.sop_instance_uid for one in read_key_objects(path).named] == [ONE]


def test_without_content_the_evidence_names() -> None:
    document = key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")
    document.ContentSequence = []
    assert [one.sop_instance_uid for one in key_objects_of(document).named] == [ONE]


def test_without_evidence_the_study_is_unknown() -> None:
    (one,) = key_objects_of(key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9", evidence=False)).named
    assert (one.sop_instance_uid, one.study_instance_uid) == (ONE, None)


def test_title_of_another_scheme_is_none() -> None:
    assert key_objects_of(key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9", scheme="99X")).title == ""


def test_note_of_a_gateway_is_known_as_its_own() -> None:
    document = key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")
    document.ManufacturerModelName = "strnet-gateway"
    assert key_objects_of(document).made_by_us


def test_illegal_uid_names_nothing() -> None:
    document = key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")
    document.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "DOE^JANE"
    document.CurrentRequestedProcedureEvidenceSequence = []
    assert key_objects_of(document).named == ()


def test_title_alone_is_no_title_when_the_sequence_is_empty() -> None:
    document = key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")
    document.ConceptNameCodeSequence = []
    assert key_objects_of(document).title == ""


def test_rejection_of_more_than_can_be_is_refused_whole() -> None:
    document = key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")
    document.ContentSequence[0].ReferencedSOPSequence = [reference(f"1.2.{number}") for number in range(20_001)]
    with pytest.raises(KeyObjectError, match="too_many"):
        key_objects_of(document)


def test_content_that_is_nested_beyond_reason_is_refused() -> None:
    document = inner = Dataset()
    for _ in range(40):
        item = Dataset()
        inner.ContentSequence = [item]
        inner = item
    document.ConceptNameCodeSequence = [code(WORKLIST, "DCM", "t")]
    with pytest.raises(KeyObjectError, match="too_deep"):
        key_objects_of(document)


def test_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (path := tmp_path / "large.dcm").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(KeyObjectError, match="too_large"):
        read_key_objects(path)


def test_truncated_anywhere_is_never_half_a_rejection() -> None:
    whole = encoded(key_objects(WORKLIST, [(f"1.2.3.{number}", STUDY) for number in range(5)], uid="1.2.9"))
    for end in range(0, len(whole), 7):
        try:
            found = key_objects_of(read_received(BytesIO(whole[:end]), EXPLICIT).dataset)
        except (DefectiveDatasetError, KeyObjectError):
            continue
        assert len(found.named) in (0, 5), end


def test_noise_in_any_byte_raises_nothing_else() -> None:
    whole = bytearray(encoded(key_objects(WORKLIST, [(ONE, STUDY)], uid="1.2.9")))
    for place in range(0, len(whole), 3):
        damaged = bytes(whole[:place]) + bytes([whole[place] ^ 0xFF]) + bytes(whole[place + 1 :])
        try:
            key_objects_of(read_received(BytesIO(damaged), EXPLICIT).dataset)
        except (DefectiveDatasetError, KeyObjectError):
            continue
