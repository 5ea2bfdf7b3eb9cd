"""Reads the answer to a STOW-RS store transaction (PS3.18 10.5.3.2, table I.2-2) in DICOM JSON (PS3.18 F): what it says of one instance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_REFERENCED, _FAILED = "00081199", "00081198"
_INSTANCE, _WARNING, _FAILURE = "00081155", "00081196", "00081197"
_MAX_STATUS: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """status: the warning or failure reason, None without one."""

    stored: bool
    status: int | None


def stated_of(body: bytes, sop_instance_uid: str) -> Stated | None:
    """None when the body does not name the instance. Where it names it as stored and as failed, it has failed."""
    failed = _item(body, _FAILED, sop_instance_uid)
    if failed is not None:
        return Stated(stored=False, status=_status(failed, _FAILURE))
    stored = _item(body, _REFERENCED, sop_instance_uid)
    return None if stored is None else Stated(stored=True, status=_status(stored, _WARNING))


def _item(body: bytes, sequence: str, sop_instance_uid: str) -> dict[str, Any] | None:
    items = (item for dataset in _datasets(body) for item in _values(dataset, sequence))
    return next((item for item in items if sop_instance_uid in _values(item, _INSTANCE)), None)


def _datasets(body: bytes) -> Iterator[Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    # one data set, or an array of them: servers differ
    yield from content if isinstance(content, list) else (content,)


def _values(dataset: Any, tag: str) -> list[Any]:
    element = dataset.get(tag) if isinstance(dataset, dict) else None
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def _status(item: dict[str, Any], tag: str) -> int | None:
    found = next(iter(_values(item, tag)), None)
    return found if type(found) is int and 0 < found <= _MAX_STATUS else None
