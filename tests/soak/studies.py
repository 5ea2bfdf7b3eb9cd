"""Knees in any number, small and cheap: a few phantoms, each study with UIDs, patient and pixels of its own."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Final

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from tests.faults.images import Image, encode

_ROOT: Final = "1.2.826.0.1.3680043.10.511.78"
_PHANTOMS: Final = 8
SIDES: Final = ("R", "L")


def study(number: int, images: int) -> list[Image]:
    """The first `images` of the study's two knees, right and left. The same number is the same study to the last byte."""
    return [_image(number, instance) for instance in range(1, images + 1)]


def study_uid(number: int) -> str:
    return f"{_ROOT}.1.{number}"


def _image(number: int, instance: int) -> Image:
    dataset = _phantom((2 * number + instance) % _PHANTOMS, SIDES[instance - 1]).copy()
    dataset.SOPInstanceUID = UID(f"{_ROOT}.2.{number}.{instance}")
    dataset.SeriesInstanceUID = UID(f"{_ROOT}.3.{number}.{instance}")
    dataset.StudyInstanceUID = UID(study_uid(number))
    dataset.InstanceNumber, dataset.StudyID = instance, str(number)
    dataset.PatientID = dataset.AccessionNumber = f"SOAK{number}"
    dataset.PatientName = f"SOAK^{number}"
    # dark enough for air: no quality flag, no other knee
    mark = b"".join(
        value.to_bytes(2, "little") for value in (110 + number % 97, 110 + number // 97 % 97, 110 + number // 9409, 110 + instance)
    )
    dataset.PixelData = mark + dataset.PixelData[len(mark) :]
    return encode(dataset)


@functools.cache
def _phantom(kind: int, side: str) -> FileDataset:
    who = PhantomStudy(
        seed=11,
        number=kind,
        patient_name="SOAK",
        patient_id="SOAK",
        birth_date="19500101",
        sex="F",
        taken_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        accession_number="SOAK",
    )
    return phantom_instance(who, phantom_parameters(side=side, density=kind / _PHANTOMS, rows=600, columns=500), instance_number=1)
