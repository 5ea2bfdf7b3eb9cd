"""Synthetic knee radiographs with known ground truth: deterministic by seed, numpy and cv2 only.

A drawing, not a simulation: solid shapes with a cortical shell and fractional-noise trabeculae inside a soft-tissue envelope,
added up as attenuation. Everything is placed in units of the knee's own field (0..1 across and down), then tilted as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Outline = npt.NDArray[np.float64]
View = Literal["ap", "lateral", "chest"]
Side = Literal["R", "L"]

MAX_VALUE = 4095
"""12 bits stored."""
MAX_TILT = 30.0
"""Degrees."""
_SIDE_RANGE = (128, 8192)
_AIR = 110.0
_NOISE_SPREAD = 26.0
_LEAD = 3950.0


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


def draw(parameters: PhantomParameters, seed: int) -> npt.NDArray[np.uint16]:
    """(rows, columns) uint16, 0..4095, MONOCHROME2: the same parameters and seed give the same bytes."""
    random = np.random.default_rng(seed)
    shape = (parameters.rows, parameters.columns)
    if parameters.view == "chest":
        attenuation = _chest(shape, random)
    elif parameters.knees == 2:  # noqa: PLR2004
        attenuation = _two_knees(shape, parameters, random)
    else:
        attenuation = _one_knee(shape, parameters.side, parameters, random)
    # film-like response: thick parts saturate slowly
    values: Field = np.asarray(_AIR + 3700.0 * (1.0 - np.exp(-1.15 * attenuation)), np.float32)
    _add_noise(values, parameters.noise, random)
    if parameters.marker:
        _draw_markers(values, parameters)
    _draw_collimation(values, random)
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
    anatomy = _Anatomy(shape, parameters.density, random)
    if parameters.view == "lateral":
        _draw_lateral(anatomy)
    else:
        _draw_ap(anatomy)
    # drawn with the outer side to the image's right, which is a left knee seen from the front
    field = anatomy.attenuation if side == "L" else np.ascontiguousarray(anatomy.attenuation[:, ::-1])
    return _rotated(field, parameters.tilt)


class _Anatomy:
    """A field that shapes are added to; remembers size, density and the random source of one knee."""

    def __init__(self, shape: tuple[int, int], density: float, random: np.random.Generator) -> None:
        self.shape = shape
        self.density = density
        self.random = random
        self.attenuation: Field = np.zeros(shape, np.float32)
        # width of the drawing: a leg keeps its proportions on portrait and landscape films
        self.unit = min(1.25 * float(shape[1]), 0.95 * float(shape[0]))
        self.texture = _fractional_noise(shape, random)

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
        self.attenuation += amount * _thickness(self.mask(outline), depth * self.unit)

    def add_bone(self, outline: Outline, depth: float, weight: float = 1.0) -> None:
        """Bone: cancellous inside, a dense shell, trabeculae; all grow with the density."""
        mask = self.mask(outline)
        distance = _distance(mask)
        inside = _thickness(mask, depth * self.unit)
        shell_width = (0.005 + 0.008 * self.density) * self.unit
        shell = np.exp(-(((distance - shell_width) / shell_width) ** 2)) * (mask > 0)
        amount = weight * (0.16 + 0.30 * self.density)
        grain = 1.0 + (0.14 + 0.10 * self.density) * self.texture
        self.attenuation += amount * inside * grain + weight * (0.07 + 0.26 * self.density) * shell

    def jitter(self, spread: float) -> float:
        return float(self.random.normal(0.0, spread))


def _draw_ap(anatomy: _Anatomy) -> None:
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
    patella = _ellipse(0.006 + anatomy.jitter(0.006), 0.372, 0.072, 0.054)
    anatomy.add_bone(_placed(femur, joint, size), 0.062)
    anatomy.add_bone(_placed(tibia, joint, size), 0.062)
    anatomy.add_bone(_placed(fibula, joint, size), 0.020, weight=0.8)
    anatomy.add_bone(_placed(patella, joint, size), 0.045, weight=0.35)


def _draw_lateral(anatomy: _Anatomy) -> None:
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
        anatomy.add_bone(_placed(outline, joint, size), depth, weight)


def _leg(anatomy: _Anatomy, joint: float, size: float, widths: tuple[tuple[float, float], ...]) -> None:
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


def _chest(shape: tuple[int, int], random: np.random.Generator) -> Field:
    """Rough: a body with two dark lungs, spine, heart and ribs; enough to be no knee."""
    anatomy = _Anatomy(shape, 0.6, random)
    anatomy.add_soft(_ellipse(0.0, 0.60, 0.48, 0.62), 1.0, 0.30)
    for side in (-1.0, 1.0):
        anatomy.attenuation -= 0.62 * _thickness(anatomy.mask(_ellipse(0.20 * side, 0.47, 0.145, 0.30)), 0.09 * anatomy.unit)
        for rib in range(8):
            height = 0.22 + 0.065 * rib
            arc = np.asarray([(side * x, height + 0.10 * (x / 0.36) ** 2) for x in np.linspace(0.04, 0.36, 24)])
            band = np.concatenate((arc, arc[::-1] + np.asarray((0.0, 0.018))))
            anatomy.attenuation += 0.10 * _thickness(anatomy.mask(band), 0.008 * anatomy.unit)
    anatomy.add_soft(_ellipse(0.06, 0.60, 0.13, 0.15), 0.45, 0.08)
    anatomy.add_soft(np.asarray(((-0.035, 0.0), (0.035, 0.0), (0.04, 1.0), (-0.04, 1.0)), np.float64), 0.35, 0.03)
    return np.maximum(anatomy.attenuation, 0.0)


def _placed(outline: object, joint: float, size: float) -> Outline:
    """Smooth closed curve through the corners, moved to the joint's height and scaled about it."""
    corners = np.asarray(outline, np.float64)
    closed = _smooth_closed(corners)
    return np.stack((closed[:, 0] * size, joint + (closed[:, 1] - 0.475) * size), axis=1)


