"""The study's Structured Report (TID 1500): one measurement group (TID 1410) per knee, codes and texts beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom.dataset import Dataset

from gateway.results import codes, equipment
from gateway.results.content_tree import content_tree
from gateway.results.evidence import UNICODE
from gateway.results.plan import Plan

_CLASSES: Final = {"comprehensive": ComprehensiveSR, "comprehensive_3d": Comprehensive3DSR, "enhanced": EnhancedSR}


def structured_report(plan: Plan, *, pages: Sequence[Dataset], overlays: Mapping[int, Dataset], uid_for: Callable[[str], str]) -> Dataset:
    """pages: all Secondary Captures of the study. overlays: by the number of their image."""
    model = plan.report.model
    document: Dataset = _CLASSES[plan.settings.sr_class](
        evidence=[*plan.headers, *pages],
        content=content_tree(plan, overlays),
        series_instance_uid=uid_for("sr_series"),
        series_number=plan.settings.sr_series_number,
        sop_instance_uid=uid_for("sr"),
        instance_number=1,
        manufacturer=equipment.MANUFACTURER,
        manufacturer_model_name=equipment.MODEL_NAME,
        software_versions=equipment.SOFTWARE_VERSIONS,
        device_serial_number=equipment.SERIAL_NUMBER,
        is_complete=True,
        is_final=False,  # PS3.3 C.17.2: FINAL would make this the definitive communication of the findings
        is_verified=False,  # no human has seen it
        previous_versions=_predecessors(plan),
        series_description=plan.wording.report_series(model),
        content_qualification=equipment.content_qualification(model),
        coding_schemes=[codes.private_scheme()],
        specific_character_set=UNICODE,
        contributing_equipment=[equipment.network_equipment(model, plan.moment, plan.wording.texts.descriptions)],
    )
    equipment.settle_header(document, plan.moment, plan.wording.texts.descriptions)
    return document


def _predecessors(plan: Plan) -> list[Dataset] | None:
    """PS3.3 C.17.2 Predecessor Documents Sequence: the report that this one replaces."""
    predecessor = plan.report.predecessor
    if predecessor is None:
        return None
    item = Dataset()
    item.StudyInstanceUID = plan.headers[0].StudyInstanceUID
    item.SeriesInstanceUID = predecessor.series_instance_uid
    item.SOPClassUID = predecessor.sop_class_uid
    item.SOPInstanceUID = predecessor.sop_instance_uid
    return [item]
