"""What the pixels say before the network looks: one knee or two and where between, which side, and whether it is a knee."""

from strnet_core.knees.count import KneeCount, count_knees, split_knees
from strnet_core.knees.plausibility import KneeLikeness, knee_likeness
from strnet_core.knees.sides import Side, SideSource, header_sides, sides_of_knees

__all__ = [
    "KneeCount",
    "KneeLikeness",
    "Side",
    "SideSource",
    "count_knees",
    "header_sides",
    "knee_likeness",
    "sides_of_knees",
    "split_knees",
]
