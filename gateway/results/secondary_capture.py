"""Pages as Secondary Capture images (PS3.3 A.8.1): highdicom's, with the header a radiology viewer needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from gateway.domain.finding import Laterality
from gateway.results import codes, equipment
from gateway.results.evidence import UNICODE, patient_orientation
from gateway.results.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """kind: the result's kind. number: Instance Number. pixels: uint8 (rows, columns, 3) RGB. derivation: coded, or None."""

    kind: str
    number: int
    pixels: npt.NDArray[np.uint8]
    sources: tuple[Dataset, ...]
    lateralities: tuple[Laterality, ...]
    description: str
    derivation: Code | None
    text_suspected: bool
    """Whether its source may show text: then it cannot be said to be free of identity."""


def secondary_capture(plan: Plan, page: Page, *, series_instance_uid: str, sop_instance_uid: str) -> Dataset:
    source, model = page.sources[0], plan.report.model
    image: Dataset = SCImage(
        pixel_array=page.pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=series_instance_uid,
        series_number=plan.settings.sc_series_number,
        sop_instance_uid=sop_instance_uid,
        instance_number=page.number,
        manufacturer=equipment.MANUFACTURER,
        manufacturer_model_name=equipment.MODEL_NAME,
        software_versions=equipment.SOFTWARE_VERSIONS,
        device_serial_number=equipment.SERIAL_NUMBER,
        patient_orientation=("L", "F"),  # required by highdicom, corrected below
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=plan.wording.pages_series(model),
        content_qualification=equipment.content_qualification(model),
        specific_character_set=UNICODE,
        contributing_equipment=[equipment.network_equipment(model, plan.moment, plan.wording.texts.descriptions)],
    )
    image.copy_patient_and_study_information(source)
    equipment.settle_header(image, plan.moment, plan.wording.texts.descriptions)
    _settle_capture(image, plan, page)
    _derivation(image, page)
    return image


def _settle_capture(image: Dataset, plan: Plan, page: Page) -> None:
    """What highdicom fixes or leaves out (PS3.3 C.8.6.1, C.7.6.1)."""
    image.Modality = plan.settings.sc_modality
    image.ConversionType = "WSD"
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = plan.moment.date, plan.moment.time
    orientation = patient_orientation(page.sources[0]) if page.derivation else None
    image.PatientOrientation = list(orientation) if orientation else ""
    # We draw no identity; an overlay shows what its source shows
    burned_in = page.derivation is not None and (page.text_suspected or page.sources[0].get("BurnedInAnnotation") == "YES")
    image.BurnedInAnnotation = "YES" if burned_in else "NO"
    image.RecognizableVisualFeatures = "NO"
    if page.lateralities:
        # What was assessed; the source's own word may be of an unpaired part, which forbids a side (PS3.3 C.7.3.1)
        image.BodyPartExamined = "KNEE"
    _laterality(image, plan, page)


def _laterality(image: Dataset, plan: Plan, page: Page) -> None:
    """Exactly one of the two attributes, and the same one through the series: Laterality belongs to the series."""
    sides = set(page.lateralities)
    known = all(knee.finding.laterality is not Laterality.UNKNOWN for knee in plan.knees)
    if sides and known:
        image.ImageLaterality = next(iter(sides)).value if len(sides) == 1 else "B"
    else:
        image.Laterality = ""


def _derivation(image: Dataset, page: Page) -> None:
    image.DerivationDescription = page.description
    if page.derivation is not None:
        image.DerivationCodeSequence = [CodedConcept.from_code(page.derivation)]
        _lossy_history(image, page.sources[0])
    image.SourceImageSequence = [_source_item(source) for source in _distinct(page.sources)]


def _source_item(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.SOURCE_FOR_PROCESSING)]
    return item


def _distinct(sources: Sequence[Dataset]) -> list[Dataset]:
    return list({str(source.SOPInstanceUID): source for source in sources}.values())


def _lossy_history(image: Dataset, source: Dataset) -> None:
    """Pixels that were once lossy stay so (PS3.3 C.7.6.1.1.5)."""
    if source.get("LossyImageCompression") == "01":
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source:
                image[keyword] = source[keyword]
