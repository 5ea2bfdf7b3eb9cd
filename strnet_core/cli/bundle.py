"""`strnet bundle`: make and verify model bundles."""

from __future__ import annotations

from typing import Annotated

import typer

from strnet_core.cli.console import OUT, PROGRESS, Folder, device_named, remedy_instead_of_traceback

app = typer.Typer(no_args_is_help=True, help="Make and verify model bundles.")
_DEFAULT_SEED = 20260420


@app.command("create-demo")
def create_demo(folder: Folder, seed: int = _DEFAULT_SEED) -> None:
    """Write the demonstration bundle: RANDOM WEIGHTS, not for clinical use."""
    from strnet_core.engines.demonstration import create_demonstration_bundle

    with remedy_instead_of_traceback(), PROGRESS.status("importing the network") as status:
        bundle = create_demonstration_bundle(folder, seed, status.update)
    summary = f"{bundle.version}, bundle {bundle.bundle_hash[:12]}, threshold {bundle.screening_threshold}"
    OUT.print(f"{folder}: {summary}", markup=False)


@app.command("verify")
def verify(folder: Folder, device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto") -> None:
    """Check every hash of a bundle, then its golden vectors on this machine."""
    from strnet_core.bundle import load_bundle
    from strnet_core.engines.torch_engine import open_torch_engine
    from strnet_core.engines.verification import verify_bundle

    with remedy_instead_of_traceback(), PROGRESS.status("comparing golden vectors"):
        bundle = load_bundle(folder)
        engine = open_torch_engine(bundle, device_named(device))
        verified = verify_bundle(bundle, engine)
    OUT.print(
        f"good: bundle {bundle.bundle_hash[:12]}, intended use {bundle.intended_use}, {verified.vectors} golden vectors on "
        f"{engine.profile}, largest difference {verified.max_difference:.1e}",
        markup=False,
    )
