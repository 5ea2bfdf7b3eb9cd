"""A chest, which is no knee."""

from __future__ import annotations

import numpy as np

from strnet_core.phantom.anatomy import Anatomy
from strnet_core.phantom.fields import Field, thickness
from strnet_core.phantom.outlines import ellipse


def chest(shape: tuple[int, int], random: np.random.Generator) -> Field:
    """Rough: a body with two dark lungs, spine, heart and ribs; enough to be no knee."""
    anatomy = Anatomy(shape, 0.6, random)
    anatomy.add_soft(ellipse(0.0, 0.60, 0.48, 0.62), 1.0, 0.30)
    for side in (-1.0, 1.0):
        anatomy.attenuation -= 0.62 * thickness(anatomy.mask(ellipse(0.20 * side, 0.47, 0.145, 0.30)), 0.09 * anatomy.unit)
        for rib in range(8):
            height = 0.22 + 0.065 * rib
            arc = np.asarray([(side * x, height + 0.10 * (x / 0.36) ** 2) for x in np.linspace(0.04, 0.36, 24)])
            band = np.concatenate((arc, arc[::-1] + np.asarray((0.0, 0.018))))
            anatomy.attenuation += 0.10 * thickness(anatomy.mask(band), 0.008 * anatomy.unit)
    anatomy.add_soft(ellipse(0.06, 0.60, 0.13, 0.15), 0.45, 0.08)
    anatomy.add_soft(np.asarray(((-0.035, 0.0), (0.035, 0.0), (0.04, 1.0), (-0.04, 1.0)), np.float64), 0.35, 0.03)
    return np.maximum(anatomy.attenuation, 0.0)
