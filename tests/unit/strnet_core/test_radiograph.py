from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from strnet_core import errors
from strnet_core.bundle import PreprocessingSettings
from strnet_core.radiograph import Radiograph, ReadLimits, read_dicom, read_image, to_8bit
from tests.unit.strnet_core.dicom_files import dataset_of, ramp, save, write


def read(path: Path, stored: np.ndarray, **attributes: object) -> Radiograph:
    return read_dicom(write(path, stored, **attributes))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "image.dcm"


def difference(one: Radiograph, other: Radiograph) -> int:
    return int(np.abs(to_8bit(one).astype(int) - to_8bit(other).astype(int)).max())


def test_presentation_spans_0_to_1_without_a_window_and_brighter_is_denser(file):
    stored = ramp()
    image = read(file, stored)
    assert image.presentation.dtype == np.float32
    assert image.presentation.min() == 0.0
    assert image.presentation.max() == 1.0
    assert np.argmax(image.presentation) == np.argmax(stored)
    assert image.valid.all()
    assert "no_window" in image.notes
    assert (image.rows, image.columns) == stored.shape


def test_monochrome1_twin_equals_monochrome2(file):
    stored = ramp()
    twin = read(file, 4095 - stored, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(to_8bit(twin), to_8bit(read(file, stored)))
    assert "monochrome1" in twin.notes


def test_monochrome1_with_a_clipping_window_inverts_after_the_window(file):
    stored = ramp()
    plain = read(file, stored, WindowCenter=1000, WindowWidth=1001)
    # the mirrored window of the mirrored values: centre c becomes 4095 - c + 1, by the half pixel of LINEAR
    twin = read(file, 4095 - stored, PhotometricInterpretation="MONOCHROME1", WindowCenter=3096, WindowWidth=1001)
    assert difference(plain, twin) == 0


def test_monochrome1_with_inverse_shape_inverts_once(file):
    stored = ramp()
    once = read(file, stored, PhotometricInterpretation="MONOCHROME1")
    both = read(file, stored, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert np.array_equal(once.presentation, both.presentation)
    assert np.argmin(both.presentation) == np.argmax(stored)


def test_inverse_shape_alone_inverts(file):
    stored = ramp()
    inverse = read(file, stored, PresentationLUTShape="INVERSE")
    assert np.argmin(inverse.presentation) == np.argmax(stored)


@pytest.mark.parametrize(
    ("change", "attributes"),
    [
        (lambda stored: stored - 2048, {"PixelRepresentation": 1}),
        (lambda stored: stored, {"BitsStored": 14}),
        (lambda stored: stored, {"BitsStored": 16}),
        (lambda stored: stored, {"RescaleSlope": "0.25", "RescaleIntercept": "-1024"}),
        (lambda stored: stored, {"WindowCenter": 2048, "WindowWidth": 8192}),
        (lambda stored: stored, {"WindowCenter": 2048, "WindowWidth": 60000, "VOILUTFunction": "LINEAR_EXACT"}),
        (lambda stored: stored << 2, {"BitsStored": 12, "HighBit": 13}),
        (lambda stored: stored << 4 | 9, {"BitsStored": 12, "HighBit": 15}),
        (lambda stored: stored | 0xF000, {"BitsStored": 12}),
    ],
    ids=["signed", "14 bits", "16 bits", "rescaled", "wide window", "wide exact window", "high bit 13", "high bit 15", "dirty top bits"],
)
def test_twins_of_one_image_are_equal_within_one_grey_level(file, change, attributes):
    stored = ramp()
    assert difference(read(file, stored), read(file, change(stored), **attributes)) <= 1


def test_signed_values_with_a_high_bit_that_is_not_the_usual_one_extend_their_sign(file):
    stored = ramp() - 2048
    words = ((stored & 0xFFF) << 4).astype("<u2").view("<i2")
    twin = read(file, words, PixelRepresentation=1, BitsStored=12, HighBit=15)
    plain = read(file, stored, PixelRepresentation=1)
    assert twin.pixel_digest == plain.pixel_digest
    assert "shifted_bits" in twin.notes


def test_a_clipping_window_clips_as_the_standard_says(file):
    stored = np.arange(64, dtype=np.int32).reshape(8, 8) * 16
    image = read(file, stored, WindowCenter=512, WindowWidth=257)
    expected = np.clip((stored - 511.5) / 256 + 0.5, 0, 1)
    assert np.abs(image.presentation - expected).max() < 1e-6


def test_sigmoid_differs_from_linear_and_is_noted(file):
    stored = ramp()
    sigmoid = read(file, stored, WindowCenter=2048, WindowWidth=1024, VOILUTFunction="SIGMOID")
    assert "sigmoid" in sigmoid.notes
    expected = 1 / (1 + np.exp(-4 * (stored - 2048.0) / 1024))
    assert np.abs(sigmoid.presentation - expected).max() < 1e-6


@pytest.mark.parametrize(("centre", "width"), [("2048", "0"), ("2048", "-5"), ("2048", "0.5")])
def test_a_window_that_cannot_be_applied_counts_as_none(file, centre, width):
    image = read(file, ramp(), WindowCenter=centre, WindowWidth=width)
    assert "no_window" in image.notes
    assert np.isfinite(image.presentation).all()


def test_the_first_of_several_windows_counts(file):
    stored = ramp()
    several = read(file, stored, WindowCenter=[1000, 3000], WindowWidth=[500, 100])
    assert np.array_equal(several.presentation, read(file, stored, WindowCenter=1000, WindowWidth=500).presentation)


def lut(entries: np.ndarray, first: int, bits: int, vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return [item]


def test_a_voi_lut_goes_before_the_window(file):
    stored = ramp()
    entries = np.rint(1023 * (np.arange(4096) / 4095) ** 2).astype(int)
    image = read(file, stored, VOILUTSequence=lut(entries, 0, 10), WindowCenter=100, WindowWidth=10)
    assert np.abs(image.presentation - entries[stored] / 1023).max() < 1e-6
    assert "voi_lut" in image.notes


def test_values_outside_of_a_lut_take_its_ends(file):
    stored = ramp()
    image = read(file, stored, VOILUTSequence=lut(np.arange(1000), 500, 10))
    assert np.abs(image.presentation - np.clip(stored - 500, 0, 999) / 1023).max() < 1e-6


def test_a_modality_lut_replaces_the_rescale(file):
    stored = ramp()
    entries = 4095 - np.arange(4096)
    image = read(file, stored, ModalityLUTSequence=lut(entries, 0, 16))
    assert np.argmin(image.presentation) == np.argmax(stored)


def test_a_cut_lut_is_refused_with_a_code(file):
    item = lut(np.arange(4096), 0, 12)
    item[0].LUTData = item[0].LUTData[:100]
    with pytest.raises(errors.MissingAttributeError):
        read(file, ramp(), VOILUTSequence=item)


def test_voi_policy_none_ignores_the_window(file):
    stored = ramp()
    write(file, stored, WindowCenter=1000, WindowWidth=10)
    image = read_dicom(file, settings=PreprocessingSettings(voi_policy="none"))
    assert np.array_equal(image.presentation, read(file, stored).presentation)


def test_padding_is_masked_and_moves_no_statistic(file):
    stored = ramp()
    framed = np.pad(stored, 10, constant_values=4000)
    framed = np.where(framed == 4000, 4000, framed)
    stored_without = np.where(stored == 4000, 3999, stored)
    framed[10:-10, 10:-10] = stored_without
    image = read(file, framed, PixelPaddingValue=4000)
    plain = read(file, stored_without)
    assert not image.valid[:10].any()
    assert np.array_equal(to_8bit(image)[10:-10, 10:-10], to_8bit(plain))
    assert to_8bit(image)[0, 0] == 0
    assert "padding" in image.notes


def test_a_padding_range_is_masked_in_either_order(file):
    stored = ramp()
    for first, last in ((4000, 4095), (4095, 4000)):
        image = read(file, stored, PixelPaddingValue=first, PixelPaddingRangeLimit=last)
        assert np.array_equal(image.valid, stored < 4000)


def test_padding_written_with_the_wrong_sign_is_understood(file):
    stored = ramp() - 2048
    dataset = dataset_of(stored, PixelRepresentation=1)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2048)
    image = read_dicom(save(file, dataset))
    assert np.array_equal(image.valid, stored != -2048)


def test_a_rectangular_shutter_is_masked_edges_included(file):
    image = read(
        file, ramp(), ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge=5, ShutterRightVerticalEdge=60,
        ShutterUpperHorizontalEdge=3, ShutterLowerHorizontalEdge=40,
    )  # fmt: skip
    expected = np.zeros((48, 64), bool)
    expected[2:40, 4:60] = True
    assert np.array_equal(image.valid, expected)


def test_circular_and_polygonal_shutters_intersect(file):
    image = read(
        file, ramp(), ShutterShape=["CIRCULAR", "POLYGONAL"], CenterOfCircularShutter=[24, 32], RadiusOfCircularShutter=20,
        VerticesOfThePolygonalShutter=[1, 1, 1, 32, 48, 32, 48, 1],
    )  # fmt: skip
    assert image.valid[23, 20]
    assert not image.valid[0, 0]
    assert not image.valid[23, 45]


def test_a_collimator_given_in_other_coordinates_is_ignored(file):
    image = read(
        file, ramp(), CollimatorShape="RECTANGULAR", CollimatorLeftVerticalEdge=-184, CollimatorRightVerticalEdge=184,
        CollimatorUpperHorizontalEdge=907, CollimatorLowerHorizontalEdge=1299,
    )  # fmt: skip
    assert image.valid.all()
    assert "collimator_ignored" in image.notes


def test_an_image_of_padding_only_is_refused(file):
    with pytest.raises(errors.EmptyImageError):
        read(file, np.full((16, 16), 7), PixelPaddingValue=7)


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, errors.ColourError),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, errors.ColourError),
        ({"NumberOfFrames": 2}, errors.MultiFrameError),
        ({"Rows": 60000, "Columns": 60000}, errors.TooLargeError),
        ({"Rows": 0}, errors.EmptyImageError),
        ({"Columns": None}, errors.MissingAttributeError),
        ({"PixelData": None}, errors.MissingAttributeError),
        ({"PresentationIntentType": "FOR PROCESSING"}, errors.ForProcessingError),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, errors.ForProcessingError),
        ({"BitsStored": 17, "HighBit": 16}, errors.UnsupportedEncodingError),
        ({"BitsStored": 12, "HighBit": 10}, errors.UnsupportedEncodingError),
        ({"Rows": 96}, errors.TruncatedPixelsError),
    ],
)
def test_what_is_no_plain_radiograph_is_refused_with_its_code(file, attributes, error):
    with pytest.raises(error) as caught:
        read(file, ramp(), **attributes)
    assert caught.value.code == error.code
    assert "MARKED" not in str(caught.value)


