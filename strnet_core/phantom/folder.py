"""A cohort written to a folder: `images/`, and `labels.csv` with what is known of every film."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.phantom.cohort import CohortParameters, PhantomCase, cases
from strnet_core.phantom.dx import DxPlace, DxSubject, DxView, dx_object, phantom_uid
from strnet_core.phantom.film import draw_film
from strnet_core.phantom.film_parameters import FilmParameters

FileFormat = Literal["dx", "png"]
LABELS_FILE: Final = "labels.csv"
IMAGES: Final = "images"
COLUMNS: Final = (
    *("image", "patient_id", "label_cls", "t_score", "age", "sex", "bmi", "density", "seed"),
    *FilmParameters.__dataclass_fields__,
)
"""The layout that `strnet train` and `strnet evaluate` read, then the truth: every parameter of the film."""
_SUFFIXES: Final[Mapping[FileFormat, str]] = {"dx": ".dcm", "png": ".png"}
_TAKEN_AT: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_SIZE_M: Final = 1.65


def write_cohort(
    folder: Path, parameters: CohortParameters, file_format: FileFormat = "dx", progress: Callable[[PhantomCase], None] | None = None
) -> Path:
    """Writes the films and then the labels, whose path is returned. The same parameters give the same bytes.

    `images/<patient id>.dcm` (12 bits) or `.png` (8 bits). progress: called after each film. Raises OSError, FileExistsError where the
    folder already has labels.
    """
    labels = folder / LABELS_FILE
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    with labels.open("x", encoding="utf-8", newline="") as stream:
        rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        rows.writeheader()
        for case in cases(parameters):
            name = f"{case.patient_id}{_SUFFIXES[file_format]}"
            (folder / IMAGES / name).write_bytes(encoded(case, file_format))
            rows.writerow(_row(case, name))
            if progress is not None:
                progress(case)
    return labels


def encoded(case: PhantomCase, file_format: FileFormat) -> bytes:
    """The case's film as a file."""
    pixels = draw_film(case.film, case.seed)
    return _png(pixels) if file_format == "png" else _dx(pixels, case)


def _png(pixels: npt.NDArray[np.uint16]) -> bytes:
    done, content = cv2.imencode(".png", (pixels >> 4).astype(np.uint8))
    if not done:
        raise OSError("the picture could not be encoded")
    return bytes(content.tobytes())


def _dx(pixels: npt.NDArray[np.uint16], case: PhantomCase) -> bytes:
    film, key = case.film, ("cohort", case.patient_id, str(case.seed))
    size = _SIZE_M
    dataset = dx_object(
        pixels,
        view=DxView(view="ap", laterality="B" if film.knees > 1 else film.side, pixel_spacing_mm=film.pixel_spacing_mm),
        subject=DxSubject(
            patient_name=f"PHANTOM^{case.number}",
            patient_id=case.patient_id,
            # born on the day before the film's: of the age that the label says
            birth_date=f"{_TAKEN_AT.year - case.age_years}0104",
            sex=case.sex,
            age_years=case.age_years,
            size_m=size,
            weight_kg=case.bmi * size * size,
        ),
        place=DxPlace(
            study_instance_uid=phantom_uid((*key, "study")),
            series_instance_uid=phantom_uid((*key, "series")),
            sop_instance_uid=phantom_uid((*key, "instance")),
            instance_number=1,
            study_id=str(case.number),
            accession_number=case.patient_id,
            taken_at=_TAKEN_AT,
        ),
    )
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _row(case: PhantomCase, image: str) -> dict[str, object]:
    said = {
        "image": image,
        "patient_id": case.patient_id,
        "label_cls": case.label,
        "t_score": f"{case.t_score:.2f}",
        "age": case.age_years,
        "sex": case.sex,
        "bmi": f"{case.bmi:.2f}",
        "density": f"{case.density:.4f}",
        "seed": case.seed,
    }
    return {**said, **{name: _plain(value) for name, value in asdict(case.film).items()}}


def _plain(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
