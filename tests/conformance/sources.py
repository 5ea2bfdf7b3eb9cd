"""Synthetic CR and DX instances: headers, and a drawn knee as presentation values. No patient was ever near them."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation

from gateway.results.evidence import SourceInstance

STUDY = "2.25.1000"
ROWS, COLUMNS = 480, 400


def cr_header(number: int = 1, *, study: str = STUDY) -> Dataset:
    """A complete CR header (PS3.3 A.2)."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = ComputedRadiographyImageStorage
    header.SOPInstanceUID = f"{study}.1.{number}"
    header.StudyInstanceUID = study
    header.SeriesInstanceUID = f"{study}.1"
    header.PatientName, header.PatientID = "Müller^Änne^^Dr", "PID-7781"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19540203", "F", "067Y"
    header.StudyID, header.AccessionNumber = "S1", "ACC-4711"
    header.StudyDate, header.StudyTime = "20210304", "101500"
    header.ReferringPhysicianName = "Referrer^Rita"
    header.StudyDescription = "Knee AP"
    header.Modality, header.SeriesNumber, header.InstanceNumber = "CR", 1, number
    header.BodyPartExamined, header.ViewPosition, header.Laterality = "KNEE", "AP", "R"
    header.Manufacturer, header.ManufacturerModelName, header.StationName = "Synthetic", "Drawn knee", "ROOM1"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.Rows, header.Columns = ROWS, COLUMNS
    header.PatientOrientation = ["L", "F"]
    header.ImagerPixelSpacing = [0.15, 0.15]
    return header


def dx_header(number: int = 1, *, study: str = STUDY) -> Dataset:
    """A DX header (PS3.3 A.26): codes for anatomy and view, side in the image."""
    header = cr_header(number, study=study)
    header.SOPClassUID = DigitalXRayImageStorageForPresentation
    header.Modality = "DX"
    del header.Laterality
    header.ImageLaterality = "R"
    header.PresentationIntentType = "FOR PRESENTATION"
    header.PatientSize, header.PatientWeight = "1.62", "58"
    return header


def bare_header(number: int = 1, *, modality: str = "CR") -> Dataset:
    """What an old modality sends: Type 2 attributes missing altogether, none of the geometry."""
    header = cr_header(number) if modality == "CR" else dx_header(number)
    for keyword in (
        "SpecificCharacterSet",
        "StudyID",
        "AccessionNumber",
        "StudyTime",
        "PatientBirthDate",
        "PatientSex",
        "PatientOrientation",
        "ImagerPixelSpacing",
        "Manufacturer",
        "ReferringPhysicianName",
    ):
        if keyword in header:
            delattr(header, keyword)
    header.PatientName = "Plain^Name"
    return header


def drawn_knee(rows: int = ROWS, columns: int = COLUMNS, *, knees: int = 1) -> np.ndarray:
    """uint8 (rows, columns): per knee a bright femur over a bright tibia with a dark joint gap, in grey soft tissue."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    image = np.full((rows, columns), 12, dtype=np.float32)
    for index in range(knees):
        centre = columns * (index + 0.5) / knees
        width = columns / knees
        offset = np.abs(x - centre) / width
        image = np.maximum(image, 90 * np.clip(1.4 - 3.2 * offset, 0, 1))
        flare = 0.16 + 0.12 * np.exp(-(((y - rows / 2) / (rows * 0.13)) ** 2))
        bone = np.clip((flare - offset) * 18, 0, 1) * (190 - 50 * (1 - offset / flare).clip(0, 1))
        gap = np.clip(np.abs(y - rows / 2) / (rows * 0.018) - 0.6, 0, 1)
        image = np.maximum(image, bone * gap)
    texture = np.sin(x * 0.55) * np.sin(y * 0.4) * 5
    return (image + texture).clip(0, 255).astype(np.uint8)


def source(header: Dataset, *, knees: int = 1) -> SourceInstance:
    return SourceInstance(dataset=header, presentation=drawn_knee(int(header.Rows), int(header.Columns), knees=knees))