def test_for_processing_is_read_where_the_settings_accept_it(file):
    write(file, ramp(), PresentationIntentType="FOR PROCESSING")
    assert read_dicom(file, settings=PreprocessingSettings(accept_for_processing=True)).rows == 48


def test_limits_are_checked_against_the_header(file):
    write(file, ramp())
    with pytest.raises(errors.TooLargeError):
        read_dicom(file, ReadLimits(max_rows=47))


def test_a_missing_file_and_rubbish_are_unreadable(tmp_path):
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"%PDF-1.7" + bytes(1000))
    for path in (rubbish, tmp_path / "absent.dcm"):
        with pytest.raises(errors.UnreadableFileError):
            read_dicom(path)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=["rle", "j2k", "jpegls"])
@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
def test_lossless_transfer_syntaxes_give_the_same_digest(file, syntax, signed):
    stored = ramp() - 2048 * signed
    dataset = dataset_of(stored, PixelRepresentation=signed)
    plain = read_dicom(save(file, dataset))
    dataset.compress(syntax, generate_instance_uid=False)
    packed = read_dicom(save(file, dataset))
    assert packed.pixel_digest == plain.pixel_digest
    assert np.array_equal(packed.presentation, plain.presentation)


def test_a_cut_compressed_stream_is_truncated(file):
    from pydicom.encaps import encapsulate, get_frame

    dataset = dataset_of(ramp())
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(errors.TruncatedPixelsError):
        read_dicom(save(file, dataset))


