"""Whatever a file holds: a radiograph or a coded rejection, with bounded memory, and no patient data in the message."""

from __future__ import annotations

import contextlib
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from strnet_core import errors
from strnet_core.bundle import PreprocessingSettings
from strnet_core.preprocessing import preprocess
from strnet_core.radiograph import read_dicom
from strnet_core.radiograph.benchmark import write_benchmark_dx
from tests.unit.strnet_core.dicom_files import dataset_of, ramp, save, write

COMPRESSED = (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
STORED = ramp(96, 128).astype(np.uint16)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hostile.dcm"


def packed(file: Path, syntax: UID) -> tuple[Dataset, bytes]:
    import pydicom

    dataset = pydicom.dcmread(write_benchmark_dx(file, STORED, syntax, bits_stored=12))
    return dataset, get_frame(dataset.PixelData, 0, number_of_frames=1)


def code_of(file: Path) -> str:
    with pytest.raises(errors.DecodeError) as caught:
        read_dicom(file)
    assert "MARKED" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"Rows": 60000, "Columns": 60000}, "too_large"),
        ({"Rows": 8192, "Columns": 8192}, "truncated"),
        ({"Rows": 0, "Columns": 0}, "empty"),
        ({"NumberOfFrames": 1000}, "multi_frame"),
        ({"NumberOfFrames": 0}, "empty"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "encoding"),
        ({"Rows": [48, 48]}, "missing_attribute"),
        ({"BitsStored": 0, "HighBit": 0}, "encoding"),
    ],
)
def test_a_header_that_lies_is_refused_before_memory_is_taken(file, attributes, code):
    write(file, ramp(), **attributes)
    tracemalloc.start()
    try:
        assert code_of(file) == code
        assert tracemalloc.get_traced_memory()[1] < 160e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("centre", ["nan", "1e400", "", "1\\2\\3"])
@pytest.mark.parametrize("width", ["nan", "inf", "0", "-1", "", "5\\6"])
def test_odd_windows_never_leave_the_range(file, centre, width):
    dataset = dataset_of(ramp())
    for keyword, value in (("WindowCenter", centre), ("WindowWidth", width)):
        tag = {"WindowCenter": 0x00281050, "WindowWidth": 0x00281051}[keyword]
        dataset.add_new(tag, "LO", value)
    save(file, dataset)
    # a file says DS: the bytes are changed behind the writer, who would refuse them
    content = file.read_bytes()
    file.write_bytes(content.replace(b"\x28\x00\x50\x10LO", b"\x28\x00\x50\x10DS").replace(b"\x28\x00\x51\x10LO", b"\x28\x00\x51\x10DS"))
    with contextlib.suppress(errors.DecodeError):
        image = read_dicom(file)
        assert np.isfinite(image.presentation).all()
        assert 0.0 <= image.presentation.min() <= image.presentation.max() <= 1.0
        assert preprocess(image, PreprocessingSettings(size_px=32)).image.shape == (32, 32)


