"""Tables of an export and of DXA results whose join is known by construction."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from strnet_core.bundle import is_reached

BUNDLE = "b" * 64
COLUMNS = (
    "image", "subject", "study", "study_date", "laterality", "decision", "logit", "score", "threshold", "severity_logit", "t_score_pred",
    "age", "sex", "bmi", "modality", "manufacturer", "model", "station", "quality_flags", "engine_profile", "bundle_hash", "shaping_hash",
    "assessed_at", "patient_id", "issuer_of_patient_id",
)  # fmt: skip
DXA_COLUMNS = ("patient_id", "issuer_of_patient_id", "date", "site", "t_score")


def knee(number: int, **changes: object) -> dict[str, object]:
    """A knee of patient Pn, assessed on 1 June 2026."""
    logit = changes.pop("logit", 0.5)
    found: dict[str, object] = {
        "image": f"i{number}#1",
        "subject": f"s{number}",
        "study": f"st{number}",
        "study_date": "2026-06-01",
        "decision": "flagged" if is_reached(float(logit), 0.44) else "not_flagged",
        "logit": logit,
        "threshold": 0.44,
        "age": 60,
        "sex": "FM"[number % 2],
        "manufacturer": "ACME",
        "model": "X1",
        "station": "ROOM1",
        "engine_profile": "torch-cpu-float32",
        "bundle_hash": BUNDLE,
        "shaping_hash": "c" * 64,
        "patient_id": f"P{number}",
        "issuer_of_patient_id": "",
    }
    return {**found, **changes}


def refused(number: int, code: str = "excluded_metal", **changes: object) -> dict[str, object]:
    return {**knee(number), "decision": code, "logit": "", "threshold": "", **changes}


def measured(number: int, t_score: float, **changes: object) -> dict[str, object]:
    return {"patient_id": f"P{number}", "date": "2026-06-10", "site": "total_hip", "t_score": t_score, **changes}


def write_export(path: Path, rows: list[dict[str, object]]) -> Path:
    return _write(path, COLUMNS, rows)


def write_dxa(path: Path, rows: list[dict[str, object]]) -> Path:
    return _write(path, DXA_COLUMNS, rows)


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def cohort(patients: int, *, signal: float = 2.0, seed: int = 4, age: int = 60) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Every second one with bone loss (T -1.5 or -3), the others normal; the logit rises with bone loss."""
    random = np.random.default_rng(seed)
    knees, dxa = [], []
    for number in range(patients):
        loss = number % 2 == 1
        t_score = (-1.5, -3.0)[number // 2 % 2] if loss else 0.5
        knees.append(knee(number, logit=float(random.normal() + (signal if loss else -signal) / 2), age=age))
        dxa.append(measured(number, t_score))
    return knees, dxa