@pytest.mark.parametrize(
    ("syntax", "options", "tagged", "noted"),
    [
        (JPEGLSNearLossless, {"jls_error": 2}, "", True),
        (JPEG2000, {"j2k_psnr": [60]}, "", True),  # irreversible wavelet: the stream says it
        (JPEG2000Lossless, {}, "01", True),  # compressed losslessly after an earlier loss: only the tag knows
        (JPEG2000Lossless, {}, "00", False),
        (JPEGLSLossless, {}, "", False),
        (None, {}, "01", True),
        (None, {}, "", False),
    ],
)
def test_loss_is_noted_from_the_stream_or_from_the_tag(file, syntax, options, tagged, noted):
    dataset = dataset_of(ramp())
    if syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False, **options)
    if tagged:
        dataset.LossyImageCompression = tagged
    elif "LossyImageCompression" in dataset:
        del dataset.LossyImageCompression
    assert ("lossy" in read_dicom(save(file, dataset)).notes) is noted


def test_a_reversible_stream_in_the_syntax_that_may_lose_is_noted_by_its_tag_only(file):
    dataset = dataset_of(ramp())
    plain = read_dicom(save(file, dataset)).pixel_digest
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    bare = read_dicom(save(file, dataset))
    dataset.LossyImageCompression = "01"
    tagged = read_dicom(save(file, dataset))
    assert bare.pixel_digest == tagged.pixel_digest == plain
    assert ("lossy" in bare.notes, "lossy" in tagged.notes) == (False, True)


