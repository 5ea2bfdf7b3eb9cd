"""DXA results as a table, and the class that follows from them by a site rule."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from strnet_core.errors import DxaTableError
from strnet_core.evaluation.case import NORMAL, OSTEOPENIA, OSTEOPOROSIS
from strnet_core.evaluation.table_cells import read_rows

SiteRule = Literal["lowest", "complete"]
"""The lowest T-score of the named sites that were measured; `complete`: only of examinations that measured all of them."""
DEFAULT_SITES = ("lumbar_spine", "total_hip", "femoral_neck")
_OSTEOPOROSIS_AT = -2.5
_NORMAL_FROM = -1.0
_REQUIRED = ("patient_id", "date", "site", "t_score")
_DIGITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One person's DXA of one day by the site rule."""

    day: date
    t_score: float

    @property
    def label_cls(self) -> int:
        """WHO: osteoporosis at -2.5 and below, normal at -1.0 and above."""
        if self.t_score <= _OSTEOPOROSIS_AT:
            return OSTEOPOROSIS
        return NORMAL if self.t_score >= _NORMAL_FROM else OSTEOPENIA


@dataclass(frozen=True, slots=True, kw_only=True)
class DxaTable:
    """Examinations by patient id and then by issuer (empty where none is named). Counts say what was left out."""

    exams: Mapping[str, Mapping[str, tuple[Exam, ...]]]
    rows: int
    rows_of_other_sites: int
    used: int
    contradictory: int
    """Examinations that name one site twice with two T-scores: nobody can know which is right."""
    incomplete: int
    """By the rule `complete`."""


def read_dxa(path: Path, sites: Sequence[str], rule: SiteRule, *, issuer: str = "") -> DxaTable:
    """A row per measured site: patient_id, issuer_of_patient_id where there are several, date, site, t_score.

    sites: as in the table; case, blanks and hyphens do not matter. issuer: of rows that name none. Raises DxaTableError.
    """
    wanted = {_site(site) for site in sites}
    measured: dict[tuple[str, str, date], dict[str, set[float]]] = {}
    rows = list(read_rows(path, _REQUIRED, DxaTableError))
    others = 0
    for row in rows:
        day, t_score = row.day("date"), row.figure("t_score", -15.0, 15.0)
        site = _site(row.required("site"))
        if day is None:
            raise row.wrong("date", "is empty")
        if t_score is None:
            raise row.wrong("t_score", "is empty")
        if site not in wanted:
            others += 1
            continue
        key = (row.required("patient_id"), row.text("issuer_of_patient_id") or issuer, day)
        measured.setdefault(key, {}).setdefault(site, set()).add(t_score)
    if not measured:
        raise DxaTableError(f"{path.name} has no row of the sites {', '.join(sites)}")
    return _table(measured, wanted, rule, len(rows), others)


def _table(
    measured: Mapping[tuple[str, str, date], Mapping[str, set[float]]], wanted: set[str], rule: SiteRule, rows: int, others: int
) -> DxaTable:
    exams: dict[str, dict[str, list[Exam]]] = {}
    contradictory = incomplete = used = 0
    for (patient, issuer, day), by_site in sorted(measured.items()):
        if any(len(found) > 1 for found in by_site.values()):
            contradictory += 1
        elif rule == "complete" and set(by_site) != wanted:
            incomplete += 1
        else:
            used += 1
            lowest = min(value for found in by_site.values() for value in found)
            exams.setdefault(patient, {}).setdefault(issuer, []).append(Exam(day=day, t_score=lowest))
    return DxaTable(
        exams={patient: {issuer: tuple(found) for issuer, found in by_issuer.items()} for patient, by_issuer in exams.items()},
        rows=rows,
        rows_of_other_sites=others,
        used=used,
        contradictory=contradictory,
        incomplete=incomplete,
    )


def _site(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def by_subject(table: DxaTable, key: bytes) -> dict[str, tuple[Exam, ...]]:
    """Examinations by the numbers that `audit export --key-file` gives; id and issuer must be written alike on both sides."""
    return {
        subject_number(key, patient, issuer): found for patient, by_issuer in table.exams.items() for issuer, found in by_issuer.items()
    }


def subject_number(key: bytes, patient_id: str, issuer: str) -> str:
    """As the export makes it: HMAC-SHA-256 over `subject`, issuer and patient id, parted by unit separators, 24 hexadecimal digits."""
    message = f"subject\x1f{issuer.strip()}\x1f{patient_id.strip()}"
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
