"""A DIMSE destination under `strnet-gateway check`: what it answered, as lines that say which side is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gateway.config import DestinationSettings, Settings
from gateway.delivery.association import Contexts
from gateway.delivery.probe import Probe, Probed
from gateway.dicom.uids import KEY_OBJECT_SELECTION, SECONDARY_CAPTURE, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from gateway.domain.check import Line, bad, good, note
from gateway.ops.way_check import facts, failure, tls_lines

_SR_CLASSES: Final = {
    "comprehensive": ComprehensiveSRStorage,
    "comprehensive_3d": Comprehensive3DSRStorage,
    "enhanced": EnhancedSRStorage,
}
_EITHER: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_WRITTEN: Final = (ExplicitVRLittleEndian,)
"""Results are files of that syntax, and go out byte for byte."""
_SUCCESS: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationCheck:
    """Looks at a destination once: association, C-ECHO, and each presentation context that the configuration needs."""

    settings: Settings
    probe: Probe
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def lines(self, destination: DestinationSettings) -> Iterator[Line]:
        sr_class = str(_SR_CLASSES[self.settings.results.sr_class])
        probed = self.probe.look(destination, _offered(sr_class))
        if probed.code is not None:
            yield failure(destination, "association", probed.code, probed.detail)
            return
        yield good(destination.name, "association", f"accepted after {probed.associated_ms:.0f} ms")
        yield from tls_lines(destination, probed.tls, probed.certificate, self.now())
        yield _echo(destination, probed)
        yield _stored(destination, probed, sr_class, "sr_refused")
        yield _stored(destination, probed, SECONDARY_CAPTURE, "context_refused")
        yield _rejection(destination, probed)
        yield _commitment(destination, probed)
        yield _find(destination, probed)
        yield note(destination.name, "clock", "clock_not_told", "not told by DICOM: a peer cannot be asked for its time")


def _offered(sr_class: str) -> Contexts:
    return {
        sr_class: _WRITTEN,
        SECONDARY_CAPTURE: _WRITTEN,
        KEY_OBJECT_SELECTION: _WRITTEN,
        STORAGE_COMMITMENT: _EITHER,
        STUDY_ROOT_FIND: _EITHER,
    }


def _echo(destination: DestinationSettings, probed: Probed) -> Line:
    if probed.echo_status is None:
        return note(destination.name, "C-ECHO", "echo_refused", "context refused")
    if probed.echo_status != _SUCCESS:
        status = f"{probed.echo_status:04X}"
        return bad(destination.name, "C-ECHO", "echo_status", status, detail=status, **facts(destination))
    return good(destination.name, "C-ECHO", f"answered after {probed.echo_ms:.0f} ms")


def _stored(destination: DestinationSettings, probed: Probed, sop_class_uid: str, code: str) -> Line:
    name = UID(sop_class_uid).name
    if sop_class_uid in probed.accepted:
        return good(destination.name, "context", f"{name} accepted")
    facts_ = {"class_name": name, "class_uid": sop_class_uid, "syntax": ExplicitVRLittleEndian.name, **facts(destination)}
    return bad(destination.name, "context", code, f"{name} refused", **facts_)


def _rejection(destination: DestinationSettings, probed: Probed) -> Line:
    """Without it nothing can be recalled there."""
    if destination.honours_rejection == "no":
        return note(destination.name, "context", "rejection_not_honoured", "rejection notes are not honoured", **facts(destination))
    return _stored(destination, probed, KEY_OBJECT_SELECTION, "rejection_refused")


def _commitment(destination: DestinationSettings, probed: Probed) -> Line:
    return _confirming(destination, probed, STORAGE_COMMITMENT, "storage_commitment", "storage commitment", "commitment_refused")


def _find(destination: DestinationSettings, probed: Probed) -> Line:
    return _confirming(destination, probed, STUDY_ROOT_FIND, "find", "C-FIND", "find_refused")


def _confirming(destination: DestinationSettings, probed: Probed, uid: str, setting: str, name: str, code: str) -> Line:
    """Bad only where the configuration confirms by it."""
    if uid in probed.accepted:
        return good(destination.name, "context", f"{name} accepted")
    if destination.commitment == setting:
        return bad(destination.name, "context", code, f"{name} refused", **facts(destination))
    return note(destination.name, "context", "not_used", f"{name} refused")