def _smooth_closed(corners: Outline) -> Outline:
    """Catmull-Rom spline through the corners, 12 points per span."""
    before, here, after, beyond = (np.roll(corners, shift, axis=0)[:, np.newaxis] for shift in (1, 0, -1, -2))
    t = np.linspace(0.0, 1.0, 12, endpoint=False)[np.newaxis, :, np.newaxis]
    curve = here + 0.5 * t * (
        (after - before) + t * ((2.0 * before - 5.0 * here + 4.0 * after - beyond) + t * (3.0 * (here - after) + beyond - before))
    )
    return np.asarray(curve.reshape(-1, 2), np.float64)


def _ellipse(x: float, y: float, half_width: float, half_height: float) -> Outline:
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    return np.stack((x + half_width * np.cos(angle), y + half_height * np.sin(angle)), axis=1).astype(np.float64)


def _distance(mask: npt.NDArray[np.uint8]) -> Field:
    """Pixels to the outline, inside; beyond the film the shape goes on, so the film's edge is no outline."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform((padded > 127).astype(np.uint8), cv2.DIST_L2, 5)  # noqa: PLR2004
    return np.asarray(distance[1:-1, 1:-1], np.float32)


def _thickness(mask: npt.NDArray[np.uint8], depth_px: float) -> Field:
    """0..1: a body that rounds off over `depth_px` from its outline, softened at the edge."""
    inward = 1.0 - np.minimum(_distance(mask) / np.float32(max(depth_px, 1.0)), 1.0)
    rounded = np.sqrt(np.maximum(1.0 - inward * inward, 0.0))
    return np.asarray(cv2.GaussianBlur(rounded, (0, 0), 1.2), np.float32)


def _fractional_noise(shape: tuple[int, int], random: np.random.Generator) -> Field:
    """Mean 0, standard deviation 1: octaves that fall slower than f^-1, slightly stretched along the leg as trabeculae are."""
    total: Field = np.zeros(shape, np.float32)
    for octave in range(5):
        step = 3 * 2**octave
        grid = random.standard_normal((shape[0] // (2 * step) + 2, shape[1] // step + 2)).astype(np.float32)
        total += (1.35**octave) * np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def _rotated(field: Field, degrees: float) -> Field:
    if degrees == 0.0:
        return field
    rows, columns = field.shape
    turn = cv2.getRotationMatrix2D((columns / 2.0, rows / 2.0), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(field, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE), np.float32)


def _add_noise(values: Field, noise: float, random: np.random.Generator) -> None:
    grain = random.standard_normal(values.shape).astype(np.float32)
    values += noise * _NOISE_SPREAD * np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.7), np.float32)


def _draw_markers(values: Field, parameters: PhantomParameters) -> None:
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


def _draw_collimation(values: Field, random: np.random.Generator) -> None:
    """The leaves of the collimator: a near-black border with a soft inner edge."""
    rows, columns = values.shape
    left, right, top, bottom = (0.012 + 0.012 * random.random(4)).tolist()
    window: Field = np.zeros(values.shape, np.float32)
    window[round(top * rows) : rows - round(bottom * rows), round(left * columns) : columns - round(right * columns)] = 1.0
    softened = np.asarray(cv2.GaussianBlur(window, (0, 0), 1.5), np.float32)
    values *= softened
    values += 20.0 * (1.0 - softened)
