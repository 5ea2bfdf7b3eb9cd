"""Phantoms as DX objects (PS3.3 A.26): legal ones, of people who do not exist."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from strnet_core.phantom.parameters import MAX_VALUE, View

_VIEWS: Final = {
    "ap": ("AP", "399348003", "antero-posterior"),
    "lateral": ("LL", "399067008", "lateral projection"),
    "chest": ("PA", "272479007", "postero-anterior"),
}
_REGIONS: Final = {"ap": ("KNEE", "72696002", "Knee"), "lateral": ("KNEE", "72696002", "Knee"), "chest": ("CHEST", "51185008", "Chest")}
_NAMESPACE: Final = uuid.UUID("4f2f1c52-58a1-5b0c-8a52-0a6a4b1c7d11")


@dataclass(frozen=True, slots=True, kw_only=True)
class DxSubject:
    """Whom the phantom is said to be of. patient_name in DICOM's form, birth_date as YYYYMMDD."""

    patient_name: str
    patient_id: str
    birth_date: str
    sex: Literal["M", "F"]
    age_years: int | None = None
    size_m: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DxPlace:
    """Where the object belongs."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    instance_number: int
    study_id: str
    accession_number: str
    taken_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DxView:
    """What the picture shows. laterality: of the image, B = both."""

    view: View
    laterality: Literal["R", "L", "B", "U"]
    pixel_spacing_mm: float


def phantom_uid(parts: Iterable[str]) -> str:
    """`2.25.` + uuid5 over the parts (PS3.5 B.2): the same parts give the same UID."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0x1F).join(parts)).int}"


IMPLEMENTATION: Final = (phantom_uid(("implementation",)), "STRNET_PHANTOM")


def dx_object(
    pixels: npt.NDArray[np.uint16], *, view: DxView, subject: DxSubject, place: DxPlace, implementation: tuple[str, str] = IMPLEMENTATION
) -> FileDataset:
    """A whole DX Image Storage - For Presentation object in Explicit VR Little Endian.

    pixels: (rows, columns) uint16, 0..4095, MONOCHROME2. implementation: class UID and version name of who writes the file.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(place.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(implementation[0]), implementation[1]
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\x00" * 128)
    _identify(dataset, place)
    _describe_subject(dataset, subject)
    _describe_image(dataset, view)
    _add_pixels(dataset, pixels)
    return dataset


def _identify(dataset: Dataset, place: DxPlace) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = UID(place.sop_instance_uid)
    dataset.StudyInstanceUID = UID(place.study_instance_uid)
    dataset.SeriesInstanceUID = UID(place.series_instance_uid)
    dataset.InstanceNumber, dataset.SeriesNumber = place.instance_number, 1
    dataset.StudyID, dataset.AccessionNumber = place.study_id, place.accession_number
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = place.taken_at.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = place.taken_at.strftime("%H%M%S")
    dataset.ReferringPhysicianName = ""


def _describe_subject(dataset: Dataset, subject: DxSubject) -> None:
    dataset.PatientName = subject.patient_name
    dataset.PatientID = subject.patient_id
    dataset.PatientBirthDate = subject.birth_date
    dataset.PatientSex = subject.sex
    if subject.age_years is not None:
        dataset.PatientAge = f"{subject.age_years:03d}Y"
    if subject.size_m is not None:
        dataset.PatientSize = f"{subject.size_m:.10g}"
    if subject.weight_kg is not None:
        dataset.PatientWeight = f"{subject.weight_kg:.10g}"


def _describe_image(dataset: Dataset, view: DxView) -> None:
    body_part, region_code, region_meaning = _REGIONS[view.view]
    position, view_code, view_meaning = _VIEWS[view.view]
    dataset.Manufacturer = "strnet-gateway phantom"
    dataset.ManufacturerModelName = "phantom"
    dataset.StationName = "PHANTOM"
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.SeriesDescription = f"phantom {view.view}"
    dataset.BodyPartExamined = body_part
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.ViewPosition = position
    dataset.ImageLaterality = view.laterality
    dataset.PatientOrientation = ["L", "F"] if view.view != "lateral" else ["A", "F"]
    dataset.AnatomicRegionSequence = Sequence([_code(region_code, region_meaning)])
    coded = _code(view_code, view_meaning)
    coded.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([coded])
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.DetectorType = "DIRECT"
    dataset.PositionerType = "NONE"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    spacing = f"{view.pixel_spacing_mm:.4g}"
    dataset.ImagerPixelSpacing = [spacing, spacing]


def _add_pixels(dataset: Dataset, pixels: npt.NDArray[np.uint16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.WindowCenter, dataset.WindowWidth = str(MAX_VALUE / 2.0), str(MAX_VALUE + 1)
    dataset.PixelData = pixels.astype("<u2").tobytes()


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
