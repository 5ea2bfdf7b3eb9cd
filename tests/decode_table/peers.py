"""Decoders that share nothing with ours: DCMTK's tools, and FFmpeg's own decoders where DCMTK has none or has the same library.

DCMTK and pyjpegls both carry CharLS, and pylibjpeg-openjpeg is OpenJPEG: for those families FFmpeg is the independent one.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .samples import BIN

_DCMTK: Mapping[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2": ("dcmconv", "--write-xfer-little"),
    "1.2.840.10008.1.2.1": ("dcmconv", "--write-xfer-little"),
    "1.2.840.10008.1.2.1.99": ("dcmconv", "--write-xfer-little"),
    "1.2.840.10008.1.2.4.50": ("dcmdjpeg",),
    "1.2.840.10008.1.2.4.51": ("dcmdjpeg",),
    "1.2.840.10008.1.2.4.57": ("dcmdjpeg",),
    "1.2.840.10008.1.2.4.70": ("dcmdjpeg",),
    "1.2.840.10008.1.2.4.80": ("dcmdjpls",),
    "1.2.840.10008.1.2.4.81": ("dcmdjpls",),
    "1.2.840.10008.1.2.5": ("dcmdrle",),
}
_FFMPEG: Mapping[str, tuple[str, str]] = {
    "1.2.840.10008.1.2.4.50": ("mjpeg", "jpg"),
    "1.2.840.10008.1.2.4.51": ("mjpeg", "jpg"),
    "1.2.840.10008.1.2.4.57": ("mjpeg", "jpg"),
    "1.2.840.10008.1.2.4.70": ("mjpeg", "jpg"),
    "1.2.840.10008.1.2.4.80": ("jpegls", "jls"),
    "1.2.840.10008.1.2.4.81": ("jpegls", "jls"),
    "1.2.840.10008.1.2.4.90": ("jpeg2000", "j2k"),
    "1.2.840.10008.1.2.4.91": ("jpeg2000", "j2k"),
}
_TOOLS = ("dcmcjpeg", "dcmdjpeg", "dcmcjpls", "dcmdjpls", "dcmcrle", "dcmdrle", "dcmconv", "dcmdump", "ffmpeg")


def missing() -> list[str]:
    """Which tools are not installed (make test PEERS=install)."""
    return [tool for tool in _TOOLS if not (BIN / tool).exists()]


def peers_of(syntax: str, *, signed: bool) -> list[str]:
    """Who can give an independent opinion."""
    named = ["dcmtk"] if syntax in _DCMTK else []
    # predictor 6 overflows on two's complement words of 10 and 12 bits; FFmpeg does not wrap there, DCMTK and GDCM do
    overflows = syntax.endswith(".57") and signed
    return [*named, "ffmpeg"] if syntax in _FFMPEG and not overflows else named


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What dcmdump reads of the image."""

    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool


def shape_of(path: Path) -> Shape:
    """Rows, columns and bits, by DCMTK's header reader."""
    command = [BIN / "dcmdump", "+P", "0028,0010", "+P", "0028,0011", "+P", "0028,0100", "+P", "0028,0101", "+P", "0028,0103", path]
    printed = subprocess.run(command, check=True, capture_output=True).stdout.decode("latin-1")
    found = {element: int(value) for element, value in re.findall(r"^\(0028,(\w+)\) US (\d+)", printed, re.MULTILINE)}
    return Shape(rows=found["0010"], columns=found["0011"], allocated=found["0100"], stored=found["0101"], signed=found.get("0103") == 1)


def with_dcmtk(path: Path, syntax: str) -> np.ndarray:
    """(rows, cols) int64 stored values, by DCMTK's decoder, header reader and pixel writer."""
    with tempfile.TemporaryDirectory() as temporary:
        plain = Path(temporary) / "plain.dcm"
        tool, *options = _DCMTK[syntax]
        subprocess.run([BIN / tool, *options, path, plain], check=True, capture_output=True)
        (content,) = _raw(plain, Path(temporary))
        shape = shape_of(plain)
        words = np.frombuffer(content, "u1" if shape.allocated == 8 else "<u2")[: shape.rows * shape.columns]
        low = words.reshape(shape.rows, shape.columns).astype(np.int64) % (1 << shape.stored)
        return np.where(low >= 1 << shape.stored - 1, low - (1 << shape.stored), low) if shape.signed else low


def with_ffmpeg(path: Path, syntax: str, shape: Shape) -> np.ndarray | None:
    """(rows, cols) int64 stored values, by FFmpeg's own decoder of the code stream that dcmdump writes out.

    None where it says itself that it cannot read the stream (`bad vlc` of one real lossless JPEG): then it has no opinion.
    """
    codec, suffix = _FFMPEG[syntax]
    with tempfile.TemporaryDirectory() as temporary:
        _, *fragments = _raw(path, Path(temporary))
        stream = Path(temporary) / f"frame.{suffix}"
        stream.write_bytes(b"".join(fragments))
        command = [BIN / "ffmpeg", "-hide_banner", "-y", "-c:v", codec, "-i", stream, "-f", "rawvideo", "-"]
        done = subprocess.run(command, check=True, capture_output=True)
        said = done.stderr.decode("latin-1")
    if f"[{codec} @" in said:
        return None
    if "gray16le" not in said:
        values = np.frombuffer(done.stdout, "u1").astype(np.int64)
        precision = 8
    else:
        # shallower samples come left-aligned in 16 bits, with their depth named
        depth = re.search(r"gray16le\((\d+) bpc", said)
        precision = int(depth.group(1)) if depth else 16
        values = np.frombuffer(done.stdout, "<u2").astype(np.int64) >> 16 - precision
    values = values.reshape(shape.rows, shape.columns)
    if not shape.signed:
        return values
    if codec == "jpeg2000":
        return values - (1 << precision - 1)  # FFmpeg shows signed components around grey
    span = 1 << shape.stored
    return (values + span // 2) % span - span // 2


def _raw(path: Path, folder: Path) -> list[bytes]:
    """The fragments of Pixel Data, or its one value, in order."""
    raw = folder / "raw"
    raw.mkdir()
    subprocess.run([BIN / "dcmdump", "+W", raw, path], check=True, capture_output=True)
    files = sorted(raw.iterdir(), key=lambda file: int(file.name.split(".")[-2]))
    return [file.read_bytes() for file in files]
