"""What must not change the network's 8-bit input, and what must: asserted on the tensor, not on a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless, generate_uid

from strnet_core.bundle import PreprocessingSettings
from strnet_core.phantom import PhantomParameters, draw
from strnet_core.preprocessing import preprocess
from strnet_core.radiograph import Radiograph, read_dicom, to_8bit
from strnet_core.radiograph.benchmark import write_benchmark_dx
from tests.unit.strnet_core.dicom_files import dataset_of, save, write

SETTINGS = PreprocessingSettings(size_px=128)
KNEE = draw(PhantomParameters(rows=330, columns=270), 5).astype(np.int32)
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "knee.dcm"


def read(file: Path, stored: np.ndarray = KNEE, **attributes: object) -> Radiograph:
    return read_dicom(write(file, stored, **attributes))


def tensor(radiograph: Radiograph, chosen: PreprocessingSettings = SETTINGS) -> np.ndarray:
    return preprocess(radiograph, chosen).image.astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


@pytest.fixture
def plain(tmp_path: Path) -> np.ndarray:
    return tensor(read(tmp_path / "plain.dcm"))


def test_a_monochrome1_twin_is_the_same_tensor(file, plain):
    assert apart(tensor(read(file, 4095 - KNEE, PhotometricInterpretation="MONOCHROME1")), plain) == 0


@pytest.mark.parametrize("attributes", [{}, {"WindowCenter": 2000, "WindowWidth": 3000}])
def test_monochrome1_with_inverse_shape_is_inverted_once(file, attributes):
    once = tensor(read(file, PhotometricInterpretation="MONOCHROME1", **attributes))
    both = tensor(read(file, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE", **attributes))
    shape = tensor(read(file, PresentationLUTShape="INVERSE", **attributes))
    assert apart(once, both) == apart(once, shape) == 0
    assert apart(once, tensor(read(file, **attributes))) > 100


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
def test_depth_and_sign_twins_are_the_same_within_one_grey_level(file, bits, signed):
    header = {"BitsAllocated": 8 if bits == 8 else 16, "BitsStored": bits, "PixelRepresentation": signed}

    offset = signed << (bits - 1)
    # 256 greys, which every depth holds without rounding
    coarse = KNEE >> 4
    exact = read(file, (coarse << (bits - 8)) - offset, **header)
    assert apart(tensor(exact), tensor(read(file, coarse))) == 0
    # 4096 greys: the depth's own rounding is at most one level of the one quantisation
    rounded = read(file, np.rint(KNEE * ((1 << bits) - 1) / 4095).astype(np.int32) - offset, **header)
    assert apart(to_8bit(rounded).astype(int), to_8bit(read(file)).astype(int)) <= 1


@EXAMPLES
@given(slope=st.floats(1e-3, 1e3), intercept=st.floats(-1e4, 1e4))
def test_any_rescale_is_the_same_tensor(tmp_path, plain, slope, intercept):
    twin = read(tmp_path / "twin.dcm", RescaleSlope=f"{slope:.10g}"[:16], RescaleIntercept=f"{intercept:.10g}"[:16])
    assert apart(tensor(twin), plain) == 0


@EXAMPLES
@given(below=st.integers(0, 20000), above=st.integers(2, 20000), function=st.sampled_from(["LINEAR", "LINEAR_EXACT"]))
def test_any_window_that_does_not_clip_is_the_same_tensor(tmp_path, plain, below, above, function):
    low, high = int(KNEE.min()) - below, int(KNEE.max()) + above
    window = {"WindowCenter": (low + high) / 2, "WindowWidth": high - low, "VOILUTFunction": function}
    assert apart(tensor(read(tmp_path / "twin.dcm", **window)), plain) == 0


def test_a_sigmoid_changes_the_tensor_and_is_noted(file, plain):
    image = read(file, WindowCenter=2000, WindowWidth=1500, VOILUTFunction="SIGMOID")
    assert "sigmoid" in image.notes
    assert apart(tensor(image), plain) > 10


def test_a_window_that_clips_changes_the_tensor(file, plain):
    assert apart(tensor(read(file, WindowCenter=1000, WindowWidth=500)), plain) > 10


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=lambda uid: uid.keyword)
def test_lossless_syntaxes_are_the_same_digest_and_tensor(tmp_path, syntax):
    stored = (KNEE * 4).astype(np.uint16)
    native = read_dicom(write_benchmark_dx(tmp_path / "native.dcm", stored))
    packed = read_dicom(write_benchmark_dx(tmp_path / "packed.dcm", stored, syntax))
    assert packed.pixel_digest == native.pixel_digest
    assert apart(tensor(packed), tensor(native)) == 0
    assert "lossy" not in packed.notes


@EXAMPLES
@given(sides=st.tuples(*[st.integers(0, 40)] * 4), value=st.integers(0, 4095))
def test_padding_around_changes_nothing(tmp_path, sides, value):
    top, bottom, left, right = sides
    stored = np.where(value == KNEE, value ^ 1, KNEE)
    padded = np.pad(stored, ((top, bottom), (left, right)), constant_values=value)
    twin = read(tmp_path / "padded.dcm", padded, PixelPaddingValue=value)
    assert apart(tensor(twin), tensor(read(tmp_path / "bare.dcm", stored))) == 0


def test_what_a_shutter_covers_changes_nothing(file, plain):
    covered = np.pad(KNEE, 30, constant_values=4095)
    shutter = {
        "ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 31, "ShutterRightVerticalEdge": 30 + KNEE.shape[1],
        "ShutterUpperHorizontalEdge": 31, "ShutterLowerHorizontalEdge": 30 + KNEE.shape[0],
    }  # fmt: skip
    assert apart(tensor(read(file, covered, **shutter)), plain) == 0
    collimator = {name.replace("Shutter", "Collimator"): value for name, value in shutter.items()}
    assert apart(tensor(read(file, covered, **collimator)), plain) == 0


def test_a_black_collimation_frame_that_no_tag_declares_changes_little(file):
    # at the lowest value of the image itself: the frame adds no new grey, only more air
    air = int(KNEE.min())
    exposed = np.pad(KNEE, 24, constant_values=int(np.median(KNEE[:, :10])))
    framed = exposed.copy()
    framed[:20], framed[-20:], framed[:, :20], framed[:, -20:] = air, air, air, air
    one, other = preprocess(read(file, exposed), SETTINGS), preprocess(read(file, framed), SETTINGS)
    assert max(abs(getattr(one, side) - getattr(other, side)) for side in ("left", "top", "right", "bottom")) <= 2
    assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() < 2


def test_geometry_names_and_uids_change_neither_digest_nor_tensor(file, plain):
    bare = read(file)
    other = read(
        file, PixelSpacing=[0.1, 0.1], ImagerPixelSpacing=[0.2, 0.3], PatientName="SOMEONE^ELSE", PatientID="7",
        StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), SOPInstanceUID=generate_uid(), Manufacturer="ACME",
    )  # fmt: skip
    assert other.pixel_digest == bare.pixel_digest
    assert apart(tensor(other), plain) == 0


def test_overlays_icons_and_what_follows_the_pixels_are_not_looked_at(file, plain):
    dataset = dataset_of(KNEE)
    dataset.add_new(0x60000010, "US", KNEE.shape[0])
    dataset.add_new(0x60000011, "US", KNEE.shape[1])
    dataset.add_new(0x60003000, "OW", bytes(-(-KNEE.size // 16) * 2))
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.BitsAllocated = 8
    icon.PixelData = b"\xff\x00\xff\x00"
    dataset.IconImageSequence = [icon]
    dataset.DataSetTrailingPadding = bytes(64)
    twin = read_dicom(save(file, dataset))
    assert twin.pixel_digest == read(file).pixel_digest
    assert apart(tensor(twin), plain) == 0


def test_a_mirrored_image_is_the_mirrored_tensor(file, plain):
    # the blocks on which parts are connected start at the other side: only the rounding of the resize may differ
    assert apart(tensor(read(file, np.ascontiguousarray(KNEE[:, ::-1])))[:, ::-1], plain) <= 1


def test_voi_policy_percentile_ignores_the_window_and_what_lies_outside_of_the_percentiles(file, plain):
    chosen = PreprocessingSettings(size_px=128, voi_policy="percentile")
    write(file, KNEE, WindowCenter=10, WindowWidth=5)
    bare = read_dicom(file, settings=chosen)
    assert bare.notes == ("voi_percentile",)
    specks = KNEE.copy()
    specks[:2, :2] = 4095  # 4 of 89,100 pixels
    write(file, specks)
    assert apart(tensor(read_dicom(file, settings=chosen)), tensor(bare)) <= 1
    assert apart(tensor(bare), plain) > 0
    low, high = (np.percentile(KNEE, share, method="inverted_cdf") for share in (0.5, 99.5))
    assert np.abs(bare.presentation - np.clip((KNEE - low) / (high - low), 0, 1)).max() < 1e-6
