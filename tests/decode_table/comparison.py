"""One row of the table: a file, who decoded it, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strnet_core.bundle import PreprocessingSettings
from strnet_core.radiograph import read_dicom

from .peers import peers_of, shape_of, with_dcmtk, with_ffmpeg
from .samples import LOSSY, Sample

_ANY = PreprocessingSettings(accept_for_processing=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    syntax: str
    bits: int
    signed: bool
    photometric: str
    compared: tuple[str, ...]
    differing: int
    """Pixels whose stored value differs from at least one other decoder's (or from what was compressed)."""
    largest: int
    """Largest difference of stored values."""
    lossy: bool

    @property
    def allowed(self) -> int:
        """0 where nothing may be lost; else 1, and of 16 bits 4, which is a 64th of one grey level of 256."""
        return max(1, (1 << self.bits) >> 14) if self.lossy else 0

    @property
    def passed(self) -> bool:
        return bool(self.compared) and self.largest <= self.allowed


def compare(sample: Sample) -> Row:
    """Decodes with `read_dicom` and with everybody else who can."""
    shape = shape_of(sample.path)
    words = read_dicom(sample.path, settings=_ANY).words
    ours = (words.view(f"i{words.itemsize}") if shape.signed else words).astype(np.int64)
    others = {} if sample.original is None else {"original": sample.original.astype(np.int64)}
    for peer in peers_of(sample.syntax, signed=shape.signed):
        other = with_dcmtk(sample.path, sample.syntax) if peer == "dcmtk" else with_ffmpeg(sample.path, sample.syntax, shape)
        if other is not None:
            others[peer] = other
    apart = np.max([np.abs(ours - other) for other in others.values()], axis=0)
    return Row(
        name=sample.path.stem,
        syntax=sample.syntax,
        bits=shape.stored,
        signed=shape.signed,
        photometric=sample.photometric,
        compared=tuple(others),
        differing=int(np.count_nonzero(apart)),
        largest=int(apart.max()),
        lossy=sample.syntax in LOSSY,
    )
