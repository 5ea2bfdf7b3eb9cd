"""The check before sending finds what would fail in a PACS or a viewer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from gateway.errors import OutboundGateError
from gateway.results.outbound_gate import check
from gateway.results.study_report import BuiltResult, build_results
from tests.conformance.cases import reduced


@pytest.fixture(scope="module")
def results() -> dict[str, BuiltResult]:
    one = next(reduced())
    return {result.kind: result for result in build_results(one.report, one.sources, one.settings, one.uid_for)}


def damaged(result: BuiltResult, change: Callable[[Dataset], None]) -> BuiltResult:
    dataset = dcmread(BytesIO(result.content))
    change(dataset)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return replace(result, content=buffer.getvalue())


def _continuous(dataset: Dataset) -> None:
    dataset.ContinuityOfContent = "CONTINUOUS"


def _no_evidence(dataset: Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence


def _evidence_without_pages(dataset: Dataset) -> None:
    series = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    del series[-1]


def _group_without(code: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        measurements = next(item for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010")
        group = measurements.ContentSequence[0]
        group.ContentSequence = [item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue != code]

    return change


def _rows(dataset: Dataset) -> None:
    dataset.Rows += 1


def _both_sides(dataset: Dataset) -> None:
    dataset.Laterality = "R"


def _without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def test_finished_results_pass(results: dict[str, BuiltResult]) -> None:
    for result in results.values():
        check(result)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("sr", _continuous, "not SEPARATE"),
        ("sr", _no_evidence, "no evidence"),
        ("sr", _evidence_without_pages, "is not evidence"),
        ("sr", _group_without("111030"), "no region"),
        ("sr", _group_without("112040"), "no tracking UID"),
        ("sr", _without("PatientID"), "PatientID is missing"),
        ("sr", _without("ContentDate"), "ContentDate is empty"),
        ("sc_overlay_1", _rows, "pixel data"),
        ("sc_overlay_1", _both_sides, "exactly one"),
        ("sc_report_page", _without("BurnedInAnnotation"), "BurnedInAnnotation"),
        ("sc_report_page", _without("SourceImageSequence"), "no source image"),
    ],
)
def test_damage_is_named(results: dict[str, BuiltResult], kind: str, change: Callable[[Dataset], None], message: str) -> None:
    with pytest.raises(OutboundGateError, match=message):
        check(damaged(results[kind], change))


def test_another_uid_than_announced_is_named(results: dict[str, BuiltResult]) -> None:
    with pytest.raises(OutboundGateError, match="SOPInstanceUID is not"):
        check(replace(results["sr"], sop_instance_uid="2.25.4"))


def test_what_is_no_dicom_file_is_named(results: dict[str, BuiltResult]) -> None:
    with pytest.raises(OutboundGateError, match="not a DICOM file"):
        check(replace(results["sr"], content=b"nothing"))
