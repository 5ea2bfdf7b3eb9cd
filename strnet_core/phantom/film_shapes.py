"""Outlines of the bones of an AP knee in millimetres about the joint: x to the outer side, y down the leg."""

from __future__ import annotations

from typing import Final

import numpy as np

from strnet_core.phantom.film_parameters import FilmParameters
from strnet_core.phantom.outlines import Outline, ellipse, smooth_closed

FAR: Final = 420.0
"""Beyond any film: the shafts go on over its border."""
_HALF_SHAFT, _HALF_FEMUR = 14.5, 42.0
_FEMUR: Final = (
    (-14.5, -FAR), (-14.5, -260), (-14.5, -180), (-14.5, -135), (-14.6, -107), (-15.5, -84), (-18.5, -66), (-25, -50),
    (-33, -40), (-40.5, -33), (-42, -26), (-41, -18), (-39.5, -10), (-34.5, -4.0), (-26, -1.6), (-17, -2.6), (-11, -7.0),
    (-6, -13.5), (0, -16), (6, -13.5), (11, -7.5), (17, -3.2), (26, -2.0), (34, -4.2), (38.5, -10), (40, -17), (42, -24),
    (39.5, -31), (30, -41), (22.5, -52), (17.5, -68), (15.3, -86), (14.6, -107), (14.5, -135), (14.5, -180), (14.5, -260),
    (14.5, -FAR),
)  # fmt: skip
_TIBIA: Final = (
    (-37.5, 4.4), (-33, 2.5), (-24, 3.6), (-13, 2.7), (-7, 0.6), (-4.2, -3.8), (-1, 0.0), (3.2, -2.8), (6.5, 0.8), (13, 2.6),
    (25, 3.0), (34, 2.6), (38, 5.0), (38.5, 11), (34, 20), (27, 31), (20.5, 46), (16, 62), (13.6, 86), (12.7, 115), (12.5, 150),
    (12.5, 200), (12.5, 280), (12.5, FAR), (-12.5, FAR), (-12.5, 280), (-12.5, 200), (-12.5, 150), (-12.7, 115), (-13.6, 86),
    (-16, 64), (-21, 48), (-28, 33), (-35.5, 19), (-39, 10),
)  # fmt: skip
_FIBULA: Final = (
    (29.5, 20), (32, 14.5), (37, 11.0), (42.5, 13), (45.5, 20), (44.5, 27), (41, 36), (38.8, 52), (38.4, 78), (38.2, 115),
    (38.0, 170), (37.8, 260), (37.5, FAR), (29.5, FAR), (29.8, 260), (30.0, 170), (30.1, 115), (30.2, 78), (31.2, 52),
    (32.0, 38), (30.2, 29),
)  # fmt: skip
_FEMORAL_COMPONENT: Final = (
    (-43, -24), (-42.5, -10), (-36, -1.0), (-26, 1.0), (-15, -0.6), (-9, -8), (-4, -14), (4, -14), (9, -8), (15, -0.6), (26, 0.8),
    (36, -1.2), (42.5, -10), (43, -24), (36, -33), (21, -40), (-21, -40), (-36, -33),
)  # fmt: skip
_TIBIAL_COMPONENT: Final = ((-38, 9), (38, 9), (38, 13), (8, 13.5), (6, 20), (5.5, 48), (-5.5, 48), (-6, 20), (-8, 13.5), (-38, 13))


def femur(parameters: FilmParameters) -> Outline:
    return _shifted(_widened(_FEMUR, parameters, 1.0, 1.0), -_opened(parameters))


def tibia(parameters: FilmParameters) -> Outline:
    return _aligned(_shifted(_widened(_TIBIA, parameters, 0.86, 0.92), _opened(parameters)), parameters)


def fibula(parameters: FilmParameters) -> Outline:
    shape = smooth_closed(np.asarray(_FIBULA, np.float64))
    beside = np.asarray((parameters.femur_width_mm / 2.0 - _HALF_FEMUR, 0.0))
    return _aligned(_shifted(np.asarray(shape + beside, np.float64), _opened(parameters)), parameters)


def patella(parameters: FilmParameters) -> Outline:
    share = parameters.femur_width_mm / 84.0
    return ellipse(1.5, -33.0 - _opened(parameters), 21.5 * share, 21.0 * share)


def metal(parameters: FilmParameters) -> tuple[Outline, ...]:
    """The implant's pieces; none where there is none."""
    down = _opened(parameters)
    if parameters.implant == "knee":
        pieces = (_widened(_FEMORAL_COMPONENT, parameters, 1.0, 1.0), _widened(_TIBIAL_COMPONENT, parameters, 1.0, 0.92, angular=True))
        return _shifted(pieces[0], -down), _aligned(_shifted(pieces[1], down), parameters)
    if parameters.implant == "screws":
        return tuple(_aligned(_shifted(_rod((39.0, y), (-22.0, y + 3.0), 2.2), down), parameters) for y in (14.0, 23.0))
    if parameters.implant == "nail":
        return (_aligned(_shifted(_rod((0.0, 22.0), (0.0, FAR), 5.0), down), parameters),)
    return ()


def _opened(parameters: FilmParameters) -> float:
    """Half of what the joint space is wider than the shapes have it."""
    return (parameters.joint_space_mm - 4.5) / 2.0


def _widened(corners: object, parameters: FilmParameters, shaft: float, joint: float, *, angular: bool = False) -> Outline:
    """Shaft and joint keep their own widths, with a smooth passage between them. angular: corners stay corners."""
    outline = np.asarray(corners, np.float64) if angular else smooth_closed(np.asarray(corners, np.float64))
    across = np.abs(outline[:, 0])
    known = (0.0, _HALF_SHAFT * shaft, _HALF_FEMUR * joint, 100.0)
    wide = (parameters.shaft_width_mm / 2.0 * shaft, parameters.femur_width_mm / 2.0 * joint)
    meant = np.interp(across, known, (0.0, *wide, 100.0 + wide[1] - known[2]))
    return np.stack((np.sign(outline[:, 0]) * meant, outline[:, 1]), axis=1)


def _shifted(outline: Outline, down: float) -> Outline:
    return np.asarray(outline + np.asarray((0.0, down)), np.float64)


def _aligned(outline: Outline, parameters: FilmParameters) -> Outline:
    """Turned about the joint's middle. Varus: the foot goes inwards."""
    angle = np.deg2rad(parameters.alignment_degrees)
    turn = np.asarray(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    return np.asarray(outline @ turn.T, np.float64)


def _rod(start: tuple[float, float], end: tuple[float, float], radius: float) -> Outline:
    along = np.subtract(end, start) / np.hypot(*np.subtract(end, start))
    beside = radius * np.asarray((-along[1], along[0]))
    return np.asarray((start + beside, end + beside, end - beside, start - beside), np.float64)
