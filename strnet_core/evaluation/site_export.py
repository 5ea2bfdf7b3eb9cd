"""The table that `strnet-gateway audit export` writes: one knee per row, as it was judged in a hospital's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from strnet_core.bundle import is_reached
from strnet_core.errors import ExportTableError
from strnet_core.evaluation.case import Sex
from strnet_core.evaluation.table_cells import Cells, read_rows

_REQUIRED = ("image", "subject", "study", "study_date", "decision", "logit", "threshold", "bundle_hash", "manufacturer", "model", "station")
_FLAGGED, _NOT_FLAGGED = "flagged", "not_flagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKnee:
    """None and empty are unknown. logit None: the network was not asked about it, and `decision` says why."""

    image: str
    subject: str
    study: str
    study_date: date | None
    decision: str
    logit: float | None
    threshold: float | None
    severity_logit: float | None
    t_score_pred: float | None
    age: float | None
    sex: Sex | None
    bmi: float | None
    manufacturer: str
    model: str
    station: str
    engine_profile: str
    bundle_hash: str
    shaping_hash: str
    patient_id: str = ""
    """Only where the export was made with identifiers."""
    issuer: str = ""

    @property
    def is_flagged(self) -> bool:
        return self.decision == _FLAGGED

    @property
    def device(self) -> str:
        """Manufacturer and model, as a name for what images share for other reasons than bone."""
        return " ".join(part for part in (self.manufacturer, self.model) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteExport:
    """Of one bundle."""

    knees: tuple[SiteKnee, ...]
    bundle_hash: str
    threshold: float
    has_identifiers: bool


def read_site_export(path: Path, bundle: str = "") -> SiteExport:
    """Knees of the one bundle in the table, or of the one whose hash begins so. Raises ExportTableError."""
    rows = list(read_rows(path, _REQUIRED, ExportTableError))
    identified = any(row.text("patient_id") for row in rows)
    knees = tuple(_knee(row) for row in rows if row.text("bundle_hash").startswith(bundle.lower()))
    _refuse_repeated(knees)
    hashes = {knee.bundle_hash for knee in knees}
    if len(hashes) != 1:
        told = ", ".join(sorted(each[:12] for each in hashes)) or "none"
        raise ExportTableError(f"one bundle is expected, there are {len(hashes)} ({told}); choose with --bundle")
    thresholds = {knee.threshold for knee in knees if knee.threshold is not None}
    if len(thresholds) != 1:
        raise ExportTableError(f"{len(thresholds)} thresholds for one bundle")
    return SiteExport(knees=knees, bundle_hash=hashes.pop(), threshold=thresholds.pop(), has_identifiers=identified)


def _refuse_repeated(knees: Sequence[SiteKnee]) -> None:
    names = [(knee.image, knee.bundle_hash) for knee in knees]
    if len(set(names)) < len(names):
        raise ExportTableError("a knee stands there twice; do not put exports together that overlap")


def _knee(row: Cells) -> SiteKnee:
    decision, logit, threshold = row.required("decision"), row.figure("logit"), row.figure("threshold", 0.0, 1.0)
    assessed = decision in (_FLAGGED, _NOT_FLAGGED)
    if assessed != (logit is not None) or assessed != (threshold is not None):
        raise row.wrong("decision", "does not go with logit and threshold")
    if logit is not None and threshold is not None and is_reached(logit, threshold) != (decision == _FLAGGED):
        raise row.wrong("decision", "is not what logit and threshold say")
    return SiteKnee(
        image=row.required("image"),
        subject=row.text("subject"),
        study=row.required("study"),
        study_date=row.day("study_date"),
        decision=decision,
        logit=logit,
        threshold=threshold,
        severity_logit=row.figure("severity_logit"),
        t_score_pred=row.figure("t_score_pred"),
        age=row.figure("age", 0, 130),
        sex=_sex(row.text("sex")),
        bmi=row.figure("bmi", 5, 120),
        manufacturer=row.text("manufacturer"),
        model=row.text("model"),
        station=row.text("station"),
        engine_profile=row.text("engine_profile"),
        bundle_hash=row.required("bundle_hash"),
        shaping_hash=row.text("shaping_hash"),
        patient_id=row.text("patient_id"),
        issuer=row.text("issuer_of_patient_id"),
    )


def _sex(text: str) -> Sex | None:
    return "F" if text == "F" else "M" if text == "M" else None
