"""Synthetic knee radiographs as DX objects, for the demonstration and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydicom.dataset import FileDataset

from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derived_uid
from strnet_core.phantom import PhantomParameters, draw
from strnet_core.phantom.dx import DxPlace, DxSubject, DxView, dx_object

IMPLEMENTATION: Final = (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
_PIXEL_SPACING_MM: Final = 0.2


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
    return dx_object(
        draw(parameters, study.seed + 1000 * study.number + instance_number),
        view=DxView(view=parameters.view, laterality=_laterality(parameters), pixel_spacing_mm=_PIXEL_SPACING_MM),
        subject=DxSubject(
            patient_name=study.patient_name, patient_id=study.patient_id, birth_date=study.birth_date, sex=study.sex, age_years=None
        ),
        place=DxPlace(
            study_instance_uid=derived_uid((*key, "study")),
            series_instance_uid=derived_uid((*key, "series", str(instance_number))),
            sop_instance_uid=derived_uid((*key, "instance", str(instance_number))),
            instance_number=instance_number,
            study_id=str(study.number),
            accession_number=study.accession_number,
            taken_at=study.taken_at,
        ),
        implementation=IMPLEMENTATION,
    )


def _laterality(parameters: PhantomParameters) -> Literal["R", "L", "B", "U"]:
    if parameters.view == "chest":
        return "U"
    return "B" if parameters.knees > 1 else parameters.side


def phantom_parameters(**choices: object) -> PhantomParameters:
    """The drawing's parameters, for callers that must not know strnet_core."""
    return PhantomParameters(**choices)  # type: ignore[arg-type]
