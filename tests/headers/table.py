"""The table: attributes of a hospital's header, each with the values that were met or must be expected, and what a result makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from .characters import SPELLINGS, Spelling
from .raw import RawHeader

Write = Callable[[RawHeader, Spelling], None]
Reads = Mapping[str, str | Callable[[Spelling], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """write: lays the value into the header. reads: what a result must say, by keyword; "" is an empty or absent attribute."""

    write: Write
    reads: Reads = field(default_factory=dict)


def _set(reads: Reads | None = None, **values: bytes | None) -> Choice:
    """None: the attribute is absent."""

    def write(header: RawHeader, _spelling: Spelling) -> None:
        for keyword, value in values.items():
            if value is None:
                header.values.pop(keyword, None)
            else:
                header.values[keyword] = value

    return Choice(write=write, reads=reads or {})


def _native(keyword: str, change: Callable[[Spelling], bytes], reads: Callable[[Spelling], str]) -> Choice:
    """A value in the header's own characters."""

    def write(header: RawHeader, spelling: Spelling) -> None:
        header.values[keyword] = change(spelling)

    return Choice(write=write, reads={keyword: reads})


def _one(keyword: str, value: bytes | None, read: str | None = None) -> Choice:
    """One value. read: what a result says; by default the same, or nothing for an absent one."""
    return _set({keyword: (value or b"").decode() if read is None else read}, **{keyword: value})


def _also(*writes: Write) -> Choice:
    def write(header: RawHeader, spelling: Spelling) -> None:
        for one in writes:
            one(header, spelling)

    return Choice(write=write)


def _unusual_representations(header: RawHeader, _spelling: Spelling) -> None:
    header.private = [(0x0009, 0x0010, "LO", b"VENDOR"), (0x0009, 0x1001, "UN", b"\x01\x02"), (0x0009, 0x1002, "PN", b"Private^Name")]
    header.vrs |= {"StationName": "UN", "PatientName": "LO", "PatientID": "SH", "StudyDate": "LO", "Rows": "UN"}


def _sequences(header: RawHeader, spelling: Spelling) -> None:
    """Empty, incomplete, and in a character set of their own."""
    header.values["ReferencedStudySequence"] = []
    header.values["ReferencedPatientSequence"] = [{"ReferencedSOPClassUID": b""}]
    header.values["ProcedureCodeSequence"] = [{"CodeValue": b"K1", "CodeMeaning": spelling.text}, {"CodeMeaning": spelling.text}]
    header.values["RequestAttributesSequence"] = [
        {"SpecificCharacterSet": b"ISO_IR 192", "RequestedProcedureDescription": "膝".encode(), "RequestedProcedureID": b"R" * 20}
    ]
    header.values["OtherPatientIDsSequence"] = [{"PatientID": b"X" * 80}]
    header.values["IssuerOfPatientIDQualifiersSequence"] = [{"UniversalEntityID": b"1.2.3"}]


_LONG_NAME: Final = b"^".join([b"N" * 40, b"M" * 40])
_OF_THE_NAME: Final = _native("PatientName", lambda s: s.name, lambda s: s.read_name)

