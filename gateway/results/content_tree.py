"""The content tree of the report, item by item (PS3.16 TID 1500, 1001, 1204, 1600, 1410, 4019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageContentItem,
    ImageRegion,
    LanguageOfContentItemAndDescendants,
    Measurement,
    NumContentItem,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as public
from pydicom.sr.coding import Code

from gateway.dicom.uids import derived_uid
from gateway.domain.finding import KneeFinding, Laterality, LateralitySource, NotAssessed
from gateway.domain.outcome import InstanceOutcome, KneeDecision
from gateway.results import codes
from gateway.results.equipment import long_string
from gateway.results.evidence import patient_orientation, pixel_spacing_mm
from gateway.results.plan import Plan, ReportedImage, ReportedKnee
from gateway.results.printed_score import printed_score, rounded
from gateway.results.texts import texts_for

_CONTAINS = RelationshipTypeValues.CONTAINS
_ACQUISITION = RelationshipTypeValues.HAS_ACQ_CONTEXT


def content_tree(plan: Plan, overlays: Mapping[int, Dataset]) -> ContainerContentItem:
    """The root container. Without an assessed knee there are no Imaging Measurements: "not processed"."""
    root = ContainerContentItem(codes.IMAGING_MEASUREMENT_REPORT, template_id="1500")
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(codes.language(plan.wording.texts)),
            *_observer(plan),
            CodeContentItem(codes.PROCEDURE_REPORTED, codes.IMAGING_PROCEDURE, RelationshipTypeValues.HAS_CONCEPT_MOD),
            _image_library(plan.headers),
        ]
    )
    if plan.knees:
        groups = [_measurement_group(plan, image, knee, overlays) for image in plan.images for knee in image.knees]
        root.ContentSequence.append(_container(codes.IMAGING_MEASUREMENTS, groups))
    root.ContentSequence.append(_container(codes.QUALITATIVE_EVALUATIONS, _evaluations(plan)))
    separate(root)
    return root


def separate(item: Dataset) -> None:
    """PS3.3 C.18.8: highdicom writes CONTINUOUS, and viewers then drop the names of all items inside."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", ()):
        separate(child)


def _container(name: Code, items: Iterable[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name, relationship_type=_CONTAINS)
    container.ContentSequence = ContentSequence(list(items))
    return container


def _observer(plan: Plan) -> ObserverContext:
    """TID 1004; each value equal to the Contributing Equipment's (IHE AIR table 6.5.3.1-1)."""
    model = plan.report.model
    return ObserverContext(
        observer_type=codes.DEVICE,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=model.device_uid,
            name=long_string(plan.wording.network(model)),
            manufacturer_name=long_string(model.manufacturer),
            model_name=long_string(model.name),
        ),
    )


def _image_library(headers: Sequence[Dataset]) -> ContainerContentItem:
    """TID 1600, by hand: highdicom's wants attributes that CR images often lack."""
    group = _container(codes.IMAGE_LIBRARY_GROUP, [_library_entry(header) for header in headers])
    return _container(codes.IMAGE_LIBRARY, [group])


def _library_entry(header: Dataset) -> ImageContentItem:
    """TID 1601, with TID 1603's geometry where the source tells all of it."""
    entry = ImageContentItem(codes.SOURCE, header.SOPClassUID, header.SOPInstanceUID, relationship_type=_CONTAINS)
    items: list[ContentItem] = []
    modality = _modality(str(header.get("Modality", "")))
    if modality is not None:
        items.append(CodeContentItem(codes.MODALITY, modality, _ACQUISITION))
    for name, keyword in ((codes.PIXEL_ROWS, "Rows"), (codes.PIXEL_COLUMNS, "Columns")):
        if header.get(keyword):
            items.append(_number(name, int(header[keyword].value), codes.PIXELS, _ACQUISITION))
    orientation, spacing = patient_orientation(header), pixel_spacing_mm(header)
    if orientation and spacing:
        items += [
            TextContentItem(codes.ORIENTATION_ROW, orientation[0], _ACQUISITION),
            TextContentItem(codes.ORIENTATION_COLUMN, orientation[1], _ACQUISITION),
            _number(codes.SPACING_HORIZONTAL, spacing[1], codes.MILLIMETRES, _ACQUISITION),
            _number(codes.SPACING_VERTICAL, spacing[0], codes.MILLIMETRES, _ACQUISITION),
        ]
    if items:
        entry.ContentSequence = ContentSequence(items)
    return entry


