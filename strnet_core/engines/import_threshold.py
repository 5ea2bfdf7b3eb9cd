"""Which threshold an imported bundle gets, and in which words it says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from strnet_core.bundle import decision_logit
from strnet_core.errors import CheckpointError
from strnet_core.network.checkpoint import THRESHOLD_KEY

_GRID_PLACES = 2
"""The authors search 0.20, 0.21 ... 0.80."""
_NOISE = 1e-9
"""Adding 0.01 up to 60 times leaves an error of about 5e-16 (the last point is 0.8000000000000005)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdChoice:
    """What the person who imports asks for; without anything, the checkpoint's own threshold is kept to the last bit."""

    given: float | None = None
    """Replaces the checkpoint's."""
    origin: str = ""
    """Where the given one comes from, in the words of who gives it."""
    none: bool = False
    """Make a bundle that cannot decide."""
    rounded: bool = False
    """Take the rounding noise of the authors' search off: 0.4400000000000002 becomes 0.44."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenThreshold:
    value: float | None
    origin: str


def choose_threshold(stored: float | None, choice: ThresholdChoice) -> ChosenThreshold:
    """The screening threshold of an import. Raises CheckpointError for contradictions, absence and values outside of (0, 1)."""
    if choice.none:
        if choice.given is not None or choice.rounded:
            raise CheckpointError("no threshold was asked for, and one too")
        return ChosenThreshold(value=None, origin="left out at import")
    if choice.given is not None:
        if choice.rounded:
            raise CheckpointError("a given threshold is taken as it is; rounding is for the checkpoint's own")
        beside = "" if stored is None else f"; the checkpoint stored {stored!r}"
        return ChosenThreshold(
            value=_valid(choice.given), origin=f"given at import{f' ({choice.origin})' if choice.origin else ''}{beside}"
        )
    if stored is None:
        raise CheckpointError(f"no {THRESHOLD_KEY}; give --threshold, or --no-threshold for a bundle that cannot decide")
    if not choice.rounded:
        return ChosenThreshold(value=_valid(stored), origin=f"{THRESHOLD_KEY} of the checkpoint, unchanged")
    value = round(_valid(stored), _GRID_PLACES)
    if abs(value - stored) > _NOISE:
        raise CheckpointError(f"{THRESHOLD_KEY} {stored!r} is no point of a grid of 0.01, so rounding would change the decision")
    return ChosenThreshold(value=_valid(value), origin=f"{THRESHOLD_KEY} of the checkpoint, {stored!r}, rounded to its grid of 0.01")


def _valid(threshold: float) -> float:
    try:
        decision_logit(threshold)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return threshold
