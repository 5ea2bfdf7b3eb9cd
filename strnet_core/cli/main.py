"""`strnet`: the research side on the command line. Exit codes: 0 good, 1 the thing asked about is bad, 2 wrong use."""

from __future__ import annotations

import typer

from strnet_core.cli import bundle
from strnet_core.cli.bench import bench
from strnet_core.cli.drift import drift
from strnet_core.cli.equivalence import equivalence
from strnet_core.cli.evaluate import evaluate
from strnet_core.cli.knees import knees
from strnet_core.cli.phantom import phantom
from strnet_core.cli.train import train
from strnet_core.cli.validate import validate

app = typer.Typer(name="strnet", no_args_is_help=True, add_completion=False, help="STR-Net outside of the gateway.")
app.add_typer(bundle.app, name="bundle")
bundle.app.command()(equivalence)
for _command in (knees, phantom, train, evaluate, validate, drift, bench):
    app.command()(_command)


def main() -> None:
    """Entry point of `strnet`."""
    app()


if __name__ == "__main__":
    main()