def _modality(value: str) -> Code | None:
    """CID 29, of which the gateway receives these."""
    names = {
        "CR": public.cid29.ComputedRadiography,
        "DX": public.cid29.DigitalRadiography,
        "MR": public.cid29.MagneticResonance,
        "CT": public.cid29.ComputedTomography,
    }
    return names.get(value)


def _measurement_group(plan: Plan, image: ReportedImage, knee: ReportedKnee, overlays: Mapping[int, Dataset]) -> ContainerContentItem:
    """TID 1410 with the assessed rectangle: viewers throw on a group without a region or a tracking UID."""
    flagged = knee.finding.decision is KneeDecision.FLAGGED
    template = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=_tracking_uid(plan, knee.finding), identifier=plan.wording.texts.descriptions.tracking.format(knee=knee.name)
        ),
        referenced_region=_region(image.header, knee.finding),
        finding_type=codes.FLAGGED if flagged else codes.NOT_FLAGGED,
        algorithm_id=_algorithm(plan, knee.finding),
        finding_sites=[FindingSite(codes.KNEE_JOINT, laterality=_laterality(knee.finding))],
        measurements=_measurements(plan, knee),
    )
    group: ContainerContentItem = template[0]
    overlay = overlays.get(image.number)
    if overlay is not None:
        group.ContentSequence.append(
            ImageContentItem(codes.VISUAL_EXPLANATION, overlay.SOPClassUID, overlay.SOPInstanceUID, relationship_type=_CONTAINS)
        )
    return group


def _tracking_uid(plan: Plan, knee: KneeFinding) -> str:
    """The same in every revision of the report: of the image and its knee."""
    return derived_uid(("tracking", plan.report.study_instance_uid, knee.sop_instance_uid, str(knee.position), knee.laterality))


def _region(header: Dataset, knee: KneeFinding) -> ImageRegion:
    """Closed rectangle in the source's pixels; (0, 0) is the top left corner of the first pixel (PS3.3 C.18.6.1.1)."""
    rows, columns = int(header.Rows), int(header.Columns)
    left, right = (min(max(value, 0), columns) for value in (knee.region.left, knee.region.right))
    top, bottom = (min(max(value, 0), rows) for value in (knee.region.top, knee.region.bottom))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    source = SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID)
    return ImageRegion(graphic_type="POLYLINE", graphic_data=np.array(corners, dtype=np.float32), source_image=source)


def _laterality(knee: KneeFinding) -> Code | None:
    return {Laterality.RIGHT: codes.RIGHT, Laterality.LEFT: codes.LEFT}.get(knee.laterality)


