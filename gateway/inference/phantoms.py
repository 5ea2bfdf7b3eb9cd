"""Synthetic knee radiographs as DX objects, for the demonstration, the tests and the self-test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from gateway.dicom.uids import DX, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derived_uid
from strnet_core.phantom import PhantomParameters, draw

_VIEWS: Final = {
    "ap": ("AP", "399348003", "antero-posterior"),
    "lateral": ("LL", "399067008", "lateral projection"),
    "chest": ("PA", "272479007", "postero-anterior"),
}
_REGIONS: Final = {"ap": ("KNEE", "72696002", "Knee"), "lateral": ("KNEE", "72696002", "Knee"), "chest": ("CHEST", "51185008", "Chest")}
_PIXEL_SPACING_MM: Final = "0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomStudy:
    """Who the phantom is of. Every UID is derived from `seed` and `number`: the same study twice is the same study."""

    seed: int
    number: int
    patient_name: str
    patient_id: str
    birth_date: str
    sex: Literal["M", "F"]
    taken_at: datetime
    accession_number: str


def phantom_instance(study: PhantomStudy, parameters: PhantomParameters, *, instance_number: int) -> FileDataset:
    """A whole DX Image Storage - For Presentation object (PS3.3 A.26) in Explicit VR Little Endian, 12 bits stored."""
    key = ("phantom", str(study.seed), str(study.number))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(DX)
    meta.MediaStorageSOPInstanceUID = UID(derived_uid((*key, "instance", str(instance_number))))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\x00" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = UID(derived_uid((*key, "study")))
    dataset.SeriesInstanceUID = UID(derived_uid((*key, "series", str(instance_number))))
    dataset.InstanceNumber = instance_number
    _describe_patient(dataset, study)
    _describe_image(dataset, parameters)
    _add_pixels(dataset, parameters, study.seed + 1000 * study.number + instance_number)
    return dataset


def _describe_patient(dataset: Dataset, study: PhantomStudy) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = study.patient_name
    dataset.PatientID = study.patient_id
    dataset.PatientBirthDate = study.birth_date
    dataset.PatientSex = study.sex
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = study.taken_at.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = study.taken_at.strftime("%H%M%S")
    dataset.AccessionNumber = study.accession_number
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = str(study.number)
    dataset.Manufacturer = "strnet-gateway phantom"
    dataset.ManufacturerModelName = "phantom"
    dataset.StationName = "PHANTOM"


def _describe_image(dataset: Dataset, parameters: PhantomParameters) -> None:
    body_part, region_code, region_meaning = _REGIONS[parameters.view]
    position, view_code, view_meaning = _VIEWS[parameters.view]
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = f"phantom {parameters.view}"
    dataset.BodyPartExamined = body_part
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.ViewPosition = position
    dataset.ImageLaterality = _laterality(parameters)
    dataset.PatientOrientation = ["L", "F"] if parameters.view != "lateral" else ["A", "F"]
    dataset.AnatomicRegionSequence = Sequence([_code(region_code, region_meaning)])
    view = _code(view_code, view_meaning)
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.DetectorType = "DIRECT"
    dataset.PositionerType = "NONE"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.ImagerPixelSpacing = [_PIXEL_SPACING_MM, _PIXEL_SPACING_MM]


def _laterality(parameters: PhantomParameters) -> str:
    if parameters.view == "chest":
        return "U"
    return "B" if parameters.knees > 1 else parameters.side


def _add_pixels(dataset: Dataset, parameters: PhantomParameters, seed: int) -> None:
    pixels = draw(parameters, seed)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.WindowCenter, dataset.WindowWidth = "2047.5", "4096"
    dataset.PixelData = pixels.astype("<u2").tobytes()


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def phantom_parameters(**choices: object) -> PhantomParameters:
    """The drawing's parameters, for callers that must not know strnet_core."""
    return PhantomParameters(**choices)  # type: ignore[arg-type]
