"""`strnet bundle import`: a training checkpoint becomes a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strnet_core.cli.console import OUT, PROGRESS, Folder, remedy_instead_of_traceback
from strnet_core.errors import BundleSchemaError, CheckpointError

if TYPE_CHECKING:
    from strnet_core.bundle import CovariateScaling, PreprocessingSettings

USES = ("demonstration", "research", "clinical")


def import_(
    checkpoint: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="training checkpoint, {'model': ..., 'best_threshold': ...}")
    ],
    folder: Folder,
    threshold: Annotated[float | None, typer.Option(help="screening threshold instead of the checkpoint's")] = None,
    no_threshold: Annotated[bool, typer.Option("--no-threshold", help="make a bundle that cannot decide")] = False,
    round_threshold: Annotated[
        bool,
        typer.Option(
            "--round-threshold",
            help="take the rounding noise of the authors' grid off (0.4400000000000002 becomes 0.44), which is kept otherwise",
        ),
    ] = False,
    severity_threshold: Annotated[float, typer.Option(help="0.5 in the released code")] = 0.5,
    intended_use: Annotated[str, typer.Option(help="demonstration, research or clinical (needs --evidence)")] = "research",
    evidence: Annotated[str, typer.Option(help="where the performance figures of these weights come from")] = "",
    provenance: Annotated[str, typer.Option(help="where the weights come from")] = "",
    licence: Annotated[str, typer.Option(help="under which terms the weights may be used")] = "",
    manufacturer: Annotated[str, typer.Option(help="who answers for the weights")] = "",
    version: Annotated[str, typer.Option(help="name of this version; without it, the checkpoint's hash")] = "",
    key_map: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help='JSON object {"name in the checkpoint": "name in STR-Net"}; the rest keeps its name'
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help='JSON object {"preprocessing": {...}, "covariates": {...}} of what is not default'),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="key beside 'model' that may be left out; repeatable")] = None,
    to_float32: Annotated[bool, typer.Option("--to-float32", help="convert float16, bfloat16 and float64 tensors")] = False,
) -> None:
    """Make a bundle of a training checkpoint, offline. Every name must fit exactly; nothing is guessed."""
    if intended_use not in USES:
        raise typer.BadParameter(", ".join(USES), param_hint="--intended-use")
    from strnet_core.bundle import IntendedUse
    from strnet_core.engines.checkpoint_import import ImportChoices, import_checkpoint
    from strnet_core.engines.import_threshold import ThresholdChoice

    with remedy_instead_of_traceback(), PROGRESS.status("reading the choices") as status:
        preprocessing, covariates = read_settings(settings)
        choices = ImportChoices(
            threshold=ThresholdChoice(given=threshold, none=no_threshold, rounded=round_threshold),
            severity_threshold=severity_threshold,
            intended_use=IntendedUse(intended_use),
            evidence=evidence,
            provenance=provenance,
            licence=licence,
            manufacturer=manufacturer,
            version=version,
            key_map=read_key_map(key_map),
            ignored_keys=frozenset(ignore or ()),
            to_float32=to_float32,
            preprocessing=preprocessing,
            covariates=covariates,
        )
        imported = import_checkpoint(checkpoint, folder, choices, status.update)
    bundle = imported.bundle
    OUT.print(
        f"{folder}: {bundle.version}, bundle {bundle.bundle_hash[:12]}, weights {bundle.weights_sha256[:12]}, "
        f"intended use {bundle.intended_use}\n"
        f"  screening threshold {bundle.screening_threshold!r}, severity {bundle.severity_threshold!r} ({bundle.threshold_origin})\n"
        f"  converted to float32: {dict(imported.converted) or 'nothing'}; DataParallel: {'yes' if imported.was_parallel else 'no'}\n"
        f"  evidence: {bundle.evidence or 'performance unknown'}; provenance: {bundle.provenance or 'not stated'}",
        markup=False,
        highlight=False,
    )


def read_key_map(path: Path | None) -> dict[str, str]:
    """Raises CheckpointError."""
    names = _read(path)
    wrong = sorted(name for name, target in names.items() if not isinstance(target, str))
    if wrong:
        raise CheckpointError(f"the key map's targets must be texts: {', '.join(wrong[:5])}")
    return names


def read_settings(path: Path | None) -> tuple[PreprocessingSettings, CovariateScaling]:
    """The defaults with what the file says otherwise. Raises CheckpointError and BundleSchemaError."""
    from strnet_core.bundle import CovariateScaling, PreprocessingSettings, decode_covariates, decode_preprocessing

    given = _read(path)
    surplus = sorted(set(given) - {"preprocessing", "covariates"})
    parts = [given.get(name, {}) for name in ("preprocessing", "covariates")]
    if surplus or not all(isinstance(part, dict) for part in parts):
        raise CheckpointError(f"settings hold the objects preprocessing and covariates only, not {', '.join(surplus) or 'other values'}")
    preprocessing = decode_preprocessing({**asdict(PreprocessingSettings()), **parts[0]})
    covariates = decode_covariates({**asdict(CovariateScaling()), **parts[1]})
    return preprocessing, covariates


def _read(path: Path | None) -> dict[str, Any]:
    from strnet_core.bundle.strict_json import parse_object

    if path is None:
        return {}
    try:
        return parse_object(path.read_bytes(), path.name)
    except BundleSchemaError as error:
        raise CheckpointError(error.detail) from error
