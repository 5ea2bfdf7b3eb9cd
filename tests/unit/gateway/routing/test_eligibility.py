from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config import EligibilitySettings
from gateway.domain.attributes import Code, InstanceAttributes, InstanceIdentity
from gateway.domain.outcome import InstanceOutcome
from gateway.routing.eligibility import age_from_dates, age_from_tag, age_years, check, named_sides, view_of

SETTINGS = EligibilitySettings()
KNEE = InstanceAttributes(
    identity=InstanceIdentity(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1", sop_instance_uid="1.2", series_instance_uid="1.3", study_instance_uid="1.4"
    ),
    modality="DX",
    presentation_intent="FOR PRESENTATION",
    frames=1,
    body_part_examined="KNEE",
    region_codes=(),
    region_modifier_codes=(),
    view_position="AP",
    view_codes=(),
    laterality="",
    image_laterality="R",
    patient_orientation=("L", "F"),
    patient_age="072Y",
    patient_birth_date="19520304",
    patient_sex="F",
    patient_size_m=None,
    patient_weight_kg=None,
    study_date="20240611",
    study_time="",
    timezone_offset="",
    texts=(),
    own_result=False,
)
SCT_KNEE, SCT_CHEST = Code("72696002", "SCT"), Code("51185008", "SCT")
LEFT_SIDE = Code("7771000", "SCT")
AP, LATERAL, SKYLINE = Code("399348003", "SCT"), Code("399067008", "SCT"), Code("399055006", "SCT")


def outcome(**changes: object) -> str | None:
    refusal = check(replace(KNEE, **changes), SETTINGS)  # type: ignore[arg-type]
    return refusal.outcome.value if refusal else None


def test_knee_ap_of_a_person_over_fifty_is_eligible() -> None:
    assert outcome() is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modality": "MR"}, "ineligible_modality"),
        ({"modality": ""}, "ineligible_modality"),
        ({"own_result": True}, "ineligible_own_result"),
        ({"presentation_intent": "FOR PROCESSING"}, "ineligible_intent_processing"),
        ({"frames": 2}, "ineligible_multi_frame"),
        ({"body_part_examined": "CHEST"}, "ineligible_body_part"),
        ({"body_part_examined": "EXTREMITY", "texts": ("knee",)}, "ineligible_body_part"),
        ({"body_part_examined": ""}, "ineligible_body_part_unknown"),
        ({"body_part_examined": "KNEE", "region_codes": (SCT_CHEST,)}, "ineligible_body_part"),
        ({"view_position": ""}, "ineligible_view_unknown"),
        ({"view_position": "LL"}, "ineligible_view_lateral"),
        ({"view_position": "PA"}, "ineligible_view_other"),
        ({"view_position": "SKYLINE"}, "ineligible_view_other"),
        ({"view_position": "LL", "view_codes": (LATERAL,)}, "ineligible_view_lateral"),
        ({"view_position": "", "view_codes": (SKYLINE,)}, "ineligible_view_other"),
        ({"view_position": "", "texts": ("knee lat",)}, "ineligible_view_other"),
        ({"view_position": "", "texts": ("knee ap + lat",)}, "ineligible_view_unknown"),
        ({"laterality": "L", "image_laterality": "R"}, "excluded_laterality_conflict"),
        ({"patient_age": "", "patient_birth_date": ""}, "ineligible_age_missing"),
        ({"patient_age": "049Y", "patient_birth_date": "19750304"}, "ineligible_age"),
        ({"patient_age": "040Y"}, "ineligible_age_conflict"),
        ({"patient_age": "000Y"}, "ineligible_age_conflict"),
        ({"patient_age": "62"}, "ineligible_age_conflict"),
        ({"patient_age": "", "patient_birth_date": "19000101"}, "ineligible_age_conflict"),
        ({"patient_birth_date": "19000101"}, "ineligible_age_conflict"),
        ({"patient_birth_date": "20300101"}, "ineligible_age_conflict"),
        ({"patient_birth_date": "unknown"}, "ineligible_age_conflict"),
        ({"image_laterality": "B", "laterality": "R"}, "excluded_laterality_conflict"),
        ({"region_codes": (SCT_KNEE,), "region_modifier_codes": (LEFT_SIDE,)}, "excluded_laterality_conflict"),
        ({"region_codes": (SCT_KNEE, SCT_CHEST)}, "ineligible_body_part"),
        ({"view_codes": (AP, LATERAL)}, "ineligible_view_unknown"),
        ({"view_position": "LL", "view_codes": (AP,)}, "ineligible_view_unknown"),
        ({"patient_age": "006M", "patient_birth_date": ""}, "ineligible_age"),
    ],
)
def test_header_that_does_not_qualify_gets_its_code(changes: dict[str, object], expected: str) -> None:
    assert outcome(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"body_part_examined": "", "region_codes": (SCT_KNEE,)},
        {"body_part_examined": "", "region_codes": (Code("T-D9200", "SRT"),)},
        {"body_part_examined": "", "texts": ("左膝关节正位",)},
        {"body_part_examined": "CHEST", "region_codes": (SCT_KNEE,)},
        {"view_position": "", "view_codes": (AP,)},
        {"view_position": "STANDING", "view_codes": (AP,)},
        {"view_position": "", "texts": ("Knee a.p. standing",)},
        {"view_position": "", "texts": ("膝关节 正位",)},
        {"patient_age": ""},
        {"patient_birth_date": ""},
        {"patient_age": "071Y"},
        {"modality": "CR", "presentation_intent": ""},
    ],
)
def test_codes_come_before_tags_and_tags_before_text(changes: dict[str, object]) -> None:
    attributes = replace(KNEE, **changes)  # type: ignore[arg-type]
    if attributes.modality == "CR":
        attributes = replace(attributes, identity=replace(attributes.identity, sop_class_uid="1.2.840.10008.5.1.4.1.1.1"))
    assert check(attributes, SETTINGS) is None


