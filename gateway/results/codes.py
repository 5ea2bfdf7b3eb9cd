"""Coded concepts of results: public ones by name, and the private scheme 99STRNET (reference: PS3.16 8.2)."""

from __future__ import annotations

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.coding import Code

from gateway.results.texts import Texts

PRIVATE_SCHEME: Final = "99STRNET"


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


FLAGGED: Final = _private("LBD-FLAG", "Possible low bone density (AI screening)")
NOT_FLAGGED: Final = _private("LBD-NOFLAG", "Not flagged by AI screening; does not exclude low bone density")
SEVERITY_UPPER: Final = _private("SEV-UPPER", "AI severity score reaches its threshold")
SEVERITY_LOWER: Final = _private("SEV-LOWER", "AI severity score does not reach its threshold")
THRESHOLD: Final = _private("TAU", "AI score threshold")
INPUTS: Final = _private("INPUTS", "Clinical variables used")
DISCLAIMER: Final = _private("DISCL", "Disclaimer")

SCORE_UNIT: Final = Code("{score}", "UCUM", "score")
T_SCORE_UNIT: Final = Code("{Tscore}", "UCUM", "T-score")
PIXELS: Final = Code("{pixels}", "UCUM", "Pixels")
MILLIMETRES: Final = Code("mm", "UCUM", "mm")

IMAGING_MEASUREMENT_REPORT: Final = _dcm("126000", "Imaging Measurement Report")
PROCEDURE_REPORTED: Final = _dcm("121058", "Procedure reported")
IMAGING_PROCEDURE: Final = _sct("363679005", "Imaging procedure")
"""The XR codes of today's CID 100 are newer than the validators' tables."""
DEVICE: Final = _dcm("121007", "Device")
IMAGE_LIBRARY: Final = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP: Final = _dcm("126200", "Image Library Group")
IMAGING_MEASUREMENTS: Final = _dcm("126010", "Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
SOURCE: Final = _sct("260753009", "Source")
MODALITY: Final = _dcm("121139", "Modality")
PIXEL_ROWS: Final = _dcm("110910", "Pixel Data Rows")
PIXEL_COLUMNS: Final = _dcm("110911", "Pixel Data Columns")
ORIENTATION_ROW: Final = _dcm("111044", "Patient Orientation Row")
ORIENTATION_COLUMN: Final = _dcm("111043", "Patient Orientation Column")
SPACING_HORIZONTAL: Final = _dcm("111026", "Horizontal Pixel Spacing")
SPACING_VERTICAL: Final = _dcm("111066", "Vertical Pixel Spacing")
KNEE_JOINT: Final = _sct("49076000", "Knee joint")
RIGHT: Final = _sct("24028007", "Right")
LEFT: Final = _sct("7771000", "Left")
ARTIFICIAL_INTELLIGENCE: Final = _dcm("123110", "Artificial Intelligence")
VISUAL_EXPLANATION: Final = _dcm("130401", "Visual explanation")
GRAD_CAM: Final = _dcm("130403", "Gradient-weighted class activation")
SOURCE_FOR_PROCESSING: Final = _dcm("121322", "Source image for image processing operation")
PROCESSING_SUMMARY: Final = _dcm("111017", "CAD Processing and Findings Summary")
SUCCEEDED_WITH_FINDINGS: Final = _dcm("111242", "All algorithms succeeded; with findings")
SUCCEEDED_WITHOUT_FINDINGS: Final = _dcm("111241", "All algorithms succeeded; without findings")
PARTLY_WITHOUT_FINDINGS: Final = _dcm("111243", "Not all algorithms succeeded; without findings")
PARTLY_WITH_FINDINGS: Final = _dcm("111244", "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED: Final = _dcm("111245", "No algorithms succeeded; without findings")
SUMMARY: Final = _dcm("121111", "Summary")
QUALITY_FINDING: Final = _dcm("111052", "Quality Finding")


_KINDS: Final = {"ineligible": "I", "quality": "Q", "excluded": "X", "failed": "F"}
_SHORTER: Final = {"body_part_unknown": "body_unknown", "intent_processing": "processing", "laterality_conflict": "laterality"}


def language(texts: Texts) -> Code:
    """Of the report's texts (PS3.16 TID 1204, CID 5000)."""
    return Code(texts.language_code, "RFC5646", texts.language_meaning)


def screening_result(suffix: str) -> Code:
    """One private concept per knee: two unmarked items would be ambiguous, and modifiers are warned about. suffix: R, L or a number."""
    side = {"R": "right knee", "L": "left knee"}.get(suffix, f"knee {suffix} (side unknown)")
    return _private(f"SCREENRES-{suffix}", f"AI screening result, {side}")


def score(suffix: str) -> Code:
    """Viewers show a number's name and nothing of its group's laterality, one knee's label over the other: the name tells the knee."""
    return _private(f"SCORE-{suffix}", f"{_knee(suffix)}: low bone density AI score, 0-100, not a probability")


def severity(suffix: str) -> Code:
    return _private(f"SEV-{suffix}", f"{_knee(suffix)}: AI severity score, 0-100, not a probability")


def severity_class(suffix: str) -> Code:
    return _private(f"SEVCLASS-{suffix}", f"{_knee(suffix)}: AI severity class")


def t_score(suffix: str) -> Code:
    return _private(f"TS-EST-{suffix}", f"{_knee(suffix)}: exploratory T-score estimate (not DXA)")


def not_assessed(suffix: str) -> Code:
    """Why an image (no suffix), or one knee of an image, was not assessed."""
    if not suffix:
        return _private("NOTASSESSED", "Image not assessed, reason")
    return _private(f"NOTASSESSED-{suffix}", f"{_knee(suffix)}: not assessed, reason")


def reason(outcome: str, meaning: str) -> Code:
    """An outcome as a code of at most 16 characters (PS3.5 6.2 SH): the letter of its kind, and the rest of its name."""
    kind, _, rest = outcome.partition("_")
    short = f"{_KINDS[kind]}_{_SHORTER.get(rest, rest)}" if kind in _KINDS else outcome
    return _private(short.replace("_", "-").upper()[:16], meaning[:64])


def _knee(suffix: str) -> str:
    """Short, for a code meaning has 64 characters (PS3.5 6.2 LO)."""
    return {"R": "Right knee", "L": "Left knee"}.get(suffix, f"Knee {suffix}")


def private_scheme() -> CodingSchemeIdentificationItem:
    """PS3.3 C.12.1.1.1 (Coding Scheme Identification Sequence): what 99STRNET is."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="STR-Net knee radiograph screening concepts",
        version="1",
        responsible_organization="strnet-gateway",
    )
