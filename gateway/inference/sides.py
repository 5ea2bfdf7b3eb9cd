"""Which side a knee is, in the gateway's own words; the rule itself is strnet_core's."""

from __future__ import annotations

from gateway.domain.finding import Laterality, LateralitySource
from strnet_core.knees import sides_of_knees

Side = tuple[Laterality, LateralitySource]


def knee_sides(named: frozenset[str], row_direction: str, knees: int) -> tuple[Side, ...]:
    """Side and how it is known, from the image's left to its right.

    Parameters
    ----------
    named: the sides that tags name: R, L, B (both).
    row_direction: first value of Patient Orientation (PS3.3 C.7.6.1.1.1), empty when it is absent.
    knees: 1 or 2.
    """
    return tuple((Laterality(side), LateralitySource(source)) for side, source in sides_of_knees(named, row_direction, knees))
