"""A fit's weights become a bundle: preprocessing and covariates come from the run, the threshold and all claims from who asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import ModelBundle, refuse_existing, write_bundle
from strnet_core.engines.checkpoint_import import WARNINGS, ImportChoices, draft_of
from strnet_core.engines.films import films_in, knees_on
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS, SEED, draw_knees
from strnet_core.engines.half_precision import HalfFigures, half_figures, halved
from strnet_core.engines.import_threshold import choose_threshold
from strnet_core.errors import TrainingRunError
from strnet_core.network.key_map import map_weights
from strnet_core.training import run_folder
from strnet_core.training.settings import TrainingSettings
from strnet_core.training.variants import is_strnet

Progress = Callable[[str], None]

_CARD = """# STR-Net, trained here

**{warning}**

- Trained by `strnet train`, plan `{plan}`, fit {fold}: {train} knees for training, {validation} for validation, {test} for test; the
  weights of epoch {kept_epoch} of {epochs} (weights SHA-256 `{model_sha256}`). {split}
- {beginning}
- {stored}
- Golden vectors were computed by torch in float32 on a processor. They prove that a machine computes the same, not that the result is
  right.

{text}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBundle:
    bundle: ModelBundle
    half: HalfFigures | None
    """How far float16 is from what was trained; None where the weights are stored in float32."""


def bundle_of_run(
    run: Path,
    folder: Path,
    choices: ImportChoices,
    *,
    fold: int = 0,
    text: str = "",
    half: bool = False,
    films: Path | None = None,
    progress: Progress = lambda _: None,
) -> RunBundle:
    """Write the bundle of a fit that is at its end. Preprocessing and covariates of `choices` are replaced by the run's.

    `text` (Markdown) goes into the card. With `half` the weights are stored in float16 and compared with the trained ones on the
    golden phantoms and on every knee of the radiographs in `films`.
    Raises TrainingRunError where the fit is not at its end, was changed, or is of another architecture; BundleExistsError and
    CheckpointError as `import_checkpoint`.
    """
    refuse_existing(folder)
    settings, _ = run_folder.begun_with(run)
    if not is_strnet(settings):
        raise TrainingRunError(f"{settings.backbone} {settings.stage} is not STR-Net's architecture, which alone a bundle can hold")
    inner = run_folder.fold_folder(run, fold)
    fit, weights = _fit_of(inner)
    chosen = replace(choices, preprocessing=settings.preprocessing, covariates=settings.covariates)
    threshold = choose_threshold(None, chosen.threshold)
    figures, stored = None, weights
    if half:
        progress("comparing half precision")
        stored = halved(weights)
        figures = _compared(weights, stored, settings, threshold.value, films)
    progress("computing golden vectors")
    card = _card(fit, settings, chosen, figures, text)
    draft = draft_of(stored, threshold, chosen, choices.version or f"run {fit['model_sha256'][:12]}", card)
    progress("writing")
    return RunBundle(bundle=write_bundle(folder, draft), half=figures)


def _fit_of(inner: Path) -> tuple[Mapping[str, Any], Mapping[str, npt.NDArray[np.generic]]]:
    """fit.json and the weights that it names."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        fit: dict[str, Any] = json.loads((inner / run_folder.FIT).read_bytes())
        content = (inner / run_folder.MODEL).read_bytes()
        if hashlib.sha256(content).hexdigest() != fit["model_sha256"]:
            raise TrainingRunError(f"{run_folder.MODEL} is not the file that {run_folder.FIT} names")
        return fit, map_weights(load(content), {}).weights
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise TrainingRunError(f"{inner.name} is not at its end: {type(error).__name__}") from error


def _compared(
    weights: Mapping[str, npt.NDArray[np.generic]],
    stored: Mapping[str, npt.NDArray[np.generic]],
    settings: TrainingSettings,
    threshold: float | None,
    films: Path | None,
) -> HalfFigures:
    phantoms = (knee.image.image for knee in draw_knees(GOLDEN_PHANTOMS, SEED, settings.preprocessing))
    own = (image for film in (films_in(films) if films is not None else ()) for image in knees_on(film, settings.preprocessing))
    return half_figures(weights, stored, chain(phantoms, own), settings.preprocessing, settings.covariates, threshold)


def _card(fit: Mapping[str, Any], settings: TrainingSettings, choices: ImportChoices, figures: HalfFigures | None, text: str) -> str:
    return _CARD.format(
        warning=WARNINGS[choices.intended_use],
        plan=settings.plan.kind,
        fold=fit["fold"],
        **fit["knees"],
        kept_epoch=fit["kept_epoch"],
        epochs=fit["epochs"],
        model_sha256=fit["model_sha256"],
        split=_split(fit),
        beginning=f"Training began from weights of a file (SHA-256 `{settings.initial_weights}`)."
        if settings.initial_weights
        else "Training began from random weights; no pretrained weights were used.",
        stored="Weights are stored in float32." if figures is None else _told(figures),
        text=text.strip(),
    ).rstrip()


def _split(fit: Mapping[str, Any]) -> str:
    """A run of before does not tell how many patients were unknown."""
    unknown = fit.get("unknown_patients")
    if unknown is None:
        return "Splits are by film and duplicate, and by patient where the data told one."
    if unknown == 0:
        return "Splits are by patient and duplicate."
    return f"Splits are by film and duplicate; the patient of {unknown} knees is unknown."


def _told(figures: HalfFigures) -> str:
    flips = "" if figures.flips is None else f", {figures.flips} decisions differ (nearest score {figures.nearest:.2g} from the threshold)"
    return (
        f"Matrices and kernels are stored in float16, all else in float32, and everything is computed in float32. Against the trained "
        f"float32 weights on {figures.images} knees: screening logits differ by at most {figures.max_screening:.2g}, severity logits by "
        f"{figures.max_severity:.2g}, T-scores by {figures.max_t_score:.2g}{flips}."
    )
