"""Parts of a data set that share no patient and no duplicate, with the classes in the same proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.errors import ResearchExtraMissingError, TrainingDataError
from strnet_core.training.films import CLASSES
from strnet_core.training.knee_set import Knee
from strnet_core.training.settings import PlanSettings

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One fit: places in the knee set, ascending. `validation` and `test` may be empty."""

    fold: int
    train: Indices
    validation: Indices
    test: Indices


def split(knees: Sequence[Knee], plan: PlanSettings, seed: int) -> tuple[Part, ...]:
    """The fits of a plan, the same for the same knees and seed.

    Raises TrainingDataError where a part would lack normal or bone-loss knees: nothing could be measured on it, or learned from it.
    """
    everything = np.arange(len(knees))
    if plan.kind == "all":
        none = np.empty(0, np.int64)
        return (_checked(Part(fold=0, train=everything, validation=none, test=none), knees),)
    number = plan.folds if plan.kind == "folds" else plan.parts
    tests = _parted(everything, knees, number, seed)
    chosen = tests if plan.kind == "folds" else tests[:1]
    return tuple(_checked(_part(fold, test, knees, plan, seed), knees) for fold, test in enumerate(chosen))


def _part(fold: int, test: Indices, knees: Sequence[Knee], plan: PlanSettings, seed: int) -> Part:
    rest = np.setdiff1d(np.arange(len(knees)), test)
    validation = _parted(rest, knees, plan.validation_parts, seed)[0] if plan.validation_parts else np.empty(0, np.int64)
    return Part(fold=fold, train=np.setdiff1d(rest, validation), validation=validation, test=test)


def _parted(places: Indices, knees: Sequence[Knee], number: int, seed: int) -> list[Indices]:
    """`number` disjoint parts of these places, groups whole."""
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise ResearchExtraMissingError("scikit-learn") from error
    labels = [knees[place].film.label for place in places]
    groups = [knees[place].group for place in places]
    for label, name in enumerate(CLASSES):
        count = len({group for group, own in zip(groups, labels, strict=True) if own == label})
        if 0 < count < number:
            raise TrainingDataError(f"{number} parts of {count} patients with {name}; take fewer parts")
    splitter = StratifiedGroupKFold(n_splits=number, shuffle=True, random_state=seed)
    return [np.sort(places[test]) for _, test in splitter.split(np.zeros(len(places)), labels, groups)]


def _checked(part: Part, knees: Sequence[Knee]) -> Part:
    for name, places in (("training", part.train), ("validation", part.validation), ("test", part.test)):
        kinds = {knees[place].is_bone_loss for place in places}
        if places.size and len(kinds) == 1:
            raise TrainingDataError(f"fold {part.fold}: the {name} part has knees of one class only")
    return part
