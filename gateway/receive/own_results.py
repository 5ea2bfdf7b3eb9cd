"""Results of a gateway that come back (a PACS that routes whole studies does that): acknowledged, never kept, never queued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from gateway.config import Settings
from gateway.dicom.attributes import is_made_by_us
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, KEY_OBJECT_SELECTION, RESULT_SOP_CLASSES

EQUIPMENT: Final = "equipment"
IMPLEMENTATION: Final = "implementation_class_uid"
OWN_TITLE: Final = "ae_title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What an association says of who sends. implementation_class_uid: PS3.7 D.3.3.2, empty when it gave none."""

    calling_ae_title: str = ""
    implementation_class_uid: str = ""


def own_ae_titles(settings: Settings) -> frozenset[str]:
    """Those under which the gateway listens and sends."""
    return frozenset({settings.receiver.ae_title, *(destination.calling_ae_title for destination in settings.destinations)})


def own_sign(dataset: Dataset, sop_class_uid: str, sender: Sender, own_titles: frozenset[str]) -> str | None:
    """What gives a result of a gateway away where its UID is not in the store; None = it is somebody else's.

    Only in the SOP classes that results have: a radiograph is kept, whatever its sender calls itself. A Key Object Selection must say
    so itself: a rejection that is taken for our own would be lost.
    """
    if sop_class_uid not in RESULT_SOP_CLASSES:
        return None
    if is_made_by_us(dataset):
        return EQUIPMENT
    if sop_class_uid == KEY_OBJECT_SELECTION:
        return None
    if sender.implementation_class_uid == IMPLEMENTATION_CLASS_UID:
        return IMPLEMENTATION
    return OWN_TITLE if sender.calling_ae_title in own_titles else None
