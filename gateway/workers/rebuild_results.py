"""Results made again from what was kept of them, to compare with the stored files. Writes nothing but an alarm where one differs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from gateway.dicom.part10 import read_header
from gateway.domain.assessment import StudyResult
from gateway.domain.retraction import REJECTION
from gateway.errors import GatewayError, OutboundGateError, SourcePurgedError
from gateway.events import Event, log_event
from gateway.inference.decoder import Decoder
from gateway.results.built_result import BuiltResult
from gateway.results.equipment import SOFTWARE_VERSIONS
from gateway.results.inputs import ReportInputs
from gateway.store.audit_log import AuditLog
from gateway.store.instances import Instances
from gateway.store.rejections import Rejections
from gateway.store.results import KeptReport
from gateway.store.spool import Spool
from gateway.workers.note_sources import built_note, report_header
from gateway.workers.report_sources import read_sources


class Comparison(StrEnum):
    """How a result made again compares with the stored one."""

    EQUAL = "equal"
    DIFFERS = "differs"
    OTHER_RELEASE = "other_release"
    """It differs or cannot be read, and another release of this software had built it."""
    NO_INPUTS = "no_inputs"
    """Built by a release that did not keep what results are made of."""
    NO_SOURCE = "no_source"
    """An image that it shows is gone or damaged, or cannot be decoded."""
    PURGED = "purged"
    """Retention has removed the result, or an image that it shows."""
    DAMAGED = "damaged"
    """The file in the spool is gone, or is not the one that its row names."""


_ALARMS: Final = (Comparison.DIFFERS, Comparison.NO_SOURCE, Comparison.DAMAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltResult:
    """One result, made again. sha256: of the stored file; rebuilt_sha256: None where it could not be made."""

    study_instance_uid: str
    revision: int
    kind: str
    sop_instance_uid: str
    sha256: str
    rebuilt_sha256: str | None
    comparison: Comparison
    content: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResults:
    """Makes sets of results again."""

    instances: Instances
    spool: Spool
    decoder: Decoder
    audit: AuditLog

    rejections: Rejections

    def run(self, kept: KeptReport) -> tuple[RebuiltResult, ...]:
        """One answer for each stored result of the set. What is damaged, or differs although the same release built it, is an alarm."""
        answers = self._again(kept)
        for answer in answers:
            if answer.comparison in _ALARMS:
                identifiers = {"study_instance_uid": answer.study_instance_uid, "sop_instance_uid": answer.sop_instance_uid}
                log_event(Event.RESULT_DIFFERS, level="error", code=answer.comparison.value, **identifiers)
                self.audit.record(Event.RESULT_DIFFERS, code=answer.comparison.value, **identifiers)
        return answers

    def _again(self, kept: KeptReport) -> tuple[RebuiltResult, ...]:
        notes = tuple(self._note_again(kept, stored) for stored in kept.results if stored.kind == REJECTION)
        return (*notes, *self._report_again(replace(kept, results=tuple(one for one in kept.results if one.kind != REJECTION))))

    def _note_again(self, kept: KeptReport, note: StudyResult) -> RebuiltResult:
        """A note rests on the report's stored file, not on what the report was made of."""
        rejected = tuple(one for one in kept.results if one.kind != REJECTION)
        if kept.rejection is None:
            return _answer(note, Comparison.DIFFERS)
        reason, retracted_at = kept.rejection
        try:
            header = report_header(self.spool, rejected, self.rejections)
            built = built_note(header, rejected, assessment_set=kept.assessment_set, reason=reason, retracted_at=retracted_at)
        except OutboundGateError:
            return _answer(note, Comparison.DIFFERS)
        except GatewayError:
            return _answer(note, Comparison.NO_SOURCE)
        if any(one.purged for one in rejected) and not note.purged and hashlib.sha256(built.content).hexdigest() != note.sha256:
            return _answer(note, Comparison.PURGED)
        return self._compared(note, built, self._unequal_note(note))

    def _unequal_note(self, note: StudyResult) -> Comparison:
        try:
            made_by = str(read_header(self.spool.path(note.file)).get("SoftwareVersions"))
        except (GatewayError, OSError):
            return Comparison.DAMAGED
        return Comparison.DIFFERS if made_by == SOFTWARE_VERSIONS else Comparison.OTHER_RELEASE

    def _report_again(self, kept: KeptReport) -> tuple[RebuiltResult, ...]:
        if kept.inputs is None:
            return _unmade(kept, Comparison.NO_INPUTS)
        try:
            inputs = ReportInputs.restored(kept.inputs)
        except ValidationError:
            return _unmade(kept, Comparison.OTHER_RELEASE)
        try:
            images = [(self.instances.get(image.instance_id), image.presented) for image in inputs.images]
            built = {result.kind: result for result in inputs.build(read_sources(self.spool, self.decoder, images))}
        except OutboundGateError:
            return _unmade(kept, Comparison.DIFFERS)
        except SourcePurgedError:
            return _unmade(kept, Comparison.PURGED)
        except GatewayError:
            return _unmade(kept, Comparison.NO_SOURCE)
        made_elsewhere = inputs.software_version != ReportInputs.model_fields["software_version"].default
        unequal = Comparison.OTHER_RELEASE if made_elsewhere else Comparison.DIFFERS
        return tuple(self._compared(stored, built.get(stored.kind), unequal) for stored in kept.results)

    def _compared(self, stored: StudyResult, again: BuiltResult | None, unequal: Comparison) -> RebuiltResult:
        sha256 = None if again is None else hashlib.sha256(again.content).hexdigest()
        comparison = Comparison.EQUAL if sha256 == stored.sha256 else unequal
        if stored.purged:
            return _answer(stored, Comparison.PURGED, sha256, b"" if again is None else again.content)
        try:
            self.spool.read_verified(stored.file, stored.sha256)
        except GatewayError:
            comparison = Comparison.DAMAGED
        return _answer(stored, comparison, sha256, b"" if again is None else again.content)


def _unmade(kept: KeptReport, why: Comparison) -> tuple[RebuiltResult, ...]:
    return tuple(_answer(stored, why) for stored in kept.results)


def _answer(stored: StudyResult, comparison: Comparison, rebuilt_sha256: str | None = None, content: bytes = b"") -> RebuiltResult:
    return RebuiltResult(
        study_instance_uid=stored.study_instance_uid,
        revision=stored.revision,
        kind=stored.kind,
        sop_instance_uid=stored.sop_instance_uid,
        sha256=stored.sha256,
        rebuilt_sha256=rebuilt_sha256,
        comparison=comparison,
        content=content,
    )
