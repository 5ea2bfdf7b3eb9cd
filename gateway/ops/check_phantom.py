"""The phantom of `strnet-gateway check`: a synthetic knee that nobody can take for a patient's, new each time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

from pydicom.dataset import FileDataset
from pydicom.uid import UID

from gateway.config import Settings
from gateway.dicom.uids import DX, derived_uid
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters

PATIENT_ID_PREFIX: Final = "STRNET-PHANTOM-"
"""Of every phantom's patient id: what routes go by (docs/check.md)."""
_SEED: Final = 1
_AGE_YEARS: Final = 65
_OLDER_YEARS: Final = 5
"""Than `eligibility.min_age_years`."""
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPhantom:
    """dataset: the DX object; content: the same as a file."""

    dataset: FileDataset
    content: bytes
    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = DX


def check_phantom(settings: Settings, run: str, now: datetime) -> CheckPhantom:
    """run: a fresh id, hexadecimal. The patient, every UID and the pixels are this run's alone: no rule about resends or corrections
    can take one phantom for another."""
    taken_at = now.astimezone(ZoneInfo(settings.results.timezone))
    born = taken_at.year - max(_AGE_YEARS, settings.eligibility.min_age_years + _OLDER_YEARS)
    study = PhantomStudy(
        seed=_SEED,
        number=1,
        patient_name="PHANTOM^STRNET^CHECK",
        patient_id=f"{PATIENT_ID_PREFIX}{run}",
        birth_date=f"{born}0101",
        sex="F",
        taken_at=taken_at,
        accession_number="PHANTOM",
    )
    dataset = phantom_instance(study, phantom_parameters(side="R", density=0.2), instance_number=1)
    dataset.StudyDescription = "PHANTOM, NOT A PATIENT"
    # PS3.3 C.7.1.1
    dataset.QualityControlSubject = "YES"
    study_uid, series_uid, instance_uid = (UID(derived_uid(("check", run, level))) for level in ("study", "series", "instance"))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = study_uid, series_uid, instance_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = instance_uid
    _mark(dataset, run)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return CheckPhantom(dataset=dataset, content=buffer.getvalue(), study_instance_uid=study_uid, sop_instance_uid=instance_uid)


def _mark(dataset: FileDataset, run: str) -> None:
    """The run in the first pixels of the last row, 4 bits in each: dark as the air around them."""
    pixels = dataset.pixel_array.copy()
    pixels[-1, :_DIGITS] = [int(digit, 16) for digit in run[:_DIGITS]]
    dataset.PixelData = pixels.tobytes()
