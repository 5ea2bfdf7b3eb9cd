"""One leg of a knee film as attenuation: walls and cancellous bone of hollow bodies, inside muscle and fat."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.phantom import film_shapes
from strnet_core.phantom.fields import Field, Mask, distance, rotated
from strnet_core.phantom.film_parameters import FilmParameters
from strnet_core.phantom.outlines import Outline

# per millimetre; ratios are about those of bone, marrow, muscle and fat at 60 kV, the scale is the grey scale's
_CORTEX, _CANCELLOUS, _MUSCLE, _FAT = 0.050, 0.0105, 0.0058, 0.0034
_METAL = 6.0
_SHELL_SHARE = 0.22
_SHAFT_BEGINS_MM, _SHAFT_ENDS_MM = 32.0, 78.0
_PLATE_MM, _PLATE = 1.8, 0.40
_WIDEST_RADIUS_MM = 21.0


def draw_leg(shape: tuple[int, int], parameters: FilmParameters, outer: int, random: np.random.Generator) -> Field:
    """(rows, columns) float32 attenuation, 0 in air. outer: 1 where the leg's outer side is to the image's right, else -1."""
    leg = _Leg(shape, parameters, random)
    leg.add_soft_tissue()
    leg.add_bone(film_shapes.femur(parameters))
    leg.add_bone(film_shapes.tibia(parameters))
    if parameters.fibula:
        leg.add_bone(film_shapes.fibula(parameters), wall=0.6, amount=1.5)
    if parameters.patella:
        leg.add_bone(film_shapes.patella(parameters), wall=1.0, amount=0.75)
    for piece in film_shapes.metal(parameters):
        leg.add_metal(piece)
    field = leg.attenuation if outer > 0 else np.ascontiguousarray(leg.attenuation[:, ::-1])
    return rotated(field, parameters.tilt_degrees)


class _Leg:
    def __init__(self, shape: tuple[int, int], parameters: FilmParameters, random: np.random.Generator) -> None:
        self.parameters = parameters
        self.per_mm = 1.0 / parameters.pixel_spacing_mm
        self.shape = shape
        self.attenuation: Field = np.zeros(shape, np.float32)
        self._random = random
        self._middle = (shape[1] / 2.0 + parameters.offset_mm * self.per_mm, parameters.joint_height * shape[0])
        self._down_mm = np.abs((np.arange(shape[0]) - self._middle[1]) / self.per_mm)[:, np.newaxis]
        """From the joint, by row."""
        self._texture = _trabeculae(shape, parameters, random)

    def add_bone(self, outline: Outline, wall: float = 1.0, amount: float = 1.0) -> None:
        """wall: the cortex's share of the femur's thickness. amount: of a bone that is thinner or thicker along the beam than across."""
        mask = self._mask(outline)
        depth = distance(mask) / np.float32(self.per_mm)
        radius = self._radius(depth)
        shaft = _smooth_step(self._down_mm, _SHAFT_BEGINS_MM, _SHAFT_ENDS_MM)
        thick = wall * self.parameters.cortical_thickness_mm * (_SHELL_SHARE + (1.0 - _SHELL_SHARE) * shaft)
        outer, inner = _chord(depth, radius), _chord(depth - thick, np.maximum(radius - thick, 0.1))
        inner = np.minimum(inner, outer)
        # the marrow of the shafts holds no bone
        mineral = self.parameters.cancellous_density * (1.0 - 0.92 * shaft)
        grain = np.maximum(1.0 + self.parameters.trabecular_contrast * self._texture, 0.0)
        plate = _PLATE * np.exp(-((depth / _PLATE_MM) ** 2)) * np.exp(-((self._down_mm / 9.0) ** 2)) * (depth > 0)
        plate = plate * (0.3 + 0.7 * self.parameters.cancellous_density)
        bone = _CORTEX * (outer - inner) + _CANCELLOUS * 2.6 * mineral * grain * inner + plate
        self.attenuation += np.float32(amount) * _softened(bone.astype(np.float32), 0.6)

    def add_soft_tissue(self) -> None:
        """Fat about muscle, round as a leg is; thigh and calf are wider than the knee."""
        down = (np.arange(self.shape[0]) - self._middle[1]) / self.per_mm
        soft = self.parameters.soft_tissue_mm
        bones = self.parameters.femur_width_mm / 2.0
        heights = (-260.0, -150.0, -70.0, -30.0, 0.0, 25.0, 60.0, 110.0, 180.0, 300.0)
        widths = np.interp(down, heights, (1.42, 1.3, 1.12, 1.03, 1.0, 0.97, 0.99, 1.06, 0.95, 0.7)) * bones
        thick = np.interp(down, heights, (1.9, 1.5, 1.15, 1.0, 1.0, 1.0, 1.05, 1.15, 0.95, 0.7)) * soft
        half = cv2.GaussianBlur((widths + thick).reshape(1, -1), (0, 0), 12.0 * self.per_mm).ravel()
        half = half * (1.0 + self._random.normal(0.0, 0.02))
        across = np.abs((np.arange(self.shape[1]) - self._middle[0]) / self.per_mm)[np.newaxis, :]
        fat = 2.5 + 0.28 * soft
        whole = _round(across, half[:, np.newaxis])
        muscle = np.minimum(_round(across, np.maximum(half - fat, 5.0)[:, np.newaxis]), whole)
        body = _FAT * (whole - muscle) + _MUSCLE * muscle
        body *= 1.0 + 0.06 * _softened(_normal(self.shape, self._random), 9.0 * self.per_mm, unit=True)
        self.attenuation += _softened(body.astype(np.float32), 1.0)

    def add_metal(self, outline: Outline) -> None:
        self.attenuation += np.float32(_METAL / 255.0) * _softened(self._mask(outline).astype(np.float32), 0.7)

    def _mask(self, outline: Outline) -> Mask:
        points = np.rint((outline * self.per_mm + np.asarray(self._middle)) * 16.0).astype(np.int32)
        drawn = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(drawn, [points], (255,), lineType=cv2.LINE_AA, shift=4)
        return drawn

    def _radius(self, depth: Field) -> npt.NDArray[np.float64]:
        """Half the bone's extent along the beam, by row: what it is across, where that is a shaft."""
        across = np.minimum(depth.max(axis=1).astype(np.float64), _WIDEST_RADIUS_MM)
        smooth = cv2.GaussianBlur(across.reshape(1, -1), (0, 0), 2.0 * self.per_mm).ravel()
        return np.asarray(np.maximum(np.maximum(smooth, across), 0.5)[:, np.newaxis], np.float64)


