"""What a C-STORE is answered (PS3.4 B.2.3, PS3.7 C): situation -> status and comment. Comments hold no patient data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dicom.part10 import Defect, DefectiveDatasetError
from gateway.errors import DatabaseUnavailableError, GatewayError, SpoolError

SUCCESS: Final = 0x0000


@dataclass(frozen=True, slots=True)
class Answer:
    """status: (0000,0900). comment: (0000,0902), at most 64 characters. reason: the code in the receipt."""

    status: int
    comment: str
    reason: str


SPOOL_FAILED: Final = Answer(0xA700, "Storage failed; send again later", "spool_failed")
DATABASE_FAILED: Final = Answer(0xA700, "Database unavailable; send again later", "database_failed")
UID_MISMATCH: Final = Answer(0xA900, "UIDs of data set and command differ", "uid_mismatch")
CLASS_NOT_NEGOTIATED: Final = Answer(0x0122, "SOP class is not the negotiated one", "class_not_negotiated")
TOO_LONG: Final = Answer(0xC007, "Data set longer than this receiver takes", "too_long")
INTERNAL: Final = Answer(0x0110, "Internal error; send again later", "internal_error")

_DEFECTS: Final[dict[Defect, Answer]] = {
    Defect.UNREADABLE: Answer(0xC001, "Data set cannot be read", Defect.UNREADABLE),
    Defect.UID_MISSING: Answer(0xC002, "A SOP, series or study UID is missing", Defect.UID_MISSING),
    Defect.UID_ILLEGAL: Answer(0xC003, "A UID is not of legal form", Defect.UID_ILLEGAL),
    Defect.PIXEL_DATA_MISSING: Answer(0xC004, "Pixel data missing", Defect.PIXEL_DATA_MISSING),
    Defect.PIXEL_DATA_TRUNCATED: Answer(0xC005, "Pixel data shorter than the header says", Defect.PIXEL_DATA_TRUNCATED),
    Defect.PIXEL_DESCRIPTION: Answer(0xC006, "Pixel description and pixel data disagree", Defect.PIXEL_DESCRIPTION),
}


def answer_for(error: GatewayError) -> Answer:
    """The answer that an error is translated to, once, at the edge."""
    if isinstance(error, DefectiveDatasetError):
        return _DEFECTS[error.defect]
    if isinstance(error, SpoolError):
        return SPOOL_FAILED
    if isinstance(error, DatabaseUnavailableError):
        return DATABASE_FAILED
    return INTERNAL
