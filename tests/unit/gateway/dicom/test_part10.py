from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from gateway.dicom.part10 import Defect, DefectiveDatasetError, file_head, read_received, split_file
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.domain.attributes import InstanceIdentity
from gateway.errors import UnreadableInstanceError

EXPLICIT, IMPLICIT, J2K = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian), str(JPEG2000Lossless)


def image(**changes: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.4", "1.2.5"
    dataset.PatientName = "A^B"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = 4, 6, 16, 1
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(48)
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def bytes_of(dataset: Dataset, *, implicit: bool = False) -> BytesIO:
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=implicit, little_endian=True)
    return buffer


def defect_of(content: BytesIO, syntax: str = EXPLICIT) -> Defect:
    with pytest.raises(DefectiveDatasetError) as caught:
        read_received(content, syntax)
    return caught.value.defect


@pytest.mark.parametrize(("syntax", "implicit"), [(EXPLICIT, False), (IMPLICIT, True)])
def test_whole_data_set_is_read_in_both_encodings(syntax: str, implicit: bool) -> None:
    header = read_received(bytes_of(image(), implicit=implicit), syntax)
    assert header.identity.sop_instance_uid == "1.2.3"
    assert "PixelData" not in header.dataset


@pytest.mark.parametrize("missing", [1, 47, 48])
def test_pixel_data_that_ends_too_early_is_a_defect(missing: int) -> None:
    content = bytes_of(image()).getvalue()
    assert defect_of(BytesIO(content[:-missing])) is Defect.PIXEL_DATA_TRUNCATED


def test_pixel_data_shorter_than_the_header_claims_is_a_defect() -> None:
    assert defect_of(bytes_of(image(Rows=5))) is Defect.PIXEL_DATA_TRUNCATED


def test_a_million_frames_are_refused_without_allocating_them() -> None:
    assert defect_of(bytes_of(image(NumberOfFrames=1_000_000))) is Defect.PIXEL_DATA_TRUNCATED


def test_missing_pixel_data_is_a_defect() -> None:
    assert defect_of(bytes_of(image(PixelData=None))) is Defect.PIXEL_DATA_MISSING


def test_header_that_breaks_off_is_a_defect() -> None:
    content = bytes_of(image()).getvalue()
    for cut in (3, 60, 100, len(content) - 70):
        assert defect_of(BytesIO(content[:cut])) in (Defect.PIXEL_DATA_MISSING, Defect.UID_MISSING, Defect.UNREADABLE)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"])
def test_missing_uid_is_a_defect(keyword: str) -> None:
    assert defect_of(bytes_of(image(**{keyword: None}))) is Defect.UID_MISSING


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2." + "3" * 64, "1.02.3", "1.2.3;DROP"])
def test_illegal_uid_is_a_defect(uid: str) -> None:
    dataset = image()
    dataset["SOPInstanceUID"]._value = uid  # past pydicom's own check, as a hostile sender is
    assert defect_of(bytes_of(dataset)) is Defect.UID_ILLEGAL


@pytest.mark.parametrize("depth", [100, 5000])
def test_deeply_nested_sequences_are_a_defect_and_no_crash(depth: int) -> None:
    opened = b"\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    whole = bytes_of(image()).getvalue()
    pixels = whole.index(b"\xe0\x7f\x10\x00")
    assert defect_of(BytesIO(whole[:pixels] + opened * depth + closed * depth + whole[pixels:])) is Defect.UNREADABLE


def test_random_bytes_are_a_defect() -> None:
    assert defect_of(BytesIO(bytes(range(256)) * 20)) in (Defect.UNREADABLE, Defect.UID_MISSING, Defect.PIXEL_DATA_MISSING)


def compressed(cut: int = 0) -> BytesIO:
    dataset = image()
    dataset.PixelData = encapsulate([b"\xff\x4f" + bytes(30)])
    dataset["PixelData"].is_undefined_length = True
    content = bytes_of(dataset).getvalue()
    return BytesIO(content[: len(content) - cut])


def test_whole_encapsulated_pixel_data_is_read() -> None:
    assert read_received(compressed(), J2K).identity.study_instance_uid == "1.2.4"


@pytest.mark.parametrize("cut", [4, 8, 12, 30])
def test_encapsulated_pixel_data_without_its_end_is_a_defect(cut: int) -> None:
    assert defect_of(compressed(cut), J2K) is Defect.PIXEL_DATA_TRUNCATED


def test_native_pixels_under_a_compressed_syntax_are_a_defect() -> None:
    assert defect_of(bytes_of(image()), J2K) is Defect.PIXEL_DESCRIPTION
    assert defect_of(compressed(), EXPLICIT) is Defect.PIXEL_DESCRIPTION


def test_kept_file_has_an_empty_preamble_and_the_bytes_as_received(tmp_path: Path) -> None:
    content = bytes_of(image())
    identity = read_received(content, EXPLICIT).identity
    path = tmp_path / "x.dcm"
    path.write_bytes(file_head(identity, EXPLICIT) + content.getvalue())
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert split_file(path, max_bytes=10_000)[1].getvalue() == content.getvalue()
    assert dcmread(path).SOPInstanceUID == "1.2.3"


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.3.4", "2.25." + "9" * 39])
@pytest.mark.parametrize("syntax", [EXPLICIT, str(JPEG2000Lossless)])
def test_file_meta_is_what_pydicom_writes(uid: str, syntax: str) -> None:
    identity = InstanceIdentity(sop_class_uid="1.2.840.1", sop_instance_uid=uid, series_instance_uid="1.2", study_instance_uid="1.3")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = identity.sop_class_uid, uid
    meta.TransferSyntaxUID, meta.ImplementationClassUID = syntax, IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    expected = DicomBytesIO()
    write_file_meta_info(expected, meta, enforce_standard=True)
    assert file_head(identity, syntax) == bytes(128) + b"DICM" + expected.getvalue()


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4" + bytes(300), struct.pack("<HH", 8, 5) + bytes(200)])
def test_file_that_is_no_dicom_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UnreadableInstanceError):
        split_file(path, max_bytes=10_000)


def test_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(200))
    with pytest.raises(UnreadableInstanceError, match="too large"):
        split_file(path, max_bytes=100)
