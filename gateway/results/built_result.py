"""A finished result, as it is stored and sent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltResult:
    """kind: sr, sc_report_page, sc_overlay_<n> or rejection. content: the complete Part 10 file."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    content: bytes = field(repr=False)