def test_a_character_set_that_does_not_exist_changes_nothing(file):
    plain = read_dicom(write(file, ramp()))
    dataset = dataset_of(ramp(), SpecificCharacterSet="ISO_IR 192")
    save(file, dataset)
    file.write_bytes(file.read_bytes().replace(b"ISO_IR 192", b"ISO_XX 999"))
    assert read_dicom(file).pixel_digest == plain.pixel_digest


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_compressed_stream_that_was_cut_is_refused(file, syntax, kept):
    dataset, frame = packed(file, syntax)
    dataset.PixelData = encapsulate([frame[: int(kept * len(frame)) // 2 * 2]])
    assert code_of(save(file, dataset)) in {"truncated", "decode"}


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
def test_a_compressed_stream_that_lost_its_middle_is_refused(file, syntax):
    dataset, frame = packed(file, syntax)
    dataset.PixelData = encapsulate([frame[: len(frame) // 2] + frame[len(frame) // 2 + 400 :]])
    assert code_of(save(file, dataset)) == "decode"


@pytest.mark.parametrize("syntax", COMPRESSED[:3], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize(("rows", "columns"), [(128, 96), (64, 128), (96, 256), (48, 64)])
def test_a_stream_of_another_size_than_declared_is_refused(file, syntax, rows, columns):
    dataset, _ = packed(file, syntax)
    dataset.Rows, dataset.Columns = rows, columns
    assert code_of(save(file, dataset)) == "decode"


@pytest.mark.parametrize("syntax", COMPRESSED[:3], ids=lambda uid: uid.keyword)
def test_a_stream_with_more_bits_than_declared_is_refused(file, syntax):
    dataset, _ = packed(file, syntax)
    dataset.BitsStored, dataset.HighBit = 10, 9
    assert code_of(save(file, dataset)) == "encoding"


@pytest.mark.parametrize("syntax", COMPRESSED[:3], ids=lambda uid: uid.keyword)
def test_compressed_left_aligned_bits_are_refused(file, syntax):
    dataset, _ = packed(file, syntax)
    dataset.HighBit = 15
    assert code_of(save(file, dataset)) == "encoding"


def test_plain_pixels_under_a_compressed_syntax_and_the_other_way_round_are_refused(file):
    native, rle = b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.5\x00"
    for written, said in ((native, rle), (rle, native)):
        write_benchmark_dx(file, STORED, UID(written[:-1].decode()), bits_stored=12)
        content = file.read_bytes()
        assert content.count(written) == 1
        file.write_bytes(content.replace(written, said))
        assert code_of(file) == "decode"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("bits", [8, 12])
def test_every_native_syntax_is_the_same_digest(file, syntax, bits):
    stored = ramp(31, 45, (1 << bits) - 1)  # an odd number of pixels
    plain = read_dicom(write(file, stored, BitsAllocated=8 if bits == 8 else 16, BitsStored=bits))
    dataset = dataset_of(stored, BitsAllocated=8 if bits == 8 else 16, BitsStored=bits)
    if bits == 8:
        dataset.PixelData = dataset.PixelData + b"\x00"
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and bits == 12:
        dataset.PixelData = stored.astype(">u2").tobytes()
    dataset.save_as(
        file, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian
    )
    assert read_dicom(file).pixel_digest == plain.pixel_digest


def test_8_bit_pixels_in_big_endian_words_are_put_in_order(file):
    stored = ramp(32, 44, 255)
    dataset = dataset_of(stored, BitsAllocated=8)
    plain = read_dicom(save(file, dataset))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset["PixelData"].VR = "OW"
    dataset.PixelData = stored.astype(np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    dataset.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=False)
    assert read_dicom(file).pixel_digest == plain.pixel_digest


def test_a_deflated_bomb_is_refused_in_bounded_memory(file):
    dataset = dataset_of(ramp())
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(file, dataset)
    content = file.read_bytes()
    start = 144 + read_file_meta_info(file)["FileMetaInformationGroupLength"].value
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(deflater.compress(bytes(1 << 24)) for _ in range(20)) + deflater.flush()
    file.write_bytes(content[:start] + bomb)
    tracemalloc.start()
    try:
        assert code_of(file) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 600e6
    finally:
        tracemalloc.stop()


def test_pixels_twice_as_long_as_declared_are_refused(file):
    dataset = dataset_of(ramp())
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    assert code_of(save(file, dataset)) == "encoding"


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_gives_a_radiograph_or_a_coded_rejection(tmp_path, data):
    syntax = data.draw(st.sampled_from([ExplicitVRLittleEndian, *COMPRESSED]))
    source = tmp_path / f"{syntax}.dcm"
    if not source.exists():
        write_benchmark_dx(source, STORED, syntax, bits_stored=12)
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(128, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(content[: data.draw(st.integers(140, len(content)))])
    with contextlib.suppress(errors.DecodeError):
        image = read_dicom(damaged)
        assert 0.0 <= image.presentation.min() <= image.presentation.max() <= 1.0
