"""Key Object Selection Documents (PS3.3 A.35.4, PS3.16 TID 2010) as others write them: their title, and what they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicom.attributes import is_made_by_us
from gateway.dicom.characters import READ_ERRORS, text
from gateway.dicom.part10 import read_header
from gateway.dicom.uids import is_legal
from gateway.domain.correction import KeyObjects, NamedInstance
from gateway.errors import KeyObjectError

_MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_NAMED: Final = 10_000
"""A study of radiographs has a handful; a CT study, a few thousand."""
_MAX_ITEMS: Final = 10 * _MAX_NAMED
_MAX_DEPTH: Final = 16
_DCM: Final = "DCM"
_EVIDENCE: Final = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def read_key_objects(path: Path) -> KeyObjects:
    """A file of our spool. KeyObjectError when it is too large, names too much or cannot be read: half of a rejection is none."""
    if path.stat().st_size > _MAX_BYTES:
        raise KeyObjectError("too_large")
    return key_objects_of(read_header(path))


def key_objects_of(dataset: Dataset) -> KeyObjects:
    """What the content tree names; where it names nothing, the evidence. KeyObjectError as `read_key_objects`."""
    try:
        return _read(dataset)
    except READ_ERRORS as error:
        raise KeyObjectError(type(error).__name__) from error


def _read(dataset: Dataset) -> KeyObjects:
    budget = _Budget()
    studies = dict(_evidence(dataset, budget))
    named = list(dict.fromkeys(_named_in(dataset, budget, 0))) or list(studies)
    return KeyObjects(
        title=_title(dataset),
        named=tuple(NamedInstance(sop_instance_uid=uid, study_instance_uid=studies.get(uid)) for uid in named),
        made_by_us=is_made_by_us(dataset),
    )


class _Budget:
    """Bounds what is looked at, however it is nested or repeated."""

    def __init__(self) -> None:
        self._items = 0
        self._named = 0

    def item(self) -> None:
        self._items += 1
        if self._items > _MAX_ITEMS:
            raise KeyObjectError("too_many_items")

    def named(self) -> None:
        self._named += 1
        if self._named > 2 * _MAX_NAMED:
            raise KeyObjectError("too_many_named")


def _title(dataset: Dataset) -> str:
    """Code Value of the Document Title (PS3.16 CID 7010); empty where it is of another scheme, or none."""
    for item in _items(dataset, "ConceptNameCodeSequence"):
        return text(item, "CodeValue") if text(item, "CodingSchemeDesignator") == _DCM else ""
    return ""


def _named_in(dataset: Dataset, budget: _Budget, depth: int) -> Iterator[str]:
    """Instances that IMAGE, COMPOSITE and WAVEFORM content items refer to."""
    if depth > _MAX_DEPTH:
        raise KeyObjectError("too_deep")
    for item in _items(dataset, "ContentSequence"):
        budget.item()
        yield from _references(item, budget)
        yield from _named_in(item, budget, depth + 1)


def _references(item: Dataset, budget: _Budget) -> Iterator[str]:
    for reference in _items(item, "ReferencedSOPSequence"):
        budget.item()
        uid = text(reference, "ReferencedSOPInstanceUID")
        if is_legal(uid):
            budget.named()
            yield uid


def _evidence(dataset: Dataset, budget: _Budget) -> Iterator[tuple[str, str | None]]:
    """SOP Instance UIDs with their studies (PS3.3 C.17.2.3)."""
    for name in _EVIDENCE:
        for study in _items(dataset, name):
            budget.item()
            study_uid = text(study, "StudyInstanceUID")
            for series in _items(study, "ReferencedSeriesSequence"):
                budget.item()
                for uid in _references(series, budget):
                    yield uid, study_uid if is_legal(study_uid) else None


def _items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    found = dataset.get(keyword)
    return tuple(found) if isinstance(found, Sequence) else ()
