"""Is this instance a knee AP radiograph that the network may assess? A cascade of checks, codes before text; the first refusal holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from gateway.config import EligibilitySettings
from gateway.dicom.codes import AP_VIEWS, BILATERAL, KNEE_REGIONS, LATERAL_VIEWS, LEFT, PA_VIEWS, RIGHT
from gateway.dicom.uids import ASSESSABLE_SOP_CLASSES, DX_FOR_PROCESSING
from gateway.domain.attributes import Code, InstanceAttributes
from gateway.domain.outcome import InstanceOutcome

_MODALITIES: Final = ("DX", "CR")
_BODY_PARTS: Final = ("KNEE", "KNEES")
_PLACEHOLDER_DATES: Final = ("19000101", "19010101", "18000101", "18581117")
_MAX_AGE_YEARS: Final = 110
_AGE_UNITS_PER_YEAR: Final = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
_VIEW_POSITIONS: Final = {
    "AP": "AP",
    "PA": "PA",
    "LL": "LATERAL",
    "RL": "LATERAL",
    "LLD": "LATERAL",
    "RLD": "LATERAL",
    "LLO": "OTHER",
    "RLO": "OTHER",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an instance is not assessed. reason: which attribute decided, as a code; never its text."""

    outcome: InstanceOutcome
    reason: str


_Check = Callable[[InstanceAttributes, EligibilitySettings], Refusal | None]


def check(attributes: InstanceAttributes, settings: EligibilitySettings, *, accept_for_processing: bool = False) -> Refusal | None:
    """None when the header makes the instance eligible. accept_for_processing: whether the bundle was made for raw detector data too."""
    for one in _CASCADE:
        if one is _intent and accept_for_processing:
            continue
        refusal = one(attributes, settings)
        if refusal is not None:
            return refusal
    return None


def _own_result(attributes: InstanceAttributes, _settings: EligibilitySettings) -> Refusal | None:
    return Refusal(InstanceOutcome.INELIGIBLE_OWN_RESULT, "equipment") if attributes.own_result else None


def _modality(attributes: InstanceAttributes, _settings: EligibilitySettings) -> Refusal | None:
    if attributes.modality in _MODALITIES:
        return None
    return Refusal(InstanceOutcome.INELIGIBLE_MODALITY, "Modality")


def _intent(attributes: InstanceAttributes, _settings: EligibilitySettings) -> Refusal | None:
    """For Processing pixels are not what a radiologist sees, nor, unless the bundle says so, what the network was trained on."""
    if attributes.identity.sop_class_uid == DX_FOR_PROCESSING:
        return Refusal(InstanceOutcome.INELIGIBLE_INTENT_PROCESSING, "SOPClassUID")
    if attributes.presentation_intent == "FOR PROCESSING":
        return Refusal(InstanceOutcome.INELIGIBLE_INTENT_PROCESSING, "PresentationIntentType")
    return None


def _sop_class(attributes: InstanceAttributes, _settings: EligibilitySettings) -> Refusal | None:
    if attributes.identity.sop_class_uid not in (*ASSESSABLE_SOP_CLASSES, DX_FOR_PROCESSING):
        return Refusal(InstanceOutcome.INELIGIBLE_SOP_CLASS, "SOPClassUID")
    if attributes.frames != 1:
        return Refusal(InstanceOutcome.INELIGIBLE_MULTI_FRAME, "NumberOfFrames")
    return None


def _body_part(attributes: InstanceAttributes, settings: EligibilitySettings) -> Refusal | None:
    """AnatomicRegionSequence, then BodyPartExamined, then descriptions. A code or tag that names another part is not overruled by text."""
    if attributes.region_codes:
        if all(code in KNEE_REGIONS for code in attributes.region_codes):
            return None
        return Refusal(InstanceOutcome.INELIGIBLE_BODY_PART, "AnatomicRegionSequence")
    if attributes.body_part_examined:
        if attributes.body_part_examined in _BODY_PARTS:
            return None
        return Refusal(InstanceOutcome.INELIGIBLE_BODY_PART, "BodyPartExamined")
    if _mentions(attributes.texts, settings.knee_texts):
        return None
    return Refusal(InstanceOutcome.INELIGIBLE_BODY_PART_UNKNOWN, "descriptions")


def _view(attributes: InstanceAttributes, settings: EligibilitySettings) -> Refusal | None:
    view, source = view_of(attributes, settings)
    if view in settings.views:
        return None
    outcome = {
        "UNKNOWN": InstanceOutcome.INELIGIBLE_VIEW_UNKNOWN,
        "LATERAL": InstanceOutcome.INELIGIBLE_VIEW_LATERAL,
    }.get(view, InstanceOutcome.INELIGIBLE_VIEW_OTHER)
    return Refusal(outcome, source)


