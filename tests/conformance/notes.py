"""Rejection notes of a case's results, one for each reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from gateway.domain.retraction import RejectionReason
from gateway.results.built_result import BuiltResult
from gateway.results.rejection_note import RejectedInstance, rejection_note
from gateway.results.study_report import build_results

from .cases import Case

RETRACTED_AT = datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC)


def built(case: Case) -> tuple[BuiltResult, ...]:
    return build_results(case.report, case.sources, case.settings, case.uid_for)


def note_of(results: tuple[BuiltResult, ...], reason: RejectionReason, *, assessment_set: str = "a" * 64) -> BuiltResult:
    rejected = [
        RejectedInstance(
            sop_class_uid=one.sop_class_uid, sop_instance_uid=one.sop_instance_uid, series_instance_uid=one.series_instance_uid
        )
        for one in results
    ]
    header = dcmread(BytesIO(results[0].content))
    return rejection_note(header, rejected, assessment_set=assessment_set, reason=reason, retracted_at=RETRACTED_AT)


def note_files(case: Case, folder: Path) -> Iterator[Path]:
    results = built(case)
    for reason in RejectionReason:
        file = folder / f"{case.name}-{reason}.dcm"
        file.write_bytes(note_of(results, reason).content)
        yield file
