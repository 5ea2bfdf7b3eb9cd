"""A study's results, from values to files: pages first, then the report that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydicom.dataset import Dataset

from gateway.config import ResultSettings
from gateway.domain.finding import StudyReport
from gateway.results import codes
from gateway.results.built_result import BuiltResult
from gateway.results.equipment import part10
from gateway.results.evidence import SourceInstance
from gateway.results.outbound_gate import check
from gateway.results.overlay import overlay_page
from gateway.results.plan import Plan, plan_of
from gateway.results.report_page import report_page
from gateway.results.secondary_capture import Page, secondary_capture
from gateway.results.structured_report import structured_report

__all__ = ["BuiltResult", "build_results"]


def build_results(
    report: StudyReport, sources: Mapping[str, SourceInstance], settings: ResultSettings, uid_for: Callable[[str], str]
) -> tuple[BuiltResult, ...]:
    """SR, report page and one overlay page per assessed image, each checked. The same input gives the same bytes.

    Parameters
    ----------
    report: what may be shown (`policy.visible`).
    sources: by SOP Instance UID; every assessed image, and at least one image when none was assessed.
    uid_for: deterministic UIDs by kind: sr, sr_series, sc_series, sc_report_page, sc_overlay_<n>.
    """
    plan = plan_of(report, sources, settings)
    pages = _pages(plan)
    captures = [
        secondary_capture(plan, page, series_instance_uid=uid_for("sc_series"), sop_instance_uid=uid_for(page.kind)) for page in pages
    ]
    overlays = {image.number: capture for image, capture in zip(plan.images, captures[1:], strict=True)}
    document = structured_report(plan, pages=captures, overlays=overlays, uid_for=uid_for)
    results = [_built("sr", document), *(_built(page.kind, capture) for page, capture in zip(pages, captures, strict=True))]
    for result in results:
        check(result, plan.headers)
    return tuple(results)


def _pages(plan: Plan) -> list[Page]:
    card = Page(
        kind="sc_report_page",
        number=1,
        pixels=report_page(plan),
        sources=plan.headers,
        lateralities=tuple(knee.finding.laterality for knee in plan.knees),
        description=plan.wording.texts.descriptions.card,
        derivation=None,
        text_suspected=False,
    )
    overlays = [
        Page(
            kind=f"sc_overlay_{image.number}",
            number=image.number + 1,
            pixels=overlay_page(plan, image),
            sources=(image.header,),
            lateralities=(*(knee.finding.laterality for knee in image.knees), *(knee.laterality for knee in image.unassessed)),
            description=plan.wording.texts.descriptions.overlay,
            derivation=codes.GRAD_CAM,
            text_suspected=any(knee.finding.text_suspected for knee in image.knees),
        )
        for image in plan.images
    ]
    return [card, *overlays]


def _built(kind: str, result: Dataset) -> BuiltResult:
    return BuiltResult(
        kind=kind,
        sop_class_uid=str(result.SOPClassUID),
        sop_instance_uid=str(result.SOPInstanceUID),
        series_instance_uid=str(result.SeriesInstanceUID),
        content=part10(result),
    )
