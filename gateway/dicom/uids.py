"""UIDs: ours, the accepted ones, and the deterministic ones of results."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Final

from pydicom.uid import (
    JPEG2000,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

_NAMESPACE: Final = uuid.UUID("8f0f3f0a-5a7b-5c1e-9d0e-6f2b7a4c1d20")

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model (PS3.4 J)."""
STORAGE_COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""Its well-known instance."""
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model, FIND (PS3.4 C)."""

IMPLEMENTATION_CLASS_UID: Final = "2.25.195952687056314970146102025054514215619"
IMPLEMENTATION_VERSION_NAME: Final = "STRNET_GW_010"
"""PS3.5 6.2 SH: at most 16 characters."""

CR: Final = str(ComputedRadiographyImageStorage)
DX: Final = str(DigitalXRayImageStorageForPresentation)
DX_FOR_PROCESSING: Final = str(DigitalXRayImageStorageForProcessing)

ACCEPTED_SOP_CLASSES: Final[tuple[str, ...]] = tuple(
    str(uid)
    for uid in (
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
        SecondaryCaptureImageStorage,
        MRImageStorage,
        CTImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
        KeyObjectSelectionDocumentStorage,
    )
)
"""design.md section 6: what was routed wrongly is recorded, not refused."""

SECONDARY_CAPTURE: Final = str(SecondaryCaptureImageStorage)
KEY_OBJECT_SELECTION: Final = str(KeyObjectSelectionDocumentStorage)
"""Of rejection notes (IHE IOCM)."""

RESULT_SOP_CLASSES: Final = frozenset(
    {
        SECONDARY_CAPTURE,
        KEY_OBJECT_SELECTION,
        *(str(uid) for uid in (ComprehensiveSRStorage, Comprehensive3DSRStorage, EnhancedSRStorage)),
    }
)
"""What results are made in; of these only Secondary Capture is accepted at negotiation."""

ASSESSABLE_SOP_CLASSES: Final = frozenset({CR, DX})

ACCEPTED_TRANSFER_SYNTAXES: Final[tuple[str, ...]] = tuple(
    str(uid)
    for uid in (
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        JPEGLosslessSV1,
        JPEGLossless,
        JPEGLSLossless,
        JPEG2000Lossless,
        JPEG2000,
        RLELossless,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
    )
)
"""Explicit VR Big Endian and Deflated are refused at negotiation: retired, and a way to send a compression bomb."""
_WITHOUT_PIXELS: Final = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


def accepted_syntaxes(sop_class_uid: str) -> tuple[str, ...]:
    """Those that a class is accepted in: what has no pixels is not compressed."""
    return _WITHOUT_PIXELS if sop_class_uid == KEY_OBJECT_SELECTION else ACCEPTED_TRANSFER_SYNTAXES


_MAX_LENGTH: Final = 64
_FORM = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def is_legal(uid: str) -> bool:
    """PS3.5 9.1: components without leading zeros, at most 64 characters."""
    return len(uid) <= _MAX_LENGTH and _FORM.fullmatch(uid) is not None


def derived_uid(parts: Iterable[str]) -> str:
    """`2.25.` + uuid5 over the parts: the same parts give the same UID on every machine (PS3.5 B.2)."""
    name = "\x1f".join(parts)
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"
