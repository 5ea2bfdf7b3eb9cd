"""A field that the shapes of one schematic knee are added to."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.phantom.fields import Field, distance, fractional_noise, thickness
from strnet_core.phantom.outlines import Outline


class Anatomy:
    """A field that shapes are added to; remembers size, density and the random source of one knee."""

    def __init__(self, shape: tuple[int, int], density: float, random: np.random.Generator) -> None:
        self.shape = shape
        self.density = density
        self.random = random
        self.attenuation: Field = np.zeros(shape, np.float32)
        # width of the drawing: a leg keeps its proportions on portrait and landscape films
        self.unit = min(1.25 * float(shape[1]), 0.95 * float(shape[0]))
        self.texture = fractional_noise(shape, random)

    def points(self, outline: Outline) -> npt.NDArray[np.int32]:
        """Pixels (x, y) in 1/16 of an outline whose x is in units around the middle and whose y is 0..1 of the height."""
        x = self.shape[1] / 2.0 + outline[:, 0] * self.unit
        y = outline[:, 1] * self.shape[0]
        return np.rint(np.stack((x, y), axis=1) * 16.0).astype(np.int32)

    def mask(self, outline: Outline) -> npt.NDArray[np.uint8]:
        drawn = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(drawn, [self.points(outline)], (255,), lineType=cv2.LINE_AA, shift=4)
        return drawn

    def add_soft(self, outline: Outline, amount: float, depth: float) -> None:
        """Soft tissue: rounds off over `depth` units from its edge."""
        self.attenuation += amount * thickness(self.mask(outline), depth * self.unit)

    def add_bone(self, outline: Outline, depth: float, weight: float = 1.0) -> None:
        """Bone: cancellous inside, a dense shell, trabeculae; all grow with the density."""
        mask = self.mask(outline)
        inward = distance(mask)
        inside = thickness(mask, depth * self.unit)
        shell_width = (0.005 + 0.008 * self.density) * self.unit
        shell = np.exp(-(((inward - shell_width) / shell_width) ** 2)) * (mask > 0)
        amount = weight * (0.16 + 0.30 * self.density)
        grain = 1.0 + (0.14 + 0.10 * self.density) * self.texture
        self.attenuation += amount * inside * grain + weight * (0.07 + 0.26 * self.density) * shell

    def jitter(self, spread: float) -> float:
        return float(self.random.normal(0.0, spread))