def view_of(attributes: InstanceAttributes, settings: EligibilitySettings) -> tuple[str, str]:
    """(AP, PA, LATERAL, OTHER or UNKNOWN; the attribute that said so). Coded sources that contradict each other make it UNKNOWN.

    Texts are asked only when there is no code and no ViewPosition.
    """
    coded = {_coded_view(code) for code in attributes.view_codes}
    position = _VIEW_POSITIONS.get(attributes.view_position, "OTHER") if attributes.view_position else None
    if coded:
        # a ViewPosition that the standard does not define says nothing against a code
        named = coded | ({position} if position in _VIEW_POSITIONS.values() and position != "OTHER" else set())
        return (coded.pop(), "ViewCodeSequence") if len(named) == 1 else ("UNKNOWN", "ViewCodeSequence, ViewPosition")
    if position is not None:
        return position, "ViewPosition"
    ap, other = _mentions(attributes.texts, settings.ap_texts), _mentions(attributes.texts, settings.other_view_texts)
    if ap and other:
        return "UNKNOWN", "descriptions"
    return ("AP" if ap else "OTHER" if other else "UNKNOWN"), "descriptions"


def _coded_view(code: Code) -> str:
    for view, codes in (("AP", AP_VIEWS), ("PA", PA_VIEWS), ("LATERAL", LATERAL_VIEWS)):
        if code in codes:
            return view
    return "OTHER"


def named_sides(attributes: InstanceAttributes) -> set[str]:
    """Every side that a tag or code names: R, L, B (both)."""
    named = {side for side in (attributes.laterality, attributes.image_laterality) if side in ("R", "L", "B")}
    for side, codes in (("R", RIGHT), ("L", LEFT), ("B", BILATERAL)):
        if any(code in codes for code in attributes.region_modifier_codes):
            named.add(side)
    return named


def _laterality(attributes: InstanceAttributes, _settings: EligibilitySettings) -> Refusal | None:
    """Tags that name two sides: a wrong side is worse than no result."""
    if len(named_sides(attributes)) > 1:
        return Refusal(InstanceOutcome.EXCLUDED_LATERALITY_CONFLICT, "Laterality, ImageLaterality, AnatomicRegionModifierSequence")
    return None


def _age(attributes: InstanceAttributes, settings: EligibilitySettings) -> Refusal | None:
    """A value that is there and cannot be true (a placeholder, a date after the study) refuses, whatever the other one says."""
    stated, computed = age_from_tag(attributes.patient_age), age_from_dates(attributes.patient_birth_date, attributes.study_date)
    if attributes.patient_age and stated is None:
        return Refusal(InstanceOutcome.INELIGIBLE_AGE_CONFLICT, "PatientAge")
    if attributes.patient_birth_date and attributes.study_date and computed is None:
        return Refusal(InstanceOutcome.INELIGIBLE_AGE_CONFLICT, "PatientBirthDate")
    if stated is not None and computed is not None and abs(stated - computed) > 1:
        return Refusal(InstanceOutcome.INELIGIBLE_AGE_CONFLICT, "PatientAge, PatientBirthDate")
    age = computed if computed is not None else stated
    if age is None:
        return Refusal(InstanceOutcome.INELIGIBLE_AGE_MISSING, "PatientAge, PatientBirthDate")
    if age < settings.min_age_years:
        return Refusal(InstanceOutcome.INELIGIBLE_AGE, "PatientAge, PatientBirthDate")
    return None


_CASCADE: Final[tuple[_Check, ...]] = (_own_result, _modality, _intent, _sop_class, _body_part, _view, _laterality, _age)


def age_years(attributes: InstanceAttributes) -> int | None:
    """Age at StudyDate in completed years, from the birth date, else from PatientAge."""
    computed = age_from_dates(attributes.patient_birth_date, attributes.study_date)
    stated = age_from_tag(attributes.patient_age)
    return computed if computed is not None else stated


def age_from_tag(value: str) -> int | None:
    """PS3.5 6.2 AS: three digits and D, W, M or Y. None for anything else, for 000Y and for ages past 110 (placeholders)."""
    match = re.fullmatch(r"([0-9]{3})([DWMY])", value)
    if match is None:
        return None
    years = int(int(match[1]) / _AGE_UNITS_PER_YEAR[match[2]])
    if (match[2] == "Y" and years == 0) or years > _MAX_AGE_YEARS:
        return None
    return years


def age_from_dates(birth_date: str, study_date: str) -> int | None:
    """Completed years between two DICOM dates. None when one is absent, illegal, a placeholder, or the result is impossible."""
    born, studied = _date(birth_date), _date(study_date)
    if born is None or studied is None:
        return None
    years = studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))
    return years if 0 <= years <= _MAX_AGE_YEARS else None


def _date(value: str) -> date | None:
    if value in _PLACEHOLDER_DATES:
        return None
    try:
        return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007  a DICOM DA has no zone
    except ValueError:
        return None


def _mentions(texts: Sequence[str], words: Sequence[str]) -> bool:
    """Whole words for letters, anywhere for Chinese, which writes no spaces."""
    joined = " ".join(texts).casefold()
    return any(_mentions_word(joined, word.casefold()) for word in words)


def _mentions_word(text: str, word: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None
