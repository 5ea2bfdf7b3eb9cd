"""`strnet bundle`: make, import, show and verify model bundles."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from strnet_core.cli.bundle_from_run import from_run
from strnet_core.cli.bundle_import import import_
from strnet_core.cli.console import OUT, PROGRESS, BundleFolder, Folder, device_named, remedy_instead_of_traceback

app = typer.Typer(no_args_is_help=True, help="Make, import, show and verify model bundles.")
app.command("import")(import_)
app.command("from-run")(from_run)
_DEFAULT_SEED = 20260420


@app.command("create-demo")
def create_demo(
    folder: Folder,
    random: Annotated[bool, typer.Option("--random", help="Random weights instead: no training, no origin.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the random weights; only with --random.")] = None,
) -> None:
    """Write the demonstration bundle of this release: trained on public radiographs, NOT for clinical use; read its card.md."""
    if seed is not None and not random:
        raise typer.BadParameter("only with --random", param_hint="--seed")
    from strnet_core.bundle import copy_shipped_bundle

    with remedy_instead_of_traceback(), PROGRESS.status("writing") as status:
        if random:
            from strnet_core.engines.demonstration import create_demonstration_bundle

            bundle = create_demonstration_bundle(folder, _DEFAULT_SEED if seed is None else seed, status.update)
        else:
            bundle = copy_shipped_bundle(folder)
    summary = f"{bundle.version}, bundle {bundle.bundle_hash[:12]}, threshold {bundle.screening_threshold}"
    OUT.print(f"{folder}: {summary}", markup=False)


@app.command("verify")
def verify(folder: BundleFolder, device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto") -> None:
    """Check every file of a bundle, then its golden vectors on this machine."""
    from strnet_core.bundle import load_bundle
    from strnet_core.engines.torch_engine import open_torch_engine
    from strnet_core.engines.verification import verify_bundle

    chosen = device_named(device)
    with remedy_instead_of_traceback(), PROGRESS.status("checking files") as status:
        bundle = load_bundle(folder)
        status.update("comparing golden vectors")
        engine = open_torch_engine(bundle, chosen)
        verified = verify_bundle(bundle, engine)
    allowed = verified.tolerance
    OUT.print(
        f"good: bundle {bundle.bundle_hash[:12]}, intended use {bundle.intended_use}, {verified.vectors} golden vectors "
        f"on {engine.profile}\n"
        f"  8-bit images equal to the bit\n"
        f"  logits      differ by {verified.max_difference:.1e} (allowed {allowed.logit:.1e})\n"
        f"  T-scores    differ by {verified.max_t_score_difference:.1e} (allowed {allowed.t_score:.1e})\n"
        f"  maps        differ by {verified.max_saliency_difference:.1e} of their maximum (allowed {allowed.saliency:.1e})",
        markup=False,
        highlight=False,
    )


@app.command("show")
def show(folder: BundleFolder, as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False) -> None:
    """Say what a bundle is, once its files have been checked. Runs nothing."""
    from strnet_core.bundle import load_bundle

    with remedy_instead_of_traceback():
        bundle = load_bundle(folder)
    values: dict[str, Any] = {**asdict(bundle), "folder": str(folder), "device_uid": bundle.device_uid}
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        if isinstance(value, dict):
            OUT.print(f"{name}:", markup=False, highlight=False)
            for inner, each in value.items():
                OUT.print(f"  {inner:<24}{each}", markup=False, highlight=False)
        else:
            OUT.print(f"{name:<26}{_shown(value)}", markup=False, highlight=False)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