def test_the_digest_knows_no_header_text_and_no_photometric_but_every_pixel(file):
    stored = ramp()
    digest = read(file, stored).pixel_digest
    assert read(file, stored, PatientName="OTHER", WindowCenter=5, WindowWidth=9).pixel_digest == digest
    assert read(file, stored, PhotometricInterpretation="MONOCHROME1").pixel_digest == digest
    stored[0, 0] += 1
    assert read(file, stored).pixel_digest != digest
    assert read(file, ramp().reshape(64, 48)).pixel_digest != digest


@pytest.mark.parametrize("case", ["d02", "r01", "r04"])
def test_jpeg_lossless_decodes_to_what_dcmtk_decodes(cases, tmp_path, case):
    tool = Path("/usr/bin/dcmdjpeg")
    if not tool.exists():
        pytest.skip("DCMTK is not installed")
    (source,) = cases.glob(f"{case}*.dcm")
    decoded = tmp_path / "decoded.dcm"
    subprocess.run([tool, source, decoded], check=True, capture_output=True)
    assert read_dicom(decoded).pixel_digest == read_dicom(source).pixel_digest


def test_lossy_jpeg_decodes_close_to_dcmtk_and_is_noted(cases, tmp_path):
    tool = Path("/usr/bin/dcmdjpeg")
    if not tool.exists():
        pytest.skip("DCMTK is not installed")
    (source,) = cases.glob("r05*.dcm")
    decoded = tmp_path / "decoded.dcm"
    subprocess.run([tool, source, decoded], check=True, capture_output=True)
    ours, theirs = read_dicom(source), read_dicom(decoded)
    assert "lossy" in ours.notes
    assert difference(ours, theirs) <= 2


@pytest.mark.parametrize("options", [["--encode-extended"], ["--encode-lossless"], ["--encode-lossless-sv1"]])
def test_jpeg_files_that_dcmtk_writes_are_read(tmp_path, file, options):
    tool = Path("/usr/bin/dcmcjpeg")
    if not tool.exists():
        pytest.skip("DCMTK is not installed")
    plain = read(file, ramp(256, 256))
    packed = tmp_path / "packed.dcm"
    subprocess.run([tool, *options, file, packed], check=True, capture_output=True)
    image = read_dicom(packed)
    if "lossless" in options[0]:
        assert image.pixel_digest == plain.pixel_digest
    else:
        assert "lossy" in image.notes
        assert difference(image, plain) <= 6