def _algorithm(plan: Plan, knee: KneeFinding) -> AlgorithmIdentification:
    """TID 4019; fresh for every group."""
    model = plan.report.model
    parameters = [
        f"weights_sha256={model.weights_sha256}",
        f"operating_threshold={model.screening_threshold!r}",
        f"bundle_hash={model.bundle_hash}",
        f"engine_profile={knee.engine_profile}",
        f"input_age_years={knee.age_years if knee.age_years is not None else 'unknown'}",
        f"input_sex={knee.sex or 'unknown'}",
        f"input_bmi_kg_m2={'unknown' if knee.bmi is None else rounded(knee.bmi, 1)}",
    ]
    return AlgorithmIdentification(
        name=long_string(model.name),
        version=long_string(model.version),
        parameters=parameters,
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def _measurements(plan: Plan, knee: ReportedKnee) -> list[Measurement]:
    """Numbers as they are printed: a viewer that shows nothing else shows no contradiction either."""
    report, finding, suffix = plan.report, knee.finding, knee.code_suffix
    shown = printed_score(finding, report.model.screening_threshold)
    rows: list[tuple[Code, Decimal, Code]] = [
        (codes.score(suffix), shown.score, codes.SCORE_UNIT),
        (codes.THRESHOLD, shown.threshold, codes.SCORE_UNIT),
    ]
    if plan.shows_severity and finding.severity_score is not None:
        rows.append((codes.severity(suffix), rounded(finding.severity_score, 0), codes.SCORE_UNIT))
    if plan.shows_t_score and finding.t_score is not None:
        rows.append((codes.t_score(suffix), rounded(finding.t_score, 1), codes.T_SCORE_UNIT))
    return [_measurement(*row) for row in rows]


def _measurement(name: Code, value: Decimal, unit: Code) -> Measurement:
    measurement = Measurement(name=name, value=float(value), unit=unit)
    item = measurement[0].MeasuredValueSequence[0]
    item.NumericValue = str(value)
    del item.FloatingPointValue
    return measurement


def _number(name: Code, value: float, unit: Code, relationship: RelationshipTypeValues) -> NumContentItem:
    return NumContentItem(name, value, unit, relationship_type=relationship)


def _evaluations(plan: Plan) -> list[ContentItem]:
    """TID 1500 row 12: the only place where validators take coded and text items without a warning."""
    wording = plan.wording
    findings = [wording.not_assessed_finding(item) for item in plan.report.not_assessed]
    findings += [wording.of_knee(knee.name, wording.quality_flag(flag)) for knee in plan.knees for flag in knee.finding.quality_flags]
    findings += [
        wording.of_knee(knee.name, wording.texts.side_sources[knee.finding.laterality_source])
        for knee in plan.knees
        if knee.finding.laterality_source is not LateralitySource.TAGS
    ]
    inputs = wording.listed(wording.inputs(knee.name, knee.finding) for knee in plan.knees)
    items: list[ContentItem] = [
        CodeContentItem(codes.PROCESSING_SUMMARY, _processing(plan), _CONTAINS),
        *_screening_results(plan.knees),
        *_severity_classes(plan),
        *_reasons(plan.report.not_assessed),
    ]
    items.append(TextContentItem(codes.SUMMARY, plan.summary, _CONTAINS))
    if inputs:
        items.append(TextContentItem(codes.INPUTS, inputs, _CONTAINS))
    items += [TextContentItem(codes.QUALITY_FINDING, text, _CONTAINS) for text in findings]
    items.append(TextContentItem(codes.DISCLAIMER, plan.disclaimer, _CONTAINS))
    return items


def _processing(plan: Plan) -> Code:
    if not plan.knees:
        return codes.NONE_SUCCEEDED
    if any(item.knee is not None for item in plan.report.not_assessed):
        return codes.PARTLY_WITH_FINDINGS if plan.report.flagged else codes.PARTLY_WITHOUT_FINDINGS
    return codes.SUCCEEDED_WITH_FINDINGS if plan.report.flagged else codes.SUCCEEDED_WITHOUT_FINDINGS


def _screening_results(knees: Sequence[ReportedKnee]) -> list[CodeContentItem]:
    """One item per side: a side that was imaged twice is flagged when any of its images is, as the headline is."""
    flagged: dict[str, bool] = {}
    for knee in knees:
        is_flagged = knee.finding.decision is KneeDecision.FLAGGED
        flagged[knee.code_suffix] = flagged.get(knee.code_suffix, False) or is_flagged
    return [
        CodeContentItem(codes.screening_result(suffix), codes.FLAGGED if value else codes.NOT_FLAGGED, _CONTAINS)
        for suffix, value in flagged.items()
    ]


def _severity_classes(plan: Plan) -> list[CodeContentItem]:
    """One item per side, the upper class where any of its images is in it. Not without a threshold bound to the weights."""
    threshold = plan.report.model.severity_threshold
    if not plan.shows_severity or threshold is None:
        return []
    upper: dict[str, bool] = {}
    for knee in plan.knees:
        if knee.finding.severity_score is not None:
            reaches = knee.finding.severity_score >= 100 * threshold
            upper[knee.code_suffix] = upper.get(knee.code_suffix, False) or reaches
    return [
        CodeContentItem(codes.severity_class(suffix), codes.SEVERITY_UPPER if value else codes.SEVERITY_LOWER, _CONTAINS)
        for suffix, value in upper.items()
    ]


def _reasons(items: Iterable[NotAssessed]) -> list[CodeContentItem]:
    """Each reason once per image or knee that it is given for; the texts beside them say which image."""
    meanings = texts_for("en").outcomes
    found = {
        (_suffix(item), item.outcome): meanings.get(InstanceOutcome(item.outcome), item.outcome)
        if item.outcome in set(InstanceOutcome)
        else item.outcome
        for item in items
    }
    return [
        CodeContentItem(codes.not_assessed(suffix), codes.reason(outcome, meaning), _CONTAINS)
        for (suffix, outcome), meaning in found.items()
    ]


def _suffix(item: NotAssessed) -> str:
    """R, L, or the knee's number from the image's left; nothing for a whole image."""
    if item.knee is None:
        return ""
    return str(item.knee.position) if item.knee.laterality is Laterality.UNKNOWN else item.knee.laterality.value
