"""Radiographs of a folder as the network sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from strnet_core.bundle import PreprocessingSettings
from strnet_core.preprocessing import UInt8Image
from strnet_core.radiograph import Radiograph, read_dicom, read_image
from strnet_core.survey import survey

_PICTURES = frozenset({".png", ".jpg", ".jpeg"})


def films_in(folder: Path) -> tuple[Path, ...]:
    """The files of a folder (not of its subfolders), by name, without hidden ones and without texts and tables."""
    skipped = {".md", ".txt", ".csv", ".json"}
    return tuple(
        path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in skipped
    )


def knees_on(film: Path, settings: PreprocessingSettings) -> Iterator[UInt8Image]:
    """(size, size) uint8 of each knee, from the image's left to its right. Raises DecodeError subclasses."""
    for knee in survey(read_film(film), settings).knees:
        yield knee.image


def read_film(film: Path) -> Radiograph:
    """A PNG or JPEG by its suffix, else DICOM. Raises DecodeError subclasses."""
    return read_image(film) if film.suffix.lower() in _PICTURES else read_dicom(film)
