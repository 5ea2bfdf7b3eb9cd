"""Stored values, their digest, their histogram and what a compressed stream says of itself."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from strnet_core import errors
from strnet_core.foreground import bounding_box, otsu_threshold, significant_parts
from strnet_core.radiograph import Radiograph, to_8bit
from strnet_core.radiograph.codestream import StreamFacts, jpeg_2000_facts, jpeg_facts, refuse_other_image
from strnet_core.radiograph.complaints import captured_complaints
from strnet_core.radiograph.header import PixelHeader
from strnet_core.radiograph.histogram import histogram
from strnet_core.radiograph.opencv import memory_errors
from strnet_core.radiograph.stored import StoredPixels, digest_of_stored, settle_compressed, settle_native
from strnet_core.radiograph.values import look_up, to_8bit_counted

SMALL = npst.array_shapes(min_dims=2, max_dims=2, max_side=12)


def header(bits: int, *, signed: bool = False, high_bit: int | None = None, allocated: int = 16) -> PixelHeader:
    return PixelHeader(
        rows=1, columns=4, frames=1, bits_allocated=allocated, bits_stored=bits, high_bit=bits - 1 if high_bit is None else high_bit,
        signed=signed, monochrome1=False, inverse_shape=False,
    )  # fmt: skip


@given(npst.arrays(np.uint8, SMALL))
def test_the_digest_is_that_of_the_numbers_whatever_holds_them(values):
    wider = [values.astype(kind) for kind in ("<u2", "<i2", ">u2", "<i4", "<i8")]
    assert {digest_of_stored(array) for array in wider} == {digest_of_stored(values)}


@given(npst.arrays(np.int8, SMALL))
def test_negative_numbers_have_their_own_digest(values):
    assert digest_of_stored(values) == digest_of_stored(values.astype(np.int32))
    if values.min() < 0:
        assert digest_of_stored(values) != digest_of_stored(values.view(np.uint8))
        assert digest_of_stored(values.astype("<i2")) != digest_of_stored(values.astype("<i2").view("<u2"))


def test_numbers_beyond_16_bits_have_no_digest():
    for values in ([[70000]], [[-1, 40000]]):
        with pytest.raises(ValueError, match="16 bits"):
            digest_of_stored(np.array(values))


def test_native_words_lose_what_lies_above_and_below_the_stored_bits():
    dirty = np.array([[0xF123, 0x0FFF, 0x8000, 0x0000]], np.uint16)
    assert settle_native(dirty, header(12)).numbers.tolist() == [[0x123, 0xFFF, 0, 0]]
    assert settle_native(dirty, header(12, signed=True)).numbers.tolist() == [[0x123, -1, 0, 0]]
    assert settle_native(dirty, header(12, high_bit=15)).numbers.tolist() == [[0xF12, 0x0FF, 0x800, 0]]
    assert settle_native(dirty, header(12, high_bit=15, signed=True)).numbers.tolist() == [[-238, 255, -2048, 0]]


def test_words_that_are_in_order_are_not_copied():
    words = np.array([[1, 2, 3, 4095]], np.uint16)
    assert settle_native(words, header(12)).words is words


def test_a_lossy_codec_that_overshoots_is_clipped_and_a_lossless_one_refused():
    words = np.array([[0, 1023, 1024, 1027]], np.uint16)
    assert settle_compressed(words, header(10), lossy=True).numbers.tolist() == [[0, 1023, 1023, 1023]]
    with pytest.raises(errors.UnsupportedEncodingError):
        settle_compressed(words, header(10), lossy=False)


def test_compressed_signed_words_come_with_or_without_their_sign_extended():
    plain, extended = np.array([[0, 511, 512, 1023]], np.uint16), np.array([[0, 511, -512, -1]], np.int16).view(np.uint16)
    for words in (plain, extended):
        assert settle_compressed(words, header(10, signed=True), lossy=False).numbers.tolist() == [[0, 511, -512, -1]]


def test_meanings_name_the_value_of_every_word():
    signed = StoredPixels(words=np.zeros((1, 1), np.uint8), signed=True).meanings
    assert signed.size == 256
    assert (signed[0], signed[127], signed[128], signed[255]) == (0, 127, -128, -1)


@given(st.sampled_from([np.uint8, np.uint16]), st.data())
def test_the_histogram_is_numpy_s_with_and_without_a_mask(kind, data):
    image = data.draw(npst.arrays(kind, SMALL))
    mask = data.draw(npst.arrays(np.bool_, image.shape))
    levels = np.iinfo(kind).max + 1
    assert np.array_equal(histogram(image), np.bincount(image.ravel(), minlength=levels))
    assert np.array_equal(histogram(image, mask), np.bincount(image[mask], minlength=levels))


def test_the_histogram_counts_more_pixels_than_float32_can(monkeypatch):
    monkeypatch.setattr("strnet_core.radiograph.histogram._EXACT_IN_FLOAT32", 100)
    image = np.full((50, 30), 7, np.uint8)
    assert histogram(image)[7] == 1500
    exact = np.zeros((4100, 4100), np.uint8)  # 16,810,000 > 2**24
    monkeypatch.undo()
    exact[0, 0] = 1
    assert histogram(exact)[0] == exact.size - 1


@given(npst.arrays(np.uint16, SMALL), npst.arrays(np.uint8, 65536, elements=st.integers(0, 255), fill=st.just(3)))
def test_looking_up_is_numpy_s(words, table):
    assert np.array_equal(look_up(words, table), table[words])


@given(npst.arrays(np.uint16, SMALL), st.data())
def test_the_counts_that_come_with_the_greys_are_theirs(words, data):
    valid = data.draw(npst.arrays(np.bool_, words.shape))
    image = Radiograph(words=words, table=np.arange(65536) / 65535, valid=valid, pixel_digest="")
    if not valid.any():
        with pytest.raises(errors.EmptyImageError):
            to_8bit(image)
        return
    grey, counts = to_8bit_counted(image)
    assert np.array_equal(counts, np.bincount(grey[valid], minlength=256))
    assert not grey[~valid].any()


@given(npst.arrays(np.int64, 256, elements=st.integers(0, 1000), fill=st.just(0)))
def test_otsu_separates_as_well_as_opencv_s(counts):
    if not counts.any():
        return
    values = np.repeat(np.arange(256, dtype=np.uint8), counts)

    def between(threshold: int) -> float:
        low, high = values[values <= threshold].astype(float), values[values > threshold].astype(float)
        return low.size * high.size * (low.mean() - high.mean()) ** 2 if low.size and high.size else 0.0

    theirs, _ = cv2.threshold(values.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert between(otsu_threshold(counts)) >= between(int(theirs)) * (1 - 1e-9)


@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=30)), st.sampled_from([1, 2, 4]), st.integers(0, 9))
def test_kept_parts_are_within_the_mask_and_do_not_depend_on_a_border(mask, grid, border):
    kept = significant_parts(mask, 0.3, grid)
    assert not (kept & ~mask).any()
    framed = significant_parts(np.pad(mask, border), 0.3, grid)
    assert np.array_equal(framed[border : border + mask.shape[0], border : border + mask.shape[1]], kept)


def test_parts_are_connected_on_blocks():
    mask = np.zeros((60, 60), bool)
    mask[0:40, 0:20] = True
    mask[0:3, 22:25] = True  # two columns away
    mask[50:53, 50:53] = True
    assert bounding_box(significant_parts(mask, 0.05, 1)) == (0, 0, 20, 40)
    assert bounding_box(significant_parts(mask, 0.05, 4)) == (0, 0, 25, 40)


@pytest.mark.parametrize("stream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\x00\x00\x00\x00", b"\xff\x4f\xff\x51" + bytes(40)])
def test_a_stream_without_a_header_is_refused(stream):
    for facts in (jpeg_facts, jpeg_2000_facts):
        with pytest.raises(errors.DecodeError):
            facts(stream)


def test_a_stream_of_several_components_is_refused():
    facts = StreamFacts(rows=1, columns=4, components=3, precision=8, lossy=True)
    with pytest.raises(errors.UnsupportedEncodingError):
        refuse_other_image(facts, header(8, allocated=8))


def test_a_lack_of_memory_in_opencv_is_a_memory_error():
    with pytest.raises(MemoryError), memory_errors():
        cv2.copyMakeBorder(np.zeros((2, 2), np.uint8), 0, 1 << 30, 0, 1 << 29, cv2.BORDER_CONSTANT)
    with pytest.raises(cv2.error), memory_errors():
        cv2.resize(np.zeros((2, 2), np.uint8), (0, 0))


def test_only_what_was_asked_for_is_taken_from_standard_error(capfd):
    lines: list[bytes] = []
    with captured_complaints(lines, (b"Corrupt",)):
        os.write(2, b"Corrupt data\nsomething else\n")
    os.write(2, b"Corrupt later\n")
    assert lines == [b"Corrupt data\n"]
    assert capfd.readouterr().err == "something else\nCorrupt later\n"
