"""What a schematic phantom has besides its anatomy: noise, lead letters, collimation."""

from __future__ import annotations

import cv2
import numpy as np

from strnet_core.phantom.fields import Field
from strnet_core.phantom.parameters import PhantomParameters

_NOISE_SPREAD = 26.0
_LEAD = 3950.0


def add_noise(values: Field, noise: float, random: np.random.Generator) -> None:
    grain = random.standard_normal(values.shape).astype(np.float32)
    values += noise * _NOISE_SPREAD * np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.7), np.float32)


def draw_markers(values: Field, parameters: PhantomParameters) -> None:
    """Lead letters, upper outer corner; on two knees one per side, R on the image's left."""
    rows, columns = values.shape
    height = max(10, rows // 28)
    near, far = round(0.05 * columns), columns - round(0.05 * columns) - height
    places = (("R", near), ("L", far)) if parameters.knees == 2 else ((parameters.side, near if parameters.side == "R" else far),)  # noqa: PLR2004
    lead = np.zeros(values.shape, np.uint8)
    for letter, x in places:
        place = (x, round(0.16 * rows))
        cv2.putText(lead, letter, place, cv2.FONT_HERSHEY_SIMPLEX, height / 22.0, (255,), max(2, height // 9), cv2.LINE_AA)
    share = lead.astype(np.float32) / np.float32(255.0)
    values += share * (np.float32(_LEAD) - values)


def draw_collimation(values: Field, random: np.random.Generator) -> None:
    """The leaves of the collimator: a near-black border with a soft inner edge."""
    rows, columns = values.shape
    left, right, top, bottom = (0.012 + 0.012 * random.random(4)).tolist()
    window: Field = np.zeros(values.shape, np.float32)
    window[round(top * rows) : rows - round(bottom * rows), round(left * columns) : columns - round(right * columns)] = 1.0
    softened = np.asarray(cv2.GaussianBlur(window, (0, 0), 1.5), np.float32)
    values *= softened
    values += 20.0 * (1.0 - softened)