TABLE: Final[dict[str, dict[str, Choice]]] = {
    "characters": {name: _set(SpecificCharacterSet=spelling.term) for name, spelling in SPELLINGS.items()},
    "SOP class": {
        "CR": _set(SOPClassUID=b"1.2.840.10008.5.1.4.1.1.1", Modality=b"CR", PresentationIntentType=None),
        "DX": _set(SOPClassUID=b"1.2.840.10008.5.1.4.1.1.1.1", Modality=b"DX", PresentationIntentType=b"FOR PRESENTATION"),
    },
    "name": {
        "given": _OF_THE_NAME,
        "absent": _one("PatientName", None),
        # legal where only the validator errs, which counts the bytes of all groups together
        "over 64 characters": _one("PatientName", _LONG_NAME + b"=" + b"I" * 70, f"{'N' * 40}^{'M' * 23}={'I' * 64}"),
        "two values": _native("PatientName", lambda s: s.name + b"\\Other^Name", lambda s: s.read_name),
        "too many delimiters": _one("PatientName", b"a^b^c^d^e^f=g=h=i", "a^b^c^d^e f=g=h"),
    },
    "patient id": {
        "given": _one("PatientID", b"PID-7781"),
        "absent": _one("PatientID", None),
        "over 64 characters": _one("PatientID", b"P" * 70, ""),
        "two values": _one("PatientID", b"PID-7781\\PID-9", ""),
        "own characters": _native("PatientID", lambda s: b" " + s.text + b" \0", lambda s: s.read_text),
    },
    "accession number": {
        "given": _one("AccessionNumber", b"ACC-4711"),
        "absent": _one("AccessionNumber", None),
        "over 16 characters": _one("AccessionNumber", b"202103040000004711", ""),
        "two values": _one("AccessionNumber", b"ACC-1\\ACC-2", ""),
        "line break": _one("AccessionNumber", b"ACC-4711\r\n", "ACC-4711"),
    },
    "study id": {
        "given": _one("StudyID", b"S1"),
        "absent": _one("StudyID", None),
        "empty": _one("StudyID", b""),
        "over 16 characters": _one("StudyID", b"S" * 20, ""),
        "two values": _one("StudyID", b"S1\\S2", ""),
    },
    "sex": {
        "given": _one("PatientSex", b"F"),
        "absent": _one("PatientSex", None),
        "other": _one("PatientSex", b"O"),
        "W": _one("PatientSex", b"W", ""),
        "two values": _one("PatientSex", b"F\\M", ""),
    },
    "birth date": {
        "given": _one("PatientBirthDate", b"19540203"),
        "absent": _one("PatientBirthDate", None),
        "year only": _one("PatientBirthDate", b"1954", ""),
        "30 February": _one("PatientBirthDate", b"19540230", ""),
        "two values": _one("PatientBirthDate", b"19540203\\19540204", ""),
    },
    "age": {
        "given": _one("PatientAge", b"067Y"),
        "absent": _one("PatientAge", None),
        "without unit": _one("PatientAge", b"67", ""),
        "with J": _one("PatientAge", b"067J", ""),
    },
    "study date": {
        "given": _one("StudyDate", b"20210304"),
        "absent": _one("StudyDate", None),
        "dotted": _one("StudyDate", b"2021.03.04", ""),
        "two values": _one("StudyDate", b"20210304\\20210305", ""),
        "range": _one("StudyDate", b"20210304-20210305", ""),
    },
    "study time": {
        "given": _one("StudyTime", b"101500.123"),
        "absent": _one("StudyTime", None),
        "colons": _one("StudyTime", b"10:15:00", ""),
        "past midnight": _one("StudyTime", b"259900", ""),
        "two values": _one("StudyTime", b"101500\\101600", ""),
    },
    "orientation": {
        "given": _set(PatientOrientation=b"L\\F"),
        "absent": _set(PatientOrientation=None),
        "three directions": _set(PatientOrientation=b"LFP\\F"),
        "one value": _set(PatientOrientation=b"L"),
        "not a direction": _set(PatientOrientation=b"X\\Y"),
    },
    "spacing": {
        "given": _set(ImagerPixelSpacing=b"0.15\\0.15"),
        "absent": _set(ImagerPixelSpacing=None),
        "zero": _set(ImagerPixelSpacing=b"0\\0"),
        "words": _set(ImagerPixelSpacing=b"0,15\\0,15"),
        "calibration without its description": _set(PixelSpacing=b"0.15\\0.15", PixelSpacingCalibrationType=b"GEOMETRY"),
    },
    "sides": {
        "image": _set(ImageLaterality=b"R"),
        "series": _set(Laterality=b"R"),
        "both": _set(ImageLaterality=b"R", Laterality=b"R"),
        "neither": _set(),
        "not a side": _set(ImageLaterality=b"right", Laterality=b"U"),
    },
    "lossy": {
        "never": _set(LossyImageCompression=b"00"),
        "whole history": _set(LossyImageCompression=b"01", LossyImageCompressionRatio=b"12.5", LossyImageCompressionMethod=b"ISO_10918_1"),
        "two steps": _set(
            LossyImageCompression=b"01", LossyImageCompressionRatio=b"4\\8", LossyImageCompressionMethod=b"ISO_10918_1\\ISO_15444_1"
        ),
        "without ratio": _set(LossyImageCompression=b"01"),
        "not a code": _set(LossyImageCompression=b"YES", LossyImageCompressionRatio=b"high", LossyImageCompressionMethod=b"jpeg 90%"),
    },
    "descriptions": {
        "own characters": _native("StudyDescription", lambda s: s.text, lambda s: s.read_text),
        "absent": _one("StudyDescription", None),
        "over 64 characters": _one("StudyDescription", b"x" * 90, ""),
        "two values": _one("StudyDescription", b"Knee\\AP", ""),
        "line breaks": _one("StudyDescription", b"Knee\r\nAP\tright", "Knee AP right"),
    },
    "referring physician": {
        "given": _native("ReferringPhysicianName", lambda s: s.name, lambda s: s.read_name),
        "absent": _one("ReferringPhysicianName", None),
        "two values": _one("ReferringPhysicianName", b"One^A\\Two^B", "One^A"),
        "over 64 characters": _one("ReferringPhysicianName", b"R" * 70, "R" * 64),
    },
    "patient study": {
        "given": _set(PatientSize=b"1.62", PatientWeight=b"58"),
        "words": _set(PatientSize=b"162 cm", PatientWeight=b"fifty"),
        "two values": _set(PatientSize=b"1.62\\1.63", PatientWeight=b"58\\59"),
        "too many digits": _set(PatientSize=b"1.62000000000000000001", PatientWeight=b"1e400"),
    },
    "equipment": {
        "given": _set(Manufacturer=b"Synthetic", InstitutionName=b"Hospital", StationName=b"ROOM1"),
        "own characters": _also(
            lambda header, s: header.values.update(InstitutionName=s.text, InstitutionalDepartmentName=s.text, StationName=s.text)
        ),
        "absent": _set(Manufacturer=None, ManufacturerModelName=None, StationName=None),
        "over 64 characters": _set(Manufacturer=b"M" * 80, ManufacturerModelName=b"N" * 80, SoftwareVersions=b"1" * 80 + b"\\2"),
    },
    "numbers": {
        "given": _set(SeriesNumber=b"1", InstanceNumber=b"1"),
        "absent": _set(SeriesNumber=None, InstanceNumber=None),
        "words": _set(SeriesNumber=b"one", InstanceNumber=b"1a"),
        "too large": _set(SeriesNumber=b"99999999999", InstanceNumber=b"1\\2"),
    },
    "beside it": {
        "nothing": _set(),
        "private and unknown representations": _also(_unusual_representations),
        "of animals": _set(PatientSpeciesDescription=b"Human", ResponsiblePersonRole=b"", PatientBreedDescription=b""),
        "sequences": _also(_sequences),
        "odd codes": _set(
            TimezoneOffsetFromUTC=b"+9900",
            PatientSexNeutered=b"",
            EthnicGroup=b"x" * 20,
            IssuerOfPatientID=b"H" * 70,
            Occupation=b"a\\b",
            OtherPatientIDs=b"A" * 70 + b"\\B",
            PregnancyStatus=b"\x09\x00",
            SmokingStatus=b"no",
            BurnedInAnnotation=b"perhaps",
            PatientIdentityRemoved=b"YES",
            ClinicalTrialProtocolID=b"P1",
        ),
    },
}
