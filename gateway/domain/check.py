"""What `strnet-gateway check` finds, as lines: what was asked, how it stands, which side is wrong, what to change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.domain.remedies import REMEDIES, Side


class Standing(StrEnum):
    """NOTE: true and worth saying, and nothing that anybody has to change."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One finding. subject: a destination's name, or the part of the gateway. step: what was asked of it. said: what was seen."""

    subject: str
    step: str
    standing: Standing
    code: str
    said: str = ""
    side: Side = Side.NOBODY
    remedy: str = ""


def good(subject: str, step: str, said: str = "") -> Line:
    return Line(subject=subject, step=step, standing=Standing.GOOD, code="good", said=said)


def note(subject: str, step: str, code: str, said: str = "", **facts: str) -> Line:
    """True, and nobody's fault."""
    return Line(subject=subject, step=step, standing=Standing.NOTE, code=code, said=said, remedy=_change(code, facts))


def bad(subject: str, step: str, code: str, said: str = "", **facts: str) -> Line:
    return Line(
        subject=subject, step=step, standing=Standing.BAD, code=code, said=said, side=REMEDIES[code].side, remedy=_change(code, facts)
    )


class _Known(dict[str, str]):
    """A fact that nobody knows shows as a question mark: a check must not fail over its own words."""

    def __missing__(self, key: str) -> str:
        return "?"


def _change(code: str, facts: Mapping[str, str]) -> str:
    return REMEDIES[code].change.format_map(_Known(facts))


_ERRORS: Final[Mapping[tuple[str, str], str]] = {
    ("no_association", "no address"): "name_unknown",
    ("no_association", "ConnectionRefusedError"): "connection_refused",
    ("no_association", "TimeoutError"): "connect_timeout",
    ("association_rejected_permanent", "called_ae_title_unknown"): "called_ae_title_unknown",
    ("association_rejected_permanent", "calling_ae_title_unknown"): "calling_ae_title_unknown",
}
_ERRORS_BY_CODE: Final[Mapping[str, str]] = {
    "no_association": "unreachable",
    "association_rejected_permanent": "rejected_permanently",
    "association_rejected_transient": "rejected_for_now",
    "association_lost": "association_lost",
    "no_response": "no_response",
    "tls_failed": "tls_failed",
}


def code_of_failure(code: str, detail: str) -> str:
    """The code of `REMEDIES` for a DestinationError's code and detail."""
    return _ERRORS.get((code, detail)) or (code if code in REMEDIES else _ERRORS_BY_CODE.get(code, "association_lost"))