def test_near_lossless_jpeg_ls_and_lossy_j2k_stay_close(tmp_path, file):
    tool = Path("/usr/bin/dcmcjpls")
    if not tool.exists():
        pytest.skip("DCMTK is not installed")
    plain = read(file, ramp(128, 128))
    packed = tmp_path / "packed.dcm"
    subprocess.run([tool, "--encode-nearlossless", "--max-deviation", "2", file, packed], check=True, capture_output=True)
    assert difference(read_dicom(packed), plain) <= 1


def test_jpeg_2000_case_equals_another_decoder(cases):
    (source,) = cases.glob("d03*.dcm")
    dataset = pydicom.dcmread(source)
    dataset.decompress(decoding_plugin="gdcm", generate_instance_uid=False)
    from strnet_core.radiograph.stored import digest_of_stored

    assert read_dicom(source).pixel_digest == digest_of_stored(dataset.pixel_array.astype(np.int32))


@pytest.mark.parametrize(
    ("case", "code"),
    [("d06", "for_processing"), ("d07", "colour"), ("d08", "truncated"), ("m02", "multi_frame"), ("r10", "unreadable"), ("r11", "colour")],
)
def test_real_cases_that_are_no_radiographs_are_refused(cases, case, code):
    (source,) = cases.glob(f"{case}*.dcm")
    with pytest.raises(errors.DecodeError) as caught:
        read_dicom(source)
    assert caught.value.code == code


@pytest.mark.parametrize("case", ["d01", "d02", "d03", "d05", "r01", "r02", "r03", "r04", "r05", "r06"])
def test_real_radiographs_are_read(cases, case):
    (source,) = cases.glob(f"{case}*.dcm")
    image = read_dicom(source)
    assert image.presentation.min() >= 0.0
    assert image.presentation.max() <= 1.0
    assert image.valid.mean() > 0.5


def test_png_and_jpeg_are_read_and_colour_is_refused(tmp_path):
    from PIL import Image

    grey = (ramp(top=255)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)).save(tmp_path / "grey_as_rgb.png")
    Image.fromarray((ramp(top=65535)).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.stack((grey, grey // 2, grey), axis=2)).save(tmp_path / "colour.png")
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=95)
    plain = read_image(tmp_path / "grey.png")
    assert np.array_equal(to_8bit(plain), grey)
    assert read_image(tmp_path / "grey_as_rgb.png").pixel_digest == plain.pixel_digest
    assert difference(read_image(tmp_path / "deep.png"), plain) <= 1
    assert "lossy" in read_image(tmp_path / "grey.jpg").notes
    with pytest.raises(errors.ColourError):
        read_image(tmp_path / "colour.png")
    (tmp_path / "rubbish.png").write_bytes(b"rubbish")
    with pytest.raises(errors.UnreadableFileError):
        read_image(tmp_path / "rubbish.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:200])
    with pytest.raises(errors.DecodeError):
        read_image(tmp_path / "cut.png")


def test_a_flat_image_becomes_black(file):
    assert not to_8bit(read(file, np.full((16, 16), 9))).any()


def test_cropped_columns_keep_the_digest_and_say_where_they_are_from(file):
    image = read(file, ramp())
    part = image.crop_columns(10, 30)
    assert np.array_equal(part.presentation, image.presentation[:, 10:30])
    assert part.pixel_digest == image.pixel_digest
    assert part.notes[-1] == "crop_columns:10:30"
    with pytest.raises(ValueError):
        image.crop_columns(30, 30)


def test_decode_errors_survive_the_way_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(errors.TooLargeError("9 x 9")))
    assert isinstance(error, errors.TooLargeError)
    assert error.detail == "9 x 9"
    assert str(error) == str(errors.TooLargeError("9 x 9"))


@pytest.mark.parametrize("module", ["radiograph", "foreground", "preprocessing", "knees", "phantom", "bundle", "engines.base", "cli"])
def test_light_modules_import_no_torch(module):
    code = f"import sys, strnet_core.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0