def _chord(depth: Field | npt.NDArray[np.float64], radius: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Length (mm) of the beam inside of a round body of this radius, `depth` mm from its edge; the middle of a wide one is flat."""
    from_middle = np.clip(radius - depth, 0.0, radius)
    return np.asarray(2.0 * np.sqrt(radius**2 - from_middle**2) * (depth > 0), np.float64)


def _round(across: npt.NDArray[np.float64], half: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(2.0 * np.sqrt(np.maximum(half**2 - across**2, 0.0)), np.float64)


def _smooth_step(value: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    share = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float64)


def _trabeculae(shape: tuple[int, int], parameters: FilmParameters, random: np.random.Generator) -> Field:
    """Mean 0, standard deviation 1: bands of noise about the spacing and twice and four times of it, drawn out along the leg."""
    total: Field = np.zeros(shape, np.float32)
    for octave, weight in enumerate((1.0, 0.7, 0.4)):
        sigma = max(0.25 * parameters.trabecular_spacing_mm * 2.0**octave / parameters.pixel_spacing_mm, 0.3)
        total += np.float32(weight) * _stretched(_normal(shape, random), sigma, parameters.trabecular_anisotropy)
    return np.asarray(total / max(float(total.std()), 1e-6), np.float32)


def _stretched(noise: Field, sigma: float, anisotropy: float) -> Field:
    """Standard deviation 1."""
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma, sigmaY=sigma * anisotropy)
    return np.asarray((blurred - blurred.mean()) / max(float(blurred.std()), 1e-6), np.float32)


def _normal(shape: tuple[int, int], random: np.random.Generator) -> Field:
    return random.standard_normal(shape).astype(np.float32)


def _softened(field: Field, sigma: float, *, unit: bool = False) -> Field:
    """unit: scaled to a standard deviation of 1."""
    blurred = np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)
    return np.asarray(blurred / max(float(blurred.std()), 1e-6), np.float32) if unit else blurred
