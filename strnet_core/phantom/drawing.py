"""Schematic phantoms: solid shapes with a cortical shell and fractional-noise trabeculae inside a soft-tissue envelope.

A drawing, not a simulation, added up as attenuation. Everything is placed in units of the knee's own field (0..1 across and down),
then tilted as one. Golden vectors are drawn by it: what it draws by default must not change.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from strnet_core.phantom.anatomy import Anatomy
from strnet_core.phantom.chest import chest
from strnet_core.phantom.fields import Field, rotated
from strnet_core.phantom.parameters import MAX_VALUE, PhantomParameters, Side
from strnet_core.phantom.schematic import draw_ap, draw_lateral
from strnet_core.phantom.schematic_film import add_noise, draw_collimation, draw_markers

_AIR = 110.0


def draw(parameters: PhantomParameters, seed: int) -> npt.NDArray[np.uint16]:
    """(rows, columns) uint16, 0..4095, MONOCHROME2: the same parameters and seed give the same bytes."""
    random = np.random.default_rng(seed)
    shape = (parameters.rows, parameters.columns)
    if parameters.view == "chest":
        attenuation = chest(shape, random)
    elif parameters.knees == 2:  # noqa: PLR2004
        attenuation = _two_knees(shape, parameters, random)
    else:
        attenuation = _one_knee(shape, parameters.side, parameters, random)
    # film-like response: thick parts saturate slowly
    values: Field = np.asarray(_AIR + 3700.0 * (1.0 - np.exp(-1.15 * attenuation)), np.float32)
    add_noise(values, parameters.noise, random)
    if parameters.marker:
        draw_markers(values, parameters)
    draw_collimation(values, random)
    stored: npt.NDArray[np.uint16] = np.clip(np.rint(values), 0, MAX_VALUE).astype(np.uint16)
    return stored


def _two_knees(shape: tuple[int, int], parameters: PhantomParameters, random: np.random.Generator) -> Field:
    """As on an AP film seen from the front: the right knee on the image's left."""
    rows, columns = shape
    half = columns // 2
    left = _one_knee((rows, half), "R", parameters, random)
    right = _one_knee((rows, columns - half), "L", parameters, random)
    return np.concatenate((left, right), axis=1)


def _one_knee(shape: tuple[int, int], side: Side, parameters: PhantomParameters, random: np.random.Generator) -> Field:
    anatomy = Anatomy(shape, parameters.density, random)
    if parameters.view == "lateral":
        draw_lateral(anatomy)
    else:
        draw_ap(anatomy)
    # drawn with the outer side to the image's right, which is a left knee seen from the front
    field = anatomy.attenuation if side == "L" else np.ascontiguousarray(anatomy.attenuation[:, ::-1])
    return rotated(field, parameters.tilt)
