"""What a knee film shows, true to size: every parameter with its unit and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from strnet_core.phantom.parameters import Side

Marker = Literal["none", "letter", "plate"]
Implant = Literal["none", "knee", "screws", "nail"]

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "rows": (256, 8192),
    "columns": (256, 8192),
    "pixel_spacing_mm": (0.05, 1.0),
    "joint_height": (0.3, 0.7),
    "offset_mm": (-40.0, 40.0),
    "tilt_degrees": (-30.0, 30.0),
    "femur_width_mm": (65.0, 105.0),
    "shaft_width_mm": (22.0, 40.0),
    "joint_space_mm": (0.0, 9.0),
    "alignment_degrees": (-12.0, 12.0),
    "cortical_thickness_mm": (0.8, 8.0),
    "cancellous_density": (0.0, 1.0),
    "trabecular_contrast": (0.0, 1.0),
    "trabecular_spacing_mm": (0.4, 4.0),
    "trabecular_anisotropy": (1.0, 8.0),
    "soft_tissue_mm": (4.0, 60.0),
    "collimation_mm": (0.0, 60.0),
    "collimation_tilt_degrees": (-10.0, 10.0),
    "exposure": (0.3, 3.0),
    "scatter": (0.0, 0.6),
    "blur_mm": (0.0, 2.0),
    "noise": (0.0, 1.0),
}
"""Smallest and largest value of each number, both allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmParameters:
    """An AP film of one knee or of both. Raises ValueError where a value is out of its range (`RANGES`)."""

    side: Side = "R"
    """Side of the body; the fibula is drawn on the outer side. Without meaning for two knees: the right one is on the image's left."""
    knees: Literal[1, 2] = 1
    rows: int = 1400
    columns: int = 1100
    pixel_spacing_mm: float = 0.2
    """Of both directions; every length below is drawn with it."""
    joint_height: float = 0.48
    """Where the joint is, as a share of the rows."""
    offset_mm: float = 0.0
    """Of the knee from the middle of its field, to the outer side."""
    tilt_degrees: float = 0.0
    """Of the whole leg, clockwise."""
    femur_width_mm: float = 84.0
    """Over both condyles; the tibia's plateau is 0.92 of it."""
    shaft_width_mm: float = 29.0
    """Of the femur 10 cm above the joint; the tibia's is 0.86 of it."""
    joint_space_mm: float = 4.5
    alignment_degrees: float = 0.0
    """Of the tibia against the femur; positive = varus (bow leg)."""
    cortical_thickness_mm: float = 4.0
    """Of the shafts' walls; the shell about the joint is 0.22 of it."""
    cancellous_density: float = 0.6
    """Mineral between the cortices, 0 porotic to 1 dense."""
    trabecular_contrast: float = 0.25
    """Standard deviation of the cancellous bone's attenuation, as a share of it."""
    trabecular_spacing_mm: float = 1.0
    """Across the leg, from one trabecula to the next."""
    trabecular_anisotropy: float = 3.0
    """How many times longer than wide the trabeculae are; they run along the leg."""
    soft_tissue_mm: float = 22.0
    """Muscle, fat and skin beside the knee."""
    fibula: bool = True
    patella: bool = True
    marker: Marker = "letter"
    """none; a bare lead letter; or a plate with the letter cut out of it."""
    implant: Implant = "none"
    """none; a total knee replacement; two screws in the tibial plateau; a nail in the tibia's shaft."""
    collimation_mm: float = 3.0
    """Covered by the collimator's leaves at each border."""
    collimation_tilt_degrees: float = 0.0
    exposure: float = 1.0
    """Steepness of the grey scale; 1 = usual."""
    scatter: float = 0.12
    """Share of the image that is veiled by scattered radiation."""
    blur_mm: float = 0.15
    """Standard deviation of the detector's and the focal spot's blur."""
    noise: float = 0.3
    """Quantum noise, 0 none to 1 strong."""

    def __post_init__(self) -> None:
        # written so that a value that is no number fails
        wrong = [name for name, (low, high) in RANGES.items() if not low <= getattr(self, name) <= high]
        allowed = {"side": get_args(Side), "knees": (1, 2), "marker": get_args(Marker), "implant": get_args(Implant)}
        wrong += [name for name, values in allowed.items() if getattr(self, name) not in values]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")


def with_density(parameters: FilmParameters, density: float) -> FilmParameters:
    """Cortex, cancellous bone and trabeculae of a bone of density 0 (porotic) to 1 (dense). Raises ValueError outside of it.

    Porotic bone has thin walls, little between them, and fewer, coarser trabeculae that stand out along the leg.
    """
    if not 0.0 <= density <= 1.0:
        raise ValueError("out of range: density")
    return replace(
        parameters,
        cortical_thickness_mm=1.8 + 4.0 * density,
        cancellous_density=0.15 + 0.75 * density,
        trabecular_contrast=0.42 - 0.26 * density,
        trabecular_spacing_mm=1.7 - 0.9 * density,
        trabecular_anisotropy=4.5 - 2.5 * density,
    )
