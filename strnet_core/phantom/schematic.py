"""The schematic knee: AP and lateral."""

from __future__ import annotations

import cv2
import numpy as np

from strnet_core.phantom.anatomy import Anatomy
from strnet_core.phantom.outlines import Outline, ellipse, placed


def draw_ap(anatomy: Anatomy) -> None:
    """Outer side to the right."""
    joint = 0.47 + anatomy.jitter(0.012)
    size = 1.0 + anatomy.jitter(0.04)
    _leg(anatomy, joint, size, ((0.0, 0.235), (0.25, 0.225), (0.5, 0.205), (0.62, 0.185), (0.78, 0.205), (1.0, 0.165)))
    femur = (
        (-0.066, -0.02), (-0.064, 0.17), (-0.070, 0.26), (-0.098, 0.325), (-0.140, 0.372), (-0.150, 0.41), (-0.142, 0.448),
        (-0.112, 0.465), (-0.070, 0.467), (-0.036, 0.455), (-0.016, 0.425), (0.0, 0.412), (0.016, 0.425), (0.036, 0.452),
        (0.070, 0.463), (0.108, 0.460), (0.136, 0.444), (0.145, 0.41), (0.134, 0.372), (0.096, 0.325), (0.070, 0.26),
        (0.064, 0.17), (0.066, -0.02),
    )  # fmt: skip
    tibia = (
        (-0.146, 0.492), (-0.112, 0.484), (-0.060, 0.489), (-0.024, 0.484), (-0.012, 0.468), (0.0, 0.481), (0.014, 0.470),
        (0.026, 0.485), (0.062, 0.490), (0.112, 0.485), (0.144, 0.492), (0.146, 0.520), (0.124, 0.560), (0.090, 0.620),
        (0.066, 0.70), (0.058, 0.80), (0.056, 1.02), (-0.056, 1.02), (-0.060, 0.80), (-0.070, 0.70), (-0.094, 0.620),
        (-0.128, 0.560), (-0.148, 0.520),
    )  # fmt: skip
    fibula = (
        (0.116, 0.552), (0.130, 0.540), (0.152, 0.543), (0.166, 0.560), (0.164, 0.590), (0.148, 0.625), (0.140, 0.70),
        (0.134, 0.85), (0.126, 1.02), (0.088, 1.02), (0.096, 0.85), (0.106, 0.70), (0.114, 0.625), (0.112, 0.59),
    )  # fmt: skip
    patella = ellipse(0.006 + anatomy.jitter(0.006), 0.372, 0.072, 0.054)
    anatomy.add_bone(placed(femur, joint, size), 0.062)
    anatomy.add_bone(placed(tibia, joint, size), 0.062)
    anatomy.add_bone(placed(fibula, joint, size), 0.020, weight=0.8)
    anatomy.add_bone(placed(patella, joint, size), 0.045, weight=0.35)


def draw_lateral(anatomy: Anatomy) -> None:
    """Front of the knee to the right."""
    joint, size = 0.47 + anatomy.jitter(0.012), 1.0 + anatomy.jitter(0.04)
    _leg(anatomy, joint, size, ((0.0, 0.230), (0.3, 0.215), (0.5, 0.200), (0.65, 0.190), (0.8, 0.200), (1.0, 0.150)))
    femur = (
        (-0.046, -0.02), (-0.044, 0.20), (-0.060, 0.29), (-0.116, 0.335), (-0.138, 0.385), (-0.124, 0.435), (-0.080, 0.462),
        (-0.030, 0.467), (0.030, 0.458), (0.078, 0.425), (0.092, 0.380), (0.082, 0.335), (0.062, 0.285), (0.050, 0.20),
        (0.050, -0.02),
    )  # fmt: skip
    tibia = (
        (-0.128, 0.500), (-0.090, 0.487), (0.0, 0.486), (0.082, 0.490), (0.102, 0.510), (0.104, 0.560), (0.094, 0.600),
        (0.064, 0.66), (0.052, 0.80), (0.048, 1.02), (-0.050, 1.02), (-0.056, 0.80), (-0.070, 0.64), (-0.106, 0.555),
    )  # fmt: skip
    fibula = (
        (-0.148, 0.560), (-0.132, 0.540), (-0.108, 0.552), (-0.096, 0.60), (-0.092, 0.75), (-0.078, 1.02), (-0.112, 1.02),
        (-0.124, 0.75), (-0.136, 0.60),
    )  # fmt: skip
    patella = ((0.122, 0.315), (0.150, 0.300), (0.166, 0.330), (0.164, 0.375), (0.146, 0.400), (0.126, 0.370))
    for outline, depth, weight in ((femur, 0.055, 1.1), (tibia, 0.055, 1.1), (fibula, 0.018, 0.7), (patella, 0.03, 0.8)):
        anatomy.add_bone(placed(outline, joint, size), depth, weight)


def _leg(anatomy: Anatomy, joint: float, size: float, widths: tuple[tuple[float, float], ...]) -> None:
    """The envelope of muscle and skin, with a denser core of muscle."""
    heights = np.linspace(-0.02, 1.02, 60)
    known, half = np.asarray([height for height, _ in widths]), np.asarray([width for _, width in widths])
    half_widths = np.interp(heights, known + (joint - 0.47), half) * size
    half_widths = cv2.GaussianBlur(half_widths.reshape(1, -1), (0, 0), 2.5).ravel() * (1.0 + anatomy.jitter(0.04))
    for share, amount in ((1.0, 0.30), (0.86, 0.16)):
        left = np.stack((-half_widths * share, heights), axis=1)
        right = np.stack((half_widths * share, heights), axis=1)
        outline: Outline = np.concatenate((left, right[::-1])).astype(np.float64)
        anatomy.add_soft(outline, amount, 0.16 * share)
