"""Refit the knee template: `python -m strnet_core.knees.fit_plausibility FOLDER` with the AP knee films as FOLDER/*.jpg.

The shipped template was fitted on 164 films of the "Knee X-ray Osteoporosis Database" (Wani and Arora), Mendeley Data
doi:10.17632/fxjm8fb6mw v2, one per patient; the films are not part of this repository. No joint is marked by hand: a template of
drawn knees, whose joint is known, finds the joints on the films, and what it finds replaces the drawings, six times over.
Prints the held-out likeness of every film (five folds; films are patients) before it writes the template fitted on all.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from strnet_core.knees.count import count_knees
from strnet_core.knees.plausibility import TEMPLATE_FILE, KneeTemplate
from strnet_core.knees.shape_windows import Float32Array, cell_maps, mirrored
from strnet_core.phantom import MAX_VALUE, PhantomParameters, draw
from strnet_core.radiograph import Radiograph, read_image
from strnet_core.small_image import FloatImage, SmallImage, small_image

FOLDS = 5
_ROUNDS = 6
_RIDGE = 0.5
"""Added to the covariance's diagonal, per mean of the diagonal: 384 directions, few films."""
_BESIDE = 0.6
"""Windows further than this from the knee (in sides and log sides) are surroundings."""
_EVERY = 9
"""Every ninth of the surroundings is enough."""
_BELIEVED = 0.6
"""Legs that score below this share of the median do not shape the template: their joint may not have been found."""
_PHANTOM_JOINT, _PHANTOM_SIDE = 0.47, 0.40
"""Height of a drawn joint in the field, and the window's side per unit of the drawing (see `strnet_core.phantom`)."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """All windows over one leg."""

    places: Float32Array
    """(n, 3) float32: x and y of the middle and the side, in pixels at 256 rows."""
    vectors: Float32Array
    """(n, LENGTH) float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leg:
    """One leg of one film."""

    film: str
    windows: Windows


def windows_of(grey: FloatImage) -> Windows:
    """Of (rows, cols) float32, 0..255. Raises ValueError where the leg is too small for a window."""
    maps = cell_maps(grey)
    return Windows(places=np.concatenate([cells.places() for cells in maps]), vectors=np.concatenate([cells.vectors() for cells in maps]))


def legs_of(path: Path) -> list[Leg]:
    """The legs of one film, split as the survey does."""
    radiograph = read_image(path)
    small = small_image(radiograph)
    count = count_knees(small)
    if count.valley_column is None:
        return [Leg(film=path.stem, windows=windows_of(small.grey))]
    column = round(count.valley_column / small.scale)
    halves = (small.crop_columns(0, column), small.crop_columns(column, small.grey.shape[1]))
    return [Leg(film=path.stem, windows=windows_of(half.grey)) for half in halves]


def drawn_knees() -> Float32Array:
    """(n, LENGTH) float32: vectors of drawn knees around their known joint."""
    vectors = []
    for seed, (rows, columns) in enumerate([(600, 500), (480, 640), (640, 400)] * 4):
        parameters = PhantomParameters(density=(0.2, 0.5, 0.9)[seed % 3], side="RL"[seed % 2], rows=rows, columns=columns)  # type: ignore[arg-type]  # one of the two letters
        small = _drawn(parameters, seed)
        windows = windows_of(small.grey)
        unit = min(1.25 * columns, 0.95 * rows) / small.scale
        joint = (small.grey.shape[1] / 2, _PHANTOM_JOINT * small.grey.shape[0], _PHANTOM_SIDE * unit)
        vectors.append(windows.vectors[_distances(windows, np.asarray(joint)).argmin()])
    return np.asarray(vectors, np.float32)


def drawn_chests() -> Float32Array:
    """(n, LENGTH) float32: windows all over drawn chests, which count as surroundings too."""
    vectors = []
    for seed, (rows, columns) in enumerate([(600, 500), (480, 640), (640, 640)] * 4):
        parameters = PhantomParameters(view="chest", rows=rows, columns=columns)
        vectors.append(windows_of(_drawn(parameters, 1000 + seed).grey).vectors[::2])
    return np.concatenate(vectors)


