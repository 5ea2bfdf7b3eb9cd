"""Headers of any modality as evidence: names survive, gaps are filled, odd values do no harm."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from gateway.results.evidence import normalised
from gateway.results.study_report import build_results
from tests.conformance.cases import case, knee, report
from tests.conformance.sources import bare_header, cr_header, dx_header


def sent(header: Dataset) -> Dataset:
    """The header as it is read back from the file that a modality wrote."""
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, header, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def results_of(header: Dataset) -> list[Dataset]:
    one = case("one", [header], report(knee(str(header.SOPInstanceUID), score=80)))
    return [dcmread(BytesIO(result.content)) for result in build_results(one.report, one.sources, one.settings, one.uid_for)]


NAMES = [
    ("ISO_IR 192", "Müller^Änne=王^小明=왕^소명"),
    ("ISO_IR 100", "Müller^Änne^^Dr"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO_IR 144", "Люкceмбypг^Инна"),  # noqa: RUF001
    ("", "Plain^Name"),
]


@pytest.mark.parametrize(("charset", "name"), NAMES, ids=lambda value: str(value)[:14])
@pytest.mark.parametrize("read", [True, False], ids=["read", "made"])
def test_names_round_trip_in_utf_8(charset: str | list[str], name: str, read: bool) -> None:
    header = dx_header()
    header.SpecificCharacterSet, header.PatientName, header.StudyDescription = charset, name, "Knee"
    for result in results_of(sent(header) if read else header):
        assert result.SpecificCharacterSet == "ISO_IR 192"
        assert str(result.PatientName).rstrip("=") == name.rstrip("=")


def test_names_round_trip_from_iso_2022_ir_58_as_the_standard_writes_them() -> None:
    """PS3.5 K.2. pydicom writes this character set without its escape sequences, so the bytes are laid by hand."""
    header = dx_header()
    header.SpecificCharacterSet, header.PatientName, header.StudyDescription = "ISO_IR 192", "N" * 42, "D" * 22
    content = BytesIO()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    dcmwrite(content, header, enforce_file_format=True)
    name = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    description = b"\x1b$)A\xcf\xa5\xb9\xd8\xbd\xda"
    laid = content.getvalue().replace(b"N" * 42, name.ljust(42)).replace(b"D" * 22, description.ljust(22))
    for result in results_of(dcmread(BytesIO(laid))):
        assert str(result.PatientName).strip(" =") == "Zhang^XiaoDong=张^小东"
        assert result.StudyDescription.strip() == "膝关节"


def test_text_of_other_attributes_round_trips_from_gb18030() -> None:
    header = cr_header()
    header.SpecificCharacterSet, header.StudyDescription, header.PatientName = "GB18030", "膝关节正位", "Wang^XiaoDong=王^小东"
    assert {result.StudyDescription for result in results_of(sent(header))} == {"膝关节正位"}


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_absent_type_2_attributes_are_there_and_empty(modality: str) -> None:
    for result in results_of(bare_header(modality=modality)):
        for keyword in ("StudyID", "AccessionNumber", "StudyTime", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"):
            assert keyword in result
            assert not result.get(keyword)


def _set(**values: object) -> Callable[[Dataset], None]:
    def change(header: Dataset) -> None:
        for keyword, value in values.items():
            setattr(header, keyword, value)

    return change


def _raw(keyword: str, vr: str, value: str) -> Callable[[Dataset], None]:
    """Past pydicom's own check, as a modality writes it."""

    def change(header: Dataset) -> None:
        element = DataElement(keyword, vr, None)
        element._value = value
        header[keyword] = element

    return change


ODD: list[Callable[[Dataset], None]] = [
    _set(PatientSex="W"),
    _set(PatientSex="f"),
    _set(PatientBirthDate="19400230"),
    _set(PatientBirthDate="1940"),
    _set(StudyTime="25:99"),
    _set(StudyDate="2021.03.04"),
    _set(PatientAge="67"),
    _set(PatientOrientation=["LFP", "F"]),
    _set(PatientOrientation="L"),
    _set(PatientOrientation=["X", "F"]),
    _set(ImagerPixelSpacing=["0", "0"]),
    _set(ImagerPixelSpacing="0.15"),
    _set(SeriesNumber=None, InstanceNumber=None),
    _set(StudyDescription="x" * 90),
    _set(BodyPartExamined="knee ap"),
    _set(PatientName=""),
    _set(PatientID=None),
    _set(Manufacturer="M" * 80),
    _set(PatientID="P" * 70),
    _set(AccessionNumber="A" * 20),
    _set(PatientName="^".join(["N" * 70] * 5)),
    _raw("PatientWeight", "DS", "fifty"),
    _set(TimezoneOffsetFromUTC="+9900"),
    _set(PatientSpeciesDescription="Human", ResponsiblePersonRole=""),
    _set(BodyPartExamined="CHEST"),
    _set(EthnicGroup="", PatientComments=""),
    _set(OtherPatientNames=["One^Two", "Three^Four"]),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("number", range(len(ODD)))
@pytest.mark.parametrize("make", [cr_header, dx_header])
def test_odd_values_do_not_stop_a_result(number: int, make: Callable[[], Dataset]) -> None:
    header = make()
    ODD[number](header)
    assert len(results_of(header)) == 3


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_values_that_are_not_legal_are_left_out_and_an_identifier_is_never_shortened() -> None:
    header = cr_header()
    header.add_new("PatientAge", "AS", None)
    header["PatientAge"]._value = "67"
    header["PatientSex"]._value = "W"
    header["PatientID"]._value = "P" * 70
    clean = normalised(header)
    assert "PatientAge" not in clean
    assert clean.PatientSex == ""
    assert clean.PatientID == ""


def test_pixel_data_overlays_and_private_attributes_stay_behind() -> None:
    header = cr_header()
    header.add_new(0x60003000, "OW", b"\0\0")
    header.add_new(0x00091001, "LO", "private")
    header.PixelData = b"\0\0"
    header["PixelData"].VR = "OW"
    clean = normalised(header)
    assert not [tag for tag in clean.keys() if tag.is_private or tag.group >= 0x5000]  # noqa: SIM118


def test_source_is_not_changed() -> None:
    header = bare_header()
    before = header.to_json()
    normalised(header)
    assert header.to_json() == before
