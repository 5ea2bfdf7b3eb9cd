"""Small radiographs in every transfer syntax that the listener accepts, compressed by DCMTK, or by OpenJPEG where DCMTK cannot."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import JPEG2000, UID, ImplicitVRLittleEndian, JPEG2000Lossless

from tests.unit.strnet_core.dicom_files import dataset_of, ramp, save

BIN = Path("/usr/bin")
BITS = (8, 10, 12, 14, 16)
_ENCODERS: Mapping[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2.4.50": ("dcmcjpeg", "--encode-baseline"),
    "1.2.840.10008.1.2.4.51": ("dcmcjpeg", "--encode-extended"),
    "1.2.840.10008.1.2.4.57": ("dcmcjpeg", "--encode-lossless"),
    "1.2.840.10008.1.2.4.70": ("dcmcjpeg", "--encode-lossless-sv1"),
    "1.2.840.10008.1.2.4.80": ("dcmcjpls", "--encode-lossless"),
    "1.2.840.10008.1.2.4.81": ("dcmcjpls", "--encode-nearlossless"),
    "1.2.840.10008.1.2.5": ("dcmcrle",),
}
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", *_ENCODERS, str(JPEG2000Lossless), str(JPEG2000))
LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"})
"""DCMTK makes 8 bits of anything for .50 and 12 of anything deeper for .51; it refuses signed values for .81."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file, and the stored values that went into it where the way there lost none."""

    path: Path
    syntax: str
    photometric: str
    original: np.ndarray | None


def combinations(syntax: str) -> Iterator[tuple[int, bool, str]]:
    """Bits, signedness and photometric of what is made for a transfer syntax."""
    for bits in BITS:
        for signed in (False, True):
            if signed and syntax == "1.2.840.10008.1.2.4.81":
                continue
            for photometric in ("MONOCHROME1", "MONOCHROME2"):
                yield bits, signed, photometric


def make(folder: Path, syntax: str, bits: int, *, signed: bool, photometric: str) -> Sample:
    """A 56 x 72 image that uses the whole range, smooth with fine texture."""
    top = (1 << bits) - 1
    texture = np.random.default_rng(bits).integers(-(top >> 5), (top >> 5) + 1, (56, 72))
    stored = np.clip(ramp(56, 72, top) + texture, 0, top) - (1 << bits - 1) * signed
    name = f"{syntax}-{bits}{'s' if signed else 'u'}-{photometric}"
    dataset = dataset_of(
        stored,
        BitsAllocated=8 if bits == 8 else 16,
        BitsStored=bits,
        PixelRepresentation=int(signed),
        PhotometricInterpretation=photometric,
    )
    plain = save(folder / f"{name}-plain.dcm", dataset)
    path = folder / f"{name}.dcm"
    if syntax in _ENCODERS:
        tool, *options = _ENCODERS[syntax]
        subprocess.run([BIN / tool, *options, plain, path], check=True, capture_output=True)
    elif UID(syntax) in (JPEG2000Lossless, JPEG2000):
        lossy = {"j2k_psnr": [70]} if syntax == JPEG2000 else {}
        dataset.compress(UID(syntax), generate_instance_uid=False, **lossy)
        save(path, dataset)
    elif syntax == ImplicitVRLittleEndian:
        subprocess.run([BIN / "dcmconv", "--write-xfer-implicit", plain, path], check=True, capture_output=True)
    else:
        path = plain
    return Sample(path=path, syntax=syntax, photometric=photometric, original=None if syntax in LOSSY else stored)


def real(folder: Path) -> Iterator[Sample]:
    """The grey single-frame images among the real cases."""
    for path in sorted(folder.glob("*.dcm")):
        if path.name[:3] in {"d07", "d08", "m01", "m02", "r10", "r11"}:
            continue  # colour, cut, several frames; dcmdump stops at the stray delimiter of m01
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        yield Sample(path=path, syntax=syntax, photometric=dataset.PhotometricInterpretation, original=None)