def fit(legs: list[Leg]) -> KneeTemplate:
    """The template of these legs; the median leg scores 1."""
    everything = np.concatenate([leg.windows.vectors[::_EVERY] for leg in legs])
    chests = drawn_chests()
    weights = _discriminant(drawn_knees(), np.concatenate((everything, chests)))
    for _ in range(_ROUNDS):
        scores = [leg.windows.vectors @ weights for leg in legs]
        best = [int(score.argmax()) for score in scores]
        tops = np.asarray([score[index] for score, index in zip(scores, best, strict=True)])
        centre = float(np.mean(everything @ weights))
        believed = tops - centre >= _BELIEVED * float(np.median(tops - centre))
        knees = np.asarray([leg.windows.vectors[index] for leg, index, good in zip(legs, best, believed, strict=True) if good])
        beside = [
            leg.windows.vectors[_distances(leg.windows, leg.windows.places[index]) > _BESIDE][::_EVERY]
            for leg, index in zip(legs, best, strict=True)
        ]
        everything = np.concatenate(beside)
        weights = _discriminant(knees, np.concatenate((everything, chests)))
    offset = float(np.mean(everything @ weights))
    unit = float(np.median([(leg.windows.vectors @ weights).max() for leg in legs])) - offset
    return KneeTemplate(weights=(weights / unit).astype(np.float32), offset=offset / unit)


def held_out(legs: list[Leg]) -> dict[str, float]:
    """The lowest likeness of each film's legs under a template that saw neither the film nor the others of its fold."""
    films = sorted({leg.film for leg in legs})
    order = np.random.default_rng(0).permutation(len(films))
    fold = {film: int(place) % FOLDS for film, place in zip(films, order, strict=True)}
    lowest: dict[str, float] = {}
    for number in range(FOLDS):
        template = fit([leg for leg in legs if fold[leg.film] != number])
        for leg in legs:
            if fold[leg.film] == number:
                likeness = float((leg.windows.vectors @ template.weights).max()) - template.offset
                lowest[leg.film] = min(lowest.get(leg.film, likeness), likeness)
    return lowest


def _drawn(parameters: PhantomParameters, seed: int) -> SmallImage:
    presentation = draw(parameters, seed).astype(np.float32) / np.float32(MAX_VALUE)
    return small_image(Radiograph.from_presentation(presentation))


def _discriminant(knees: Float32Array, surroundings: Float32Array) -> Float32Array:
    """Whitened difference of the means, both ways round; its scale is arbitrary."""
    background = np.concatenate((surroundings, mirrored(surroundings))).astype(np.float64)
    mean: Doubles = np.concatenate((knees, mirrored(knees))).mean(axis=0, dtype=np.float64) - background.mean(axis=0)
    covariance = np.cov(background.T)
    covariance[np.diag_indices_from(covariance)] += _RIDGE * np.trace(covariance) / len(covariance)
    return np.asarray(np.linalg.solve(covariance, mean), np.float32)


def _distances(windows: Windows, place: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(n,) from a place (x, y, side): in sides, plus the logarithm of how much larger or smaller."""
    apart = np.hypot(windows.places[:, 0] - place[0], windows.places[:, 1] - place[1])
    return np.asarray(apart / place[2] + np.abs(np.log(windows.places[:, 2] / place[2])))


def main(folder: Path) -> None:
    """Fit, report and write the template beside this module."""
    paths = sorted(folder.glob("*.jpg"))
    legs = [leg for path in paths for leg in legs_of(path)]
    lowest = held_out(legs)
    for film in sorted(lowest, key=lowest.__getitem__):
        sys.stdout.write(f"{film} {1.0 - lowest[film]:.3f}\n")
    template = fit(legs)
    document = {
        "what": "Linear template of the edge directions of an AP knee, see plausibility.py. No image can be made from it.",
        "fitted_on": "Knee X-ray Osteoporosis Database (Wani and Arora), Mendeley Data doi:10.17632/fxjm8fb6mw v2",
        "films": len(paths),
        "legs": len(legs),
        "offset": round(template.offset, 6),
        "weights": [round(float(weight), 6) for weight in template.weights],
    }
    (Path(__file__).parent / TEMPLATE_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
