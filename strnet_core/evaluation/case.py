"""One image or patient with what is known of it and what the network said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NORMAL, OSTEOPENIA, OSTEOPOROSIS = 0, 1, 2
Sex = Literal["M", "F"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row of a table of predictions. None is unknown."""

    image: str
    patient_id: str
    """Where it is unknown, the group or else the film stands in."""
    is_patient_known: bool = True
    group: str = ""
    """Cases of one group are not independent (duplicates, one patient); empty = the patient."""
    fold: str | None = None
    """In which part of a cross-validation the case was held out."""
    label_cls: int | None = None
    """0 normal, 1 osteopenia, 2 osteoporosis."""
    t_score: float | None = None
    """Of the reference (DXA, or whatever the data set has)."""
    age: float | None = None
    """Years."""
    sex: Sex | None = None
    bmi: float | None = None
    """kg/m2."""
    logit: float | None = None
    """Of the screening head; bone loss is the positive class."""
    severity_logit: float | None = None
    """Osteoporosis is the positive class."""
    t_score_pred: float | None = None
    family: str | None = None
    """Acquisition family: what images have in common for reasons other than bone."""
    size: tuple[int, int] | None = None
    """Columns and rows of the image as it came."""
    refused: str = ""
    """Why there is no prediction, where it is known: a code."""

    @property
    def cluster(self) -> str:
        """Cases that are drawn together by the bootstrap and kept together by cross-validation."""
        return self.group or self.patient_id

    @property
    def has_bone_loss(self) -> bool:
        """Osteopenia or osteoporosis. Raises ValueError for a case without a label."""
        if self.label_cls is None:
            raise ValueError("a case without a label")
        return self.label_cls >= OSTEOPENIA
