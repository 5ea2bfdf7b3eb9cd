"""What would become of files, by the same checks that intake and routing make. Stores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from gateway.config import Settings
from gateway.dicom.attributes import lookup, read_attributes
from gateway.dicom.foreign_files import read_foreign_file
from gateway.dicom.key_objects import key_objects_of
from gateway.dicom.part10 import DefectiveDatasetError, read_received, set_tolerant_reading
from gateway.dicom.uids import KEY_OBJECT_SELECTION
from gateway.errors import BundleError, KeyObjectError, UnreadableInstanceError
from gateway.inference.analyzer import open_bundle
from gateway.routing.router import Router

_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WouldBe:
    """A file's fate. outcome: `eligible (header)`, an outcome code, or `refused`; pixels are not looked at."""

    file: str
    route: str | None
    outcome: str
    reason: str
    refused: bool


def files_under(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def dry_run(settings: Settings, files: Sequence[Path], *, peer: str | None = None) -> Iterator[WouldBe]:
    """peer: as if that peer had sent them; None = every route is tried."""
    set_tolerant_reading()
    router = Router(settings, accept_for_processing=_accepts_for_processing(settings))
    for file in files:
        yield _fate(router, file, peer, settings.receiver.max_message_mb * _MEBIBYTE)


def _accepts_for_processing(settings: Settings) -> bool:
    """What the bundle says; where there is none yet, what a demonstration bundle would say."""
    try:
        return open_bundle(settings.model.bundle).model.preprocessing.accept_for_processing
    except BundleError:
        return False


def _fate(router: Router, file: Path, peer: str | None, max_bytes: int) -> WouldBe:
    try:
        found = read_foreign_file(file, max_bytes=max_bytes)
        header = read_received(found.content, found.transfer_syntax_uid)
    except DefectiveDatasetError as error:
        return WouldBe(file.name, None, "refused", error.defect.value, refused=True)
    except UnreadableInstanceError as error:
        return WouldBe(file.name, None, "refused", error.detail, refused=True)
    if header.identity.sop_class_uid == KEY_OBJECT_SELECTION:
        return _document(file, header.dataset)
    decision = router.decide(read_attributes(header.dataset), lookup(header.dataset), peer)
    outcome = "eligible (header)" if decision.outcome is None else decision.outcome.value
    return WouldBe(file.name, decision.route, outcome, decision.reason, refused=False)


def _document(file: Path, dataset: Dataset) -> WouldBe:
    """A Key Object Selection goes by no route."""
    try:
        found = key_objects_of(dataset)
    except KeyObjectError as error:
        return WouldBe(file.name, None, error.code, error.detail, refused=False)
    return WouldBe(file.name, None, found.outcome.value, found.title, refused=False)
