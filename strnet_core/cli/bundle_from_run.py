"""`strnet bundle from-run`: the weights of a finished fit become a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strnet_core.cli.bundle_import import USES
from strnet_core.cli.console import OUT, PROGRESS, Folder, remedy_instead_of_traceback

_MEGABYTE = 1e6


def from_run(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="folder of `strnet train`")],
    folder: Folder,
    threshold: Annotated[float | None, typer.Option(help="screening threshold, e.g. searched on out-of-sample predictions")] = None,
    threshold_origin: Annotated[str, typer.Option(help="where it comes from: which predictions, which rule; stands in the bundle")] = "",
    no_threshold: Annotated[bool, typer.Option("--no-threshold", help="make a bundle that cannot decide")] = False,
    severity_threshold: Annotated[float, typer.Option(help="0.5 in the released code")] = 0.5,
    fold: Annotated[int, typer.Option(min=0, help="which fit of the run")] = 0,
    half: Annotated[bool, typer.Option("--half", help="store float16: half the size; the difference is measured and told")] = False,
    films: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="with --half: radiographs to measure the difference on")
    ] = None,
    card: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Markdown for the card: data, figures, limits")] = None,
    intended_use: Annotated[str, typer.Option(help="demonstration, research or clinical (needs --evidence)")] = "demonstration",
    evidence: Annotated[str, typer.Option(help="where the performance figures of these weights come from")] = "",
    provenance: Annotated[str, typer.Option(help="where the weights come from")] = "",
    licence: Annotated[str, typer.Option(help="under which terms the weights may be used")] = "",
    manufacturer: Annotated[str, typer.Option(help="who answers for the weights")] = "",
    version: Annotated[str, typer.Option(help="name of this version; without it, the weights' hash")] = "",
) -> None:
    """Make a bundle of a fit, with the run's preprocessing. Only ResNet-50 at stage B4 is the architecture that a bundle holds."""
    if intended_use not in USES:
        raise typer.BadParameter(", ".join(USES), param_hint="--intended-use")
    if (threshold is None) is not no_threshold:
        raise typer.BadParameter("one of the two", param_hint="--threshold or --no-threshold")
    from strnet_core.bundle import IntendedUse
    from strnet_core.engines.checkpoint_import import ImportChoices
    from strnet_core.engines.import_threshold import ThresholdChoice
    from strnet_core.training.bundle_of_run import bundle_of_run

    with remedy_instead_of_traceback(), PROGRESS.status("reading the run") as status:
        choices = ImportChoices(
            threshold=ThresholdChoice(given=threshold, origin=threshold_origin.strip(), none=no_threshold),
            severity_threshold=severity_threshold,
            intended_use=IntendedUse(intended_use),
            evidence=evidence,
            provenance=provenance,
            licence=licence,
            manufacturer=manufacturer,
            version=version,
        )
        text = "" if card is None else card.read_text(encoding="utf-8")
        made = bundle_of_run(run, folder, choices, fold=fold, text=text, half=half, films=films, progress=status.update)
    bundle, size = made.bundle, (folder / "weights.safetensors").stat().st_size / _MEGABYTE
    OUT.print(
        f"{folder}: {bundle.version}, bundle {bundle.bundle_hash[:12]}, weights {bundle.weights_sha256[:12]} ({size:.1f} MB), "
        f"intended use {bundle.intended_use}, threshold {bundle.screening_threshold!r}",
        markup=False,
        highlight=False,
    )
    if made.half is not None:
        figures = made.half
        OUT.print(
            f"float16 against float32 on {figures.images} knees: screening logits differ by {figures.max_screening:.2e}, severity by "
            f"{figures.max_severity:.2e}, T-scores by {figures.max_t_score:.2e}, decisions by {figures.flips}",
            markup=False,
            highlight=False,
        )
