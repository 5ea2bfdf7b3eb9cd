"""Knee films: what the detector makes of the attenuation, with markers and collimation."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.phantom.fields import Field
from strnet_core.phantom.film_parameters import FilmParameters
from strnet_core.phantom.leg import draw_leg
from strnet_core.phantom.parameters import MAX_VALUE

_AIR, _SPAN = 90.0, 3900.0
_LEAD = 3980.0
_COVERED = 25.0
_NOISE_SPREAD = 55.0


def draw_film(parameters: FilmParameters, seed: int) -> npt.NDArray[np.uint16]:
    """(rows, columns) uint16, 0..4095, MONOCHROME2: the same parameters and seed give the same bytes with the same libraries."""
    random = np.random.default_rng(seed)
    attenuation = _legs(parameters, random)
    per_mm = 1.0 / parameters.pixel_spacing_mm
    if parameters.blur_mm > 0.0:
        attenuation = np.asarray(cv2.GaussianBlur(attenuation, (0, 0), max(parameters.blur_mm * per_mm, 0.1)), np.float32)
    veiled = _veiled(attenuation, parameters.scatter, 30.0 * per_mm)
    values: Field = np.asarray(_AIR + _SPAN * (1.0 - np.exp(-0.78 * parameters.exposure * veiled)), np.float32)
    # where more is absorbed fewer quanta arrive
    grain = np.asarray(cv2.GaussianBlur(random.standard_normal(values.shape).astype(np.float32), (0, 0), 0.6), np.float32)
    values += parameters.noise * _NOISE_SPREAD * np.sqrt(0.35 + np.maximum(attenuation, 0.0)) * grain
    if parameters.marker != "none":
        _mark(values, parameters)
    _collimate(values, parameters)
    stored: npt.NDArray[np.uint16] = np.clip(np.rint(values), 0, MAX_VALUE).astype(np.uint16)
    return stored


def _legs(parameters: FilmParameters, random: np.random.Generator) -> Field:
    """Seen from the front: the right leg on the image's left, its outer side to the left."""
    rows, columns = parameters.rows, parameters.columns
    if parameters.knees == 1:
        return draw_leg((rows, columns), parameters, 1 if parameters.side == "L" else -1, random)
    half = columns // 2
    right = draw_leg((rows, half), parameters, -1, random)
    left = draw_leg((rows, columns - half), parameters, 1, random)
    return np.concatenate((right, left), axis=1)


def _veiled(attenuation: Field, scatter: float, reach_px: float) -> Field:
    """Scattered radiation: a share of the image is its own blur. Blurred small: it has no detail."""
    if scatter == 0.0:
        return attenuation
    rows, columns = attenuation.shape
    step = max(1, round(reach_px / 8.0))
    small = cv2.resize(attenuation, (max(2, columns // step), max(2, rows // step)), interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 8.0), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray((1.0 - scatter) * attenuation + scatter * veil, np.float32)


def _mark(values: Field, parameters: FilmParameters) -> None:
    """Lead letters beside the thigh; on two knees one per side, R on the image's left."""
    per_mm = 1.0 / parameters.pixel_spacing_mm
    width, height = round(11.0 * per_mm), round(13.0 * per_mm)
    top = round(0.22 * parameters.rows)
    edge = round((parameters.collimation_mm + 8.0) * per_mm)
    places = {"R": edge, "L": parameters.columns - edge - width}
    for letter in ("R", "L") if parameters.knees == 2 else (parameters.side,):  # noqa: PLR2004
        lead = _letter(letter, width, height)
        if parameters.marker == "plate":
            lead = np.asarray(1.0 - 0.85 * lead, np.float32)
        left = min(max(places[letter], 0), parameters.columns - width)
        window = values[top : top + height, left : left + width]
        window += lead[: window.shape[0], : window.shape[1]] * (np.float32(_LEAD) - window)


def _letter(letter: str, width: int, height: int) -> Field:
    """(height, width) 0..1: the letter in the middle of its plate."""
    drawn = np.zeros((60, 50), np.uint8)
    cv2.putText(drawn, letter, (9, 49), cv2.FONT_HERSHEY_SIMPLEX, 1.7, (255,), 5, cv2.LINE_AA)
    small = cv2.resize(drawn, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_AREA)
    return np.asarray(small.astype(np.float32) / np.float32(255.0), np.float32)


def _collimate(values: Field, parameters: FilmParameters) -> None:
    """Near-black outside of a rectangle that may stand askew."""
    rows, columns = values.shape
    edge = parameters.collimation_mm / parameters.pixel_spacing_mm
    corners = np.asarray(((edge, edge), (columns - edge, edge), (columns - edge, rows - edge), (edge, rows - edge)), np.float64)
    turn = cv2.getRotationMatrix2D((columns / 2.0, rows / 2.0), -parameters.collimation_tilt_degrees, 1.0)
    points = np.rint((corners @ turn[:, :2].T + turn[:, 2]) * 16.0).astype(np.int32)
    window = np.zeros(values.shape, np.uint8)
    cv2.fillPoly(window, [points], (255,), lineType=cv2.LINE_AA, shift=4)
    softened = np.asarray(cv2.GaussianBlur(window, (0, 0), 1.5), np.float32) / np.float32(255.0)
    values *= softened
    values += np.float32(_COVERED) * (1.0 - softened)
