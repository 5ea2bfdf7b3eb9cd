"""What speaks against assessing a radiograph or a knee, as numbers; the thresholds are a table, and a site's to change."""

from strnet_core.quality.exposure import blank, clipped, overexposed, polarity_suspect, underexposed
from strnet_core.quality.flags import DEFAULT_FLAGS, DEFAULT_THRESHOLDS, Flag, raised
from strnet_core.quality.metal import JointWindow, joint_window, metal
from strnet_core.quality.text import burned_in_text

__all__ = [
    "DEFAULT_FLAGS",
    "DEFAULT_THRESHOLDS",
    "Flag",
    "JointWindow",
    "blank",
    "burned_in_text",
    "clipped",
    "joint_window",
    "metal",
    "overexposed",
    "polarity_suspect",
    "raised",
    "underexposed",
]
