"""Building SR and SC: what every result carries, and that it is the same every time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.config import ResultSettings
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID
from gateway.domain.finding import Laterality, NotAssessed, Predecessor, Region, UnassessedKnee
from gateway.domain.outcome import InstanceOutcome
from gateway.results import codes, content_tree
from gateway.results.evidence import SourceInstance
from gateway.results.plan import plan_of
from gateway.results.report_page import page_texts as report_page_texts
from gateway.results.study_report import BuiltResult, build_results
from tests.conformance.cases import Case, case, full, knee, reduced, report
from tests.conformance.matrix import in_language
from tests.conformance.sources import cr_header, drawn_knee, dx_header

ROOT = Path(__file__).parents[4]


def build(one: Case) -> dict[str, BuiltResult]:
    return {result.kind: result for result in build_results(one.report, one.sources, one.settings, one.uid_for)}


def read(result: BuiltResult) -> Dataset:
    return dcmread(BytesIO(result.content))


def items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for child in dataset.get("ContentSequence", ()):
        yield from items(child)


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def find(dataset: Dataset, code: str) -> list[Dataset]:
    return [item for item in items(dataset) if "ConceptNameCodeSequence" in item and concept(item) == code]


@pytest.fixture(scope="module")
def flagged() -> Case:
    return next(reduced())


@pytest.fixture(scope="module")
def not_assessed() -> Case:
    return list(reduced())[2]


@pytest.fixture(scope="module")
def document(flagged: Case) -> Dataset:
    return read(build(flagged)["sr"])


ALL_CASES = list(full())


@pytest.mark.parametrize("one", ALL_CASES, ids=lambda one: one.name)
def test_every_case_gives_a_report_a_card_and_one_overlay_per_assessed_image(one: Case) -> None:
    images = len({finding.sop_instance_uid for finding in one.report.knees})
    assert list(build(one)) == ["sr", "sc_report_page", *(f"sc_overlay_{n}" for n in range(1, images + 1))]


def test_building_twice_gives_identical_bytes(flagged: Case) -> None:
    assert build(flagged) == build(flagged)


def test_another_process_gives_identical_bytes(flagged: Case) -> None:
    program = (
        "import hashlib; from tests.conformance.cases import reduced; from gateway.results.study_report import build_results; "
        "c = next(reduced()); "
        "print(*(hashlib.sha256(r.content).hexdigest() for r in build_results(c.report, c.sources, c.settings, c.uid_for)))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [hashlib.sha256(result.content).hexdigest() for result in build(flagged).values()]


def test_building_leaves_the_sources_as_they_were(flagged: Case) -> None:
    before = {uid: source.dataset.to_json() for uid, source in flagged.sources.items()}
    build(flagged)
    assert before == {uid: source.dataset.to_json() for uid, source in flagged.sources.items()}


def test_every_time_comes_from_the_row(flagged: Case) -> None:
    for result in build(flagged).values():
        dataset = read(result)
        assert (dataset.ContentDate, dataset.ContentTime) == ("20210304", "092011.250000")
        assert (dataset.InstanceCreationDate, dataset.InstanceCreationTime) == ("20210304", "092011.250000")
        assert dataset.TimezoneOffsetFromUTC == "+0000"
        # the study's own year, and no other: nothing of the present is in the file
        times = [str(element.value) for element in dataset.iterall() if element.VR in ("DA", "DT") and element.value]
        assert {time[:4] for time in times} == {"2021", "1954"}


def test_times_are_told_in_the_configured_zone_or_the_sources_own_offset(flagged: Case) -> None:
    east = replace(flagged, settings=ResultSettings(timezone="Asia/Shanghai"))
    assert read(build(east)["sr"]).TimezoneOffsetFromUTC == "+0800"
    assert read(build(east)["sr"]).ContentTime == "172011.250000"
    header = dx_header()
    header.TimezoneOffsetFromUTC = "-0330"
    own = case("own", [header], report(knee(str(header.SOPInstanceUID), score=80)), timezone="Asia/Shanghai")
    assert read(build(own)["sr"]).TimezoneOffsetFromUTC == "-0330"
    assert read(build(own)["sc_overlay_1"]).ContentTime == "055011.250000"


def test_every_container_is_separate(document: Dataset, not_assessed: Case) -> None:
    for tree in (document, read(build(not_assessed)["sr"])):
        containers = [item for item in items(tree) if item.get("ValueType") == "CONTAINER"]
        assert len(containers) >= 4
        assert {container.ContinuityOfContent for container in containers} == {"SEPARATE"}


def test_each_knee_has_one_group_with_its_region_tracking_uid_and_overlay(flagged: Case, document: Dataset) -> None:
    groups = find(document, "125007")
    assert len(groups) == 2
    for number, (group, finding) in enumerate(zip(groups, flagged.report.knees, strict=True), 1):
        (region,) = find(group, "111030")
        box = finding.region
        assert region.GraphicType == "POLYLINE"
        assert list(region.GraphicData) == [
            *(box.left, box.top, box.right, box.top, box.right, box.bottom, box.left, box.bottom, box.left, box.top)
        ]
        assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == finding.sop_instance_uid
        assert find(group, "130401")[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == flagged.uid_for(f"sc_overlay_{number}")


def test_per_knee_codes_stand_beside_the_groups_under_one_concept_per_side(document: Dataset) -> None:
    assert find(document, "SCREENRES-R")[0].ConceptCodeSequence[0].CodeValue == "LBD-FLAG"
    assert find(document, "SCREENRES-L")[0].ConceptCodeSequence[0].CodeValue == "LBD-NOFLAG"


def test_every_score_names_its_knee_because_viewers_show_nothing_else_beside_it(flagged: Case) -> None:
    """OHIF draws a knee's label over its neighbour on the film, without the finding site's laterality."""
    shown = {"show_severity": True, "show_t_score": True}
    document = read(build(replace(flagged, report=replace(flagged.report, **shown)))["sr"])
    groups = find(document, "125007")
    assert len(groups) == 2
    assert all(len(item.ConceptNameCodeSequence[0].CodeMeaning) <= 64 for item in items(document) if item.ValueType == "NUM")
    for group, suffix, name in zip(groups, ("R", "L"), ("Right knee", "Left knee"), strict=True):
        numbers = [item.ConceptNameCodeSequence[0] for item in items(group) if item.ValueType == "NUM"]
        scores = [one for one in numbers if one.CodeValue != "TAU"]
        assert f"SCORE-{suffix}" in [one.CodeValue for one in scores]
        assert all(one.CodeValue.endswith(f"-{suffix}") and one.CodeMeaning.startswith(f"{name}: ") for one in scores)


def test_scores_of_unknown_sides_are_counted_from_the_images_left() -> None:
    one = next(one for one in ALL_CASES if one.name == "dx-one-film-side-unknown-enhanced")
    tree = read(build(one)["sr"])
    for suffix in ("1", "2"):
        (score,) = find(tree, f"SCORE-{suffix}")
        assert score.ConceptNameCodeSequence[0].CodeMeaning.startswith(f"Knee {suffix}: ")


def test_knees_of_unknown_side_are_counted_from_the_images_left() -> None:
    film = next(one for one in ALL_CASES if "side-unknown-enhanced" in one.name)
    tree = read(build(film)["sr"])
    assert find(tree, "SCREENRES-1")[0].ConceptCodeSequence[0].CodeValue == "LBD-NOFLAG"
    assert find(tree, "SCREENRES-2")[0].ConceptCodeSequence[0].CodeValue == "LBD-FLAG"
    assert not find(tree, "272741003")


def test_a_side_that_was_imaged_twice_has_one_code_which_is_flagged_when_any_image_is() -> None:
    headers = [dx_header(1), dx_header(2)]
    knees = (knee(str(headers[0].SOPInstanceUID), score=12), knee(str(headers[1].SOPInstanceUID), score=90))
    tree = read(build(case("twice", headers, report(*knees)))["sr"])
    (code,) = find(tree, "SCREENRES-R")
    assert code.ConceptCodeSequence[0].CodeValue == "LBD-FLAG"
    assert "Right knee (image 2): possible low bone density" in find(tree, "121111")[0].TextValue


def test_evidence_names_every_source_and_every_page(flagged: Case, document: Dataset) -> None:
    named = {
        reference.ReferencedSOPInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    pages = {flagged.uid_for(kind) for kind in ("sc_report_page", "sc_overlay_1", "sc_overlay_2")}
    assert named == pages | {finding.sop_instance_uid for finding in flagged.report.knees}


def test_observer_algorithm_and_contributing_equipment_agree(flagged: Case, document: Dataset) -> None:
    equipment = [item for item in document.ContributingEquipmentSequence if "DeviceUID" in item]
    (network,) = equipment
    model = flagged.report.model
    assert network.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert network.DeviceUID == find(document, "121012")[0].UID == model.device_uid
    assert network.Manufacturer == find(document, "121014")[0].TextValue == model.manufacturer
    assert network.ManufacturerModelName == find(document, "121015")[0].TextValue == model.name
    assert {item.TextValue for item in find(document, "111001")} == {model.name}
    assert {item.TextValue for item in find(document, "111003")} == {network.SoftwareVersions}
    processing = [item for item in document.ContributingEquipmentSequence if item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"]
    assert processing == [network]


def test_algorithm_parameters_tell_weights_threshold_bundle_engine_and_inputs(document: Dataset) -> None:
    group = find(document, "125007")[0]
    names = [item.TextValue.split("=")[0] for item in find(group, "111002")]
    assert names == [
        "weights_sha256",
        "operating_threshold",
        "bundle_hash",
        "engine_profile",
        "input_age_years",
        "input_sex",
        "input_bmi_kg_m2",
    ]


def test_images_that_were_not_assessed_are_named_with_their_code(document: Dataset) -> None:
    texts = [item.TextValue for item in find(document, "111052")]
    assert any("ineligible_view_lateral" in text and "2.25.1000.1.9" in text for text in texts)
    assert "Not assessed: 1 further image" in find(document, "121111")[0].TextValue


def test_nothing_assessed_gives_a_report_without_measurements(not_assessed: Case) -> None:
    tree = read(build(not_assessed)["sr"])
    assert not find(tree, "126010")
    assert find(tree, "111017")[0].ConceptCodeSequence[0].CodeValue == "111245"
    assert find(tree, "121111")[0].TextValue.startswith("NOT PROCESSED by STR-Net: lateral view")
    assert len(find(tree, "111028")) == 1


def test_revision_names_its_predecessor(flagged: Case) -> None:
    predecessor = Predecessor(sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33", sop_instance_uid="2.25.5", series_instance_uid="2.25.6")
    revised = replace(flagged, report=replace(flagged.report, revision=2, predecessor=predecessor))
    (study,) = read(build(revised)["sr"]).PredecessorDocumentsSequence
    assert study.StudyInstanceUID == flagged.report.study_instance_uid
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.6"
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.5"


def test_first_report_names_no_predecessor(document: Dataset) -> None:
    assert "PredecessorDocumentsSequence" not in document


@pytest.mark.parametrize(("use", "expected"), [("demonstration", "RESEARCH"), ("research", "RESEARCH"), ("clinical", "PRODUCT")])
def test_only_clinical_use_is_a_product(flagged: Case, use: str, expected: str) -> None:
    meant = replace(flagged, report=replace(flagged.report, model=replace(flagged.report.model, intended_use=use)))
    assert {read(result).ContentQualification for result in build(meant).values()} == {expected}


def test_demonstration_is_stamped_in_disclaimer_and_series_description(flagged: Case) -> None:
    shown = replace(flagged, report=replace(flagged.report, model=replace(flagged.report.model, intended_use="demonstration")))
    results = {kind: read(result) for kind, result in build(shown).items()}
    stamp = "DEMONSTRATION - random or unvalidated weights - not for clinical use"
    assert find(results["sr"], "DISCL")[0].TextValue.startswith(stamp)
    for dataset in results.values():
        assert dataset.SeriesDescription.startswith("DEMONSTRATION, not for clinical use")


def with_evidence(one: Case, evidence: str, *, shown: bool) -> Case:
    model = replace(one.report.model, evidence=evidence)
    return replace(one, report=replace(one.report, model=model, show_severity=shown, show_t_score=shown))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("evidence", "shown"), [("", True), ("  ", True), ("Seen on 100 knees.", False), ("", False)])
def test_severity_and_t_score_need_the_sites_wish_and_a_bundle_with_evidence(
    flagged: Case, language: str, evidence: str, shown: bool
) -> None:
    one = next(in_language([with_evidence(flagged, evidence, shown=shown)], language))
    tree, plan = read(build(one)["sr"]), plan_of(one.report, one.sources, one.settings)
    assert not [code for code in ("SEV-R", "SEV-L", "TS-EST-R", "TS-EST-L") if find(tree, code)]
    texts = " ".join([*report_page_texts(plan), *(item.TextValue for item in items(tree) if "TextValue" in item)])
    assert not any(word in texts for word in ("T-score", "severity", "T值", "严重"))


def test_demonstration_shows_neither_severity_nor_t_score_whatever_its_evidence_says(flagged: Case) -> None:
    one = with_evidence(flagged, "Not better than chance.", shown=True)
    one = replace(one, report=replace(one.report, model=replace(one.report.model, intended_use="demonstration")))
    tree = read(build(one)["sr"])
    assert not [code for code in ("SEV-R", "SEV-L", "TS-EST-R", "TS-EST-L") if find(tree, code)]
    assert "Not better than chance." in find(tree, "DISCL")[0].TextValue


@pytest.mark.parametrize(("language", "words"), [("en", ("T-score", "severity")), ("zh", ("T值", "严重"))])
def test_severity_and_t_score_are_shown_with_both(flagged: Case, language: str, words: tuple[str, str]) -> None:
    one = next(in_language([with_evidence(flagged, "Seen on 100 knees.", shown=True)], language))
    tree, plan = read(build(one)["sr"]), plan_of(one.report, one.sources, one.settings)
    # severity of the flagged knee only
    assert [len(find(tree, code)) for code in ("SEV-R", "SEV-L", "TS-EST-R", "TS-EST-L")] == [1, 0, 1, 1]
    assert all(word in " ".join(report_page_texts(plan)) for word in words)
    assert words[0] in find(tree, "DISCL")[0].TextValue


@pytest.mark.parametrize(("threshold", "expected"), [(None, []), (0.5, ["SEV-UPPER"]), (0.99, ["SEV-LOWER"])])
def test_severity_class_is_coded_where_a_threshold_is_bound_to_the_weights(
    flagged: Case, threshold: float | None, expected: list[str]
) -> None:
    one = with_evidence(flagged, "Seen on 100 knees.", shown=True)
    model = replace(one.report.model, severity_threshold=threshold)
    knees = tuple(replace(knee, severity_score=knee.severity_score and 62.0) for knee in one.report.knees)
    tree = read(build(replace(one, report=replace(one.report, model=model, knees=knees)))["sr"])
    assert [item.ConceptCodeSequence[0].CodeValue for item in find(tree, "SEVCLASS-R")] == expected
    assert not find(tree, "SEVCLASS-L")


def test_body_mass_index_that_was_used_is_told(flagged: Case) -> None:
    knees = tuple(replace(knee, bmi=22.14) for knee in flagged.report.knees)
    tree = read(build(replace(flagged, report=replace(flagged.report, knees=knees)))["sr"])
    assert "input_bmi_kg_m2=22.1" in [item.TextValue for item in find(tree, "111002")]
    assert "BMI 22.1 kg/m2" in find(tree, "INPUTS")[0].TextValue


@pytest.mark.parametrize(
    ("language", "code", "summary"), [("en", "en-US", "Right knee: possible low"), ("zh", "zh-CN", "右膝：可能骨密度低")]
)
def test_report_is_written_in_the_language_that_it_names(flagged: Case, language: str, code: str, summary: str) -> None:
    one = next(in_language([flagged], language))
    tree = read(build(one)["sr"])
    (named,) = find(tree, "121049")
    assert (named.ConceptCodeSequence[0].CodeValue, named.ConceptCodeSequence[0].CodingSchemeDesignator) == (code, "RFC5646")
    assert tree.SpecificCharacterSet == "ISO_IR 192"
    assert summary in find(tree, "121111")[0].TextValue


def test_meanings_of_codes_are_english_in_every_language(flagged: Case) -> None:
    for result in build(next(in_language([flagged], "zh"))).values():
        meanings = [str(element.value) for element in read(result).iterall() if element.keyword == "CodeMeaning"]
        assert meanings
        assert all(meaning.isascii() for meaning in meanings)


def test_chinese_result_is_chinese_in_every_description(flagged: Case) -> None:
    for result in build(next(in_language([flagged], "zh"))).values():
        dataset = read(result)
        described = [dataset.SeriesDescription, *(item.ContributionDescription for item in dataset.ContributingEquipmentSequence)]
        described += [dataset.DerivationDescription] if "DerivationDescription" in dataset else []
        assert not [text for text in described if text.isascii()]
        assert len(dataset.SeriesDescription) <= 64


def test_patients_name_in_another_script_goes_unharmed_beside_chinese_texts() -> None:
    header = dx_header()
    header.SpecificCharacterSet, header.PatientName = "GB18030", "王^小东"
    one = case("gb", [header], report(knee(str(header.SOPInstanceUID), score=80)), language="zh")
    for result in build(one).values():
        assert str(read(result).PatientName) == "王^小东"


@pytest.mark.parametrize(("sr_class", "uid"), [("comprehensive", "88.33"), ("comprehensive_3d", "88.34"), ("enhanced", "88.22")])
def test_installation_chooses_the_sr_class(flagged: Case, sr_class: str, uid: str) -> None:
    chosen = replace(flagged, settings=ResultSettings(sr_class=sr_class))
    assert build(chosen)["sr"].sop_class_uid == f"1.2.840.10008.5.1.4.1.1.{uid}"


def test_report_is_unverified_complete_and_preliminary(document: Dataset) -> None:
    assert (document.VerificationFlag, document.CompletionFlag, document.PreliminaryFlag) == (
        "UNVERIFIED",
        "COMPLETE",
        "PRELIMINARY",
    )


def test_pages_say_how_they_were_made(flagged: Case) -> None:
    results = build(replace(flagged, settings=ResultSettings(sc_modality="DX", sc_series_number=77)))
    for number, kind in enumerate(("sc_report_page", "sc_overlay_1", "sc_overlay_2"), 1):
        page = read(results[kind])
        assert (page.Modality, page.SeriesNumber, page.InstanceNumber) == ("DX", 77, number)
        assert (page.ConversionType, page.BurnedInAnnotation) == ("WSD", "NO")
        assert list(page.ImageType) == ["DERIVED", "SECONDARY"]
        assert page.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert page.pixel_array.shape == (page.Rows, 1024, 3)
    assert read(results["sc_overlay_1"]).DerivationCodeSequence[0].CodeValue == "130403"
    assert [read(results[kind]).ImageLaterality for kind in ("sc_report_page", "sc_overlay_1", "sc_overlay_2")] == ["B", "R", "L"]


def test_unknown_side_leaves_laterality_empty_on_every_page() -> None:
    header = cr_header()
    one = case("unknown", [header], report(knee(str(header.SOPInstanceUID), score=80, side=Laterality.UNKNOWN)))
    for kind in ("sc_report_page", "sc_overlay_1"):
        page = read(build(one)[kind])
        assert "ImageLaterality" not in page
        assert page.Laterality == ""


def test_lossy_sources_stay_lossy_in_their_overlay() -> None:
    header = dx_header()
    header.LossyImageCompression, header.LossyImageCompressionRatio = "01", "12.5"
    header.LossyImageCompressionMethod = "ISO_10918_1"
    results = build(case("lossy", [header], report(knee(str(header.SOPInstanceUID), score=80))))
    assert read(results["sc_overlay_1"]).LossyImageCompression == "01"
    assert "LossyImageCompression" not in read(results["sc_report_page"])


def test_text_burned_into_a_source_is_declared_on_its_overlay_only() -> None:
    header = dx_header()
    header.BurnedInAnnotation = "YES"
    results = build(case("burned", [header], report(knee(str(header.SOPInstanceUID), score=80))))
    assert read(results["sc_overlay_1"]).BurnedInAnnotation == "YES"
    assert read(results["sc_report_page"]).BurnedInAnnotation == "NO"


def test_our_implementation_signs_every_file(flagged: Case) -> None:
    assert {read(result).file_meta.ImplementationClassUID for result in build(flagged).values()} == {IMPLEMENTATION_CLASS_UID}


def test_region_beyond_the_matrix_is_held_inside(flagged: Case) -> None:
    header = dx_header()
    finding = knee(str(header.SOPInstanceUID), score=80)
    wide = replace(finding, region=replace(finding.region, left=-5, right=9000, bottom=9000))
    tree = read(build(case("wide", [header], report(wide)))["sr"])
    data = list(find(tree, "111030")[0].GraphicData)
    assert (min(data), max(data)) == (0, max(header.Rows, header.Columns))


def test_missing_header_of_an_assessed_image_is_refused(flagged: Case) -> None:
    with pytest.raises(ValueError, match="headers of its sources"):
        build_results(flagged.report, {}, flagged.settings, flagged.uid_for)


def test_overlay_without_source_pixels_is_still_made() -> None:
    header = dx_header()
    uid = str(header.SOPInstanceUID)
    one = replace(case("blind", [header], report(knee(uid, score=80))), sources={uid: SourceInstance(dataset=header)})
    assert "sc_overlay_1" in build(one)


def test_large_image_is_scaled_into_the_page() -> None:
    header = dx_header()
    header.Rows, header.Columns = 2400, 1900
    uid = str(header.SOPInstanceUID)
    one = replace(
        case("large", [dx_header()], report(knee(uid, score=80))),
        sources={uid: SourceInstance(dataset=header, presentation=drawn_knee(2400, 1900))},
    )
    assert read(build(one)["sc_overlay_1"]).Rows < 1300


def test_every_outcome_has_a_short_code_of_its_own() -> None:
    found = {outcome: codes.reason(outcome.value, "meaning") for outcome in InstanceOutcome}
    assert len({code.value for code in found.values()}) == len(found)
    assert all(len(code.value) <= 16 for code in found.values())
    assert found[InstanceOutcome.EXCLUDED_LATERALITY_CONFLICT].value == "X-LATERALITY"


def test_reason_of_what_was_not_assessed_is_coded_once_per_knee_and_image() -> None:
    region = Region(left=0, top=0, right=5, bottom=5)
    right = UnassessedKnee(position=1, laterality=Laterality.RIGHT, region=region)
    unknown = UnassessedKnee(position=2, laterality=Laterality.UNKNOWN, region=region)
    lateral = [NotAssessed(sop_instance_uid=f"2.25.{n}", sop_class_uid="1.2", outcome="ineligible_view_lateral") for n in (1, 2)]
    metal = [NotAssessed(sop_instance_uid="2.25.3", sop_class_uid="1.2", outcome="excluded_metal", knee=knee) for knee in (right, unknown)]
    items = content_tree._reasons([*lateral, *metal])
    coded = [(item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue) for item in items]
    assert coded == [("NOTASSESSED", "I-VIEW-LATERAL"), ("NOTASSESSED-R", "X-METAL"), ("NOTASSESSED-2", "X-METAL")]