def test_for_processing_class_is_told_from_a_wrong_class() -> None:
    processing = replace(KNEE.identity, sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1.1")
    capture = replace(KNEE.identity, sop_class_uid="1.2.840.10008.5.1.4.1.1.7")
    assert outcome(identity=processing) == "ineligible_intent_processing"
    assert outcome(identity=capture) == "ineligible_sop_class"


def test_word_in_the_middle_of_another_names_no_view() -> None:
    assert view_of(replace(KNEE, view_position="", texts=("patella", "trap")), SETTINGS) == ("UNKNOWN", "descriptions")


def test_site_may_accept_pa() -> None:
    assert check(replace(KNEE, view_position="PA"), EligibilitySettings(views=("AP", "PA"))) is None


def test_reason_names_the_attribute_and_never_its_text() -> None:
    refusal = check(replace(KNEE, body_part_examined="ELBOW LT OF MRS X"), SETTINGS)
    assert refusal is not None
    assert (refusal.outcome, refusal.reason) == (InstanceOutcome.INELIGIBLE_BODY_PART, "BodyPartExamined")


@pytest.mark.parametrize(
    ("born", "studied", "years"),
    [
        ("19740611", "20240611", 50),
        ("19740612", "20240611", 49),
        ("20250101", "20240611", None),
        ("1974", "20240611", None),
        ("18500101", "20240611", None),
    ],
)
def test_age_counts_completed_years_at_the_study_date(born: str, studied: str, years: int | None) -> None:
    assert age_from_dates(born, studied) == years


@pytest.mark.parametrize(("value", "years"), [("072Y", 72), ("600M", 50), ("010D", 0), ("999Y", None), ("72Y", None), ("", None)])
def test_age_string_is_read_with_its_unit(value: str, years: int | None) -> None:
    assert age_from_tag(value) == years


def test_side_may_be_coded_as_a_modifier_of_the_region() -> None:
    attributes = replace(KNEE, image_laterality="", region_codes=(SCT_KNEE,), region_modifier_codes=(LEFT_SIDE,))
    assert named_sides(attributes) == {"L"}


def test_birth_date_is_preferred_to_the_age_string() -> None:
    assert age_years(replace(KNEE, patient_age="071Y")) == 72


@pytest.mark.parametrize(
    ("laterality", "image_laterality", "expected"),
    [
        ("", "R", {"R"}),
        ("L", "", {"L"}),
        ("", "", set()),
        ("", "B", {"B"}),
        ("U", "", set()),
    ],
)
def test_sides_are_those_that_the_tags_name(laterality: str, image_laterality: str, expected: set[str]) -> None:
    assert named_sides(replace(KNEE, laterality=laterality, image_laterality=image_laterality)) == expected


def test_image_for_processing_is_eligible_only_where_the_bundle_was_made_for_it() -> None:
    raw = replace(KNEE, identity=replace(KNEE.identity, sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1.1"), presentation_intent="FOR PROCESSING")
    refusal = check(raw, SETTINGS)
    assert refusal is not None
    assert refusal.outcome is InstanceOutcome.INELIGIBLE_INTENT_PROCESSING
    assert check(raw, SETTINGS, accept_for_processing=True) is None
