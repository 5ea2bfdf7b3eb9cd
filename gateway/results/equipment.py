"""Who made a result: the gateway as equipment, the network as contributing equipment, one time for all of it."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from gateway import __version__
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.domain.finding import ModelIdentity
from gateway.results.moment import Moment
from gateway.results.texts.catalogue import Descriptions

MANUFACTURER: Final = "strnet-gateway"
MODEL_NAME: Final = "strnet-gateway"
SERIAL_NUMBER: Final = "strnet-gateway"
"""Enhanced General Equipment (PS3.3 C.7.5.2) wants one of Type 1; software has none."""
SOFTWARE_VERSIONS: Final = __version__

_LIBRARY_NAME: Final = "highdicom"
_LONG_STRING: Final = 64


def content_qualification(model: ModelIdentity) -> str:
    """PS3.3 C.8.13.2.1.1: PRODUCT only for a network that is meant for clinical use."""
    return "PRODUCT" if model.intended_use == "clinical" else "RESEARCH"


def network_equipment(model: ModelIdentity, moment: Moment, descriptions: Descriptions) -> ContributingEquipment:
    """The network as Processing Equipment with its Device UID (IHE AIR 6.5.3.1), equal to the observer and the algorithm."""
    item = ContributingEquipment(
        manufacturer=long_string(model.manufacturer),
        purpose_of_reference=codes.DCM.ProcessingEquipment,
        manufacturer_model_name=long_string(model.name),
        software_versions=long_string(model.version),
        contribution_datetime=moment.date_time,
        contribution_description=descriptions.contribution,
    )
    item.DeviceUID = model.device_uid
    return item


def long_string(text: str) -> str:
    """A text that LO can hold (PS3.5 6.2)."""
    return text.replace("\\", "/")[:_LONG_STRING]


def settle_header(result: Dataset, moment: Moment, descriptions: Descriptions) -> None:
    """Put the row's time where highdicom put the present, our words where its are, and take the library out of the list of equipment.

    A second Processing Equipment beside the network would leave it open which of the two spoke (IHE AIR table 6.5.3.1-1).
    """
    result.TimezoneOffsetFromUTC = moment.offset
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(result, f"{name}Date", moment.date)
        setattr(result, f"{name}Time", moment.time)
    equipment = [item for item in result.ContributingEquipmentSequence if item.get("ManufacturerModelName") != _LIBRARY_NAME]
    for item in equipment:
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == codes.DCM.AcquisitionEquipment.value:
            item.ContributionDescription = descriptions.acquisition
    if equipment:
        result.ContributingEquipmentSequence = equipment
    else:
        del result.ContributingEquipmentSequence
    result.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    result.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME


def part10(result: Dataset) -> bytes:
    """The complete file (PS3.10 7)."""
    buffer = BytesIO()
    dcmwrite(buffer, result, enforce_file_format=True)
    return buffer.getvalue()
