"""What a schematic phantom shows: the drawing that golden vectors pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

View = Literal["ap", "lateral", "chest"]
Side = Literal["R", "L"]

MAX_VALUE = 4095
"""12 bits stored."""
MAX_TILT = 30.0
"""Degrees."""
_SIDE_RANGE = (128, 8192)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomParameters:
    """What is drawn. Raises ValueError where a value is out of its range."""

    view: View = "ap"
    side: Side = "R"
    """Side of the body; the fibula lies on the outer side (AP: on the image's left for R). Without meaning for two knees."""
    density: float = 0.7
    """Mineral 0 (porotic) to 1 (dense): thickness of the cortex, brightness of bone and contrast of the trabeculae."""
    noise: float = 0.5
    """Quantum noise, 0 none to 1 strong."""
    marker: bool = True
    """A lead letter for the side. Its pixels depend on OpenCV's font, so golden vectors are drawn without."""
    tilt: float = 0.0
    """Rotation of the leg in degrees, clockwise."""
    knees: Literal[1, 2] = 1
    rows: int = 1200
    columns: int = 1000

    def __post_init__(self) -> None:
        low, high = _SIDE_RANGE
        checks = {
            "view": self.view in ("ap", "lateral", "chest"),
            "side": self.side in ("R", "L"),
            "density": 0.0 <= self.density <= 1.0,
            "noise": 0.0 <= self.noise <= 1.0,
            "tilt": abs(self.tilt) <= MAX_TILT,
            "knees": self.knees == 1 or (self.knees == 2 and self.view == "ap"),  # noqa: PLR2004
            "rows": low <= self.rows <= high,
            "columns": low <= self.columns <= high,
        }
        wrong = [name for name, good in checks.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
