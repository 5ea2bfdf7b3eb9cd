"""What a result takes over from the header of its source: who, which study, which device; nothing that it does not need."""

from __future__ import annotations

from typing import Final

TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Patient and General Study attributes that a result must carry, if only empty (PS3.3 C.7.1.1, C.7.2.1)."""

INHERITED: Final = frozenset(
    {
        *TYPE_2,
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "StudyInstanceUID",
        # patient and study (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2)
        "IssuerOfPatientID",
        "OtherPatientIDs",
        "OtherPatientNames",
        "PatientAge",
        "PatientBirthTime",
        "PatientSize",
        "PatientWeight",
        "PhysiciansOfRecord",
        "RequestingService",
        "StudyDescription",
        "TimezoneOffsetFromUTC",
        # the device, as Contributing Equipment
        "AcquisitionDate",
        "AcquisitionDateTime",
        "AcquisitionTime",
        "DeviceSerialNumber",
        "InstitutionAddress",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "Manufacturer",
        "ManufacturerModelName",
        "SoftwareVersions",
        "StationName",
        # the image, for region, overlay and its history
        "BurnedInAnnotation",
        "Columns",
        "ImagerPixelSpacing",
        "LossyImageCompression",
        "LossyImageCompressionMethod",
        "LossyImageCompressionRatio",
        "Modality",
        "PatientOrientation",
        "Rows",
    }
)

_REFERENCE: Final = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
_ENTITY: Final = ("UniversalEntityID", "UniversalEntityIDType")

INHERITED_ITEMS: Final = {
    "IssuerOfAccessionNumberSequence": _ENTITY,
    "IssuerOfPatientIDQualifiersSequence": _ENTITY,
    "OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID"),
    "ProcedureCodeSequence": ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    "ReferencedPatientSequence": _REFERENCE,
    "ReferencedStudySequence": _REFERENCE,
}
"""Sequences, and what is taken of each item: all of it, else the item stays behind (their macros make each of them mandatory)."""

ENUMERATED: Final = {
    "BurnedInAnnotation": frozenset({"YES", "NO"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "PatientSex": frozenset({"M", "F", "O"}),
    "TypeOfPatientID": frozenset({"TEXT", "RFID", "BARCODE"}),
    "UniversalEntityIDType": frozenset({"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"}),
}
"""Values that the standard lists in full."""
