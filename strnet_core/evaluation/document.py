"""The report as JSON: the values by their names, without the cases themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from strnet_core.evaluation.estimate import Estimate
from strnet_core.evaluation.evaluation import Evaluation

SCHEMA = 1
_WITHHELD = frozenset({"cases", "scores"})
"""Of single patients, which a report is not to hold."""


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values for json.dumps. An estimate that could not be measured has no value and says why."""
    found: dict[str, Any] = {"schema": SCHEMA, **plain(evaluation)}
    found["cohort"]["n"] = len(evaluation.cohort.cases)
    return found


def plain(value: Any) -> Any:
    """Dataclasses become objects, tuples lists; of an estimate only what it has."""
    if isinstance(value, Estimate):
        return {name: item for name, item in dataclasses.asdict(value).items() if item not in (None, "")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value) if item.name not in _WITHHELD}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
