"""A threshold that an earlier report has searched, taken over for another cohort."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from strnet_core.errors import EvaluationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """origin: where it comes from, for the reader of a report."""

    threshold: float
    origin: str


def read_searched(report: Path, *, besides_sha256: str) -> Searched:
    """Of a report.json. Raises EvaluationError for anything else, and for a report of the very table that is evaluated now."""
    try:
        document = json.loads(report.read_bytes())
        source, found, cohort = document["source"], document["search"]["found"], document["cohort"]
        name, sha256, n, unit = str(source["name"]), str(source["sha256"]), int(cohort["n"]), str(cohort["unit"])
        threshold, feasible = float(found["threshold"]), bool(found["feasible"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{report.name} is no report of an evaluation: {type(error).__name__}") from error
    if sha256 == besides_sha256:
        raise EvaluationError(f"{report.name} is of the same table: a threshold that was searched on these cases looks better than it is")
    if not 0.0 < threshold < 1.0:
        raise EvaluationError(f"{report.name} holds no threshold between 0 and 1")
    told = "" if feasible else ", where none kept the sensitivity"
    return Searched(threshold=threshold, origin=f"searched on {n} {unit}s of {name} ({sha256[:12]}){told}")
