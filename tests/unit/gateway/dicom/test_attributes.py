from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicom.attributes import lookup, read_attributes, read_description
from gateway.dicom.characters import text
from gateway.dicom.part10 import read_header
from gateway.domain.attributes import Code


def test_codes_and_texts_are_read_as_plain_values() -> None:
    region, procedure, dataset = Dataset(), Dataset(), Dataset()
    region.CodeValue, region.CodingSchemeDesignator = "72696002", "SCT"
    procedure.CodeMeaning = "Knee AP"
    dataset.AnatomicRegionSequence, dataset.ProcedureCodeSequence = Sequence([region]), Sequence([procedure])
    dataset.Modality, dataset.StudyDescription = "dx", " knee "
    attributes = read_attributes(dataset)
    assert attributes.region_codes == (Code("72696002", "SCT"),)
    assert attributes.texts == ("knee", "Knee AP")
    assert attributes.modality == "DX"


def test_absent_and_empty_values_read_as_empty() -> None:
    dataset = Dataset()
    dataset.PatientAge, dataset.PatientOrientation = "", None
    attributes = read_attributes(dataset)
    assert (attributes.patient_age, attributes.patient_orientation, attributes.frames) == ("", (), 1)


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "NONSENSE", "ISO 2022 IR 6\\NONSENSE", ""])
def test_no_character_set_stops_the_reading(charset: str) -> None:
    raw = Dataset()
    raw.SpecificCharacterSet = charset
    raw.add_new("AccessionNumber", "SH", "A1")
    raw.add_new("StudyDescription", "LO", b"\xcf\xa5\xb9\xd8\xbd\xda")
    buffer = BytesIO()
    raw.save_as(buffer, implicit_vr=False, little_endian=True)
    dataset = dcmread(buffer, force=True)
    assert read_description(dataset).accession_number == "A1"
    read_attributes(dataset)


def test_control_characters_and_padding_never_reach_a_column() -> None:
    dataset = Dataset()
    dataset.add_new("PatientID", "LO", "ID7\x00\x1b[31m")
    assert read_description(dataset).patient_id == "ID7[31m"


def test_path_through_sequences_finds_all_items() -> None:
    first, second, dataset = Dataset(), Dataset(), Dataset()
    first.CodeValue, second.CodeValue = "A", "B"
    dataset.ViewCodeSequence = Sequence([first, second])
    assert lookup(dataset)("ViewCodeSequence.CodeValue") == ("A", "B")
    assert lookup(dataset)("Modality.CodeValue") == ()


def test_own_result_is_recognised_by_its_equipment() -> None:
    item, dataset = Dataset(), Dataset()
    item.ManufacturerModelName = "strnet-gateway"
    dataset.ContributingEquipmentSequence = Sequence([item])
    assert read_attributes(dataset).own_result


@pytest.mark.parametrize(
    ("name", "expected"),
    [("r08", "Wang^XiaoDong=王^小东"), ("d01", "Zhang^San=张^三"), ("d02", "Li^Si=李^四"), ("d03", "Wang^Wu=王^五"), ("d05", "赵六")],
)
def test_names_of_the_real_cases_read_right(cases: Path, name: str, expected: str) -> None:
    (path,) = cases.glob(f"{name}_*.dcm")
    assert text(read_header(path), "PatientName") == expected
