"""`strnet`: the research side on the command line. Exit codes: 0 good, 1 the thing asked about is bad, 2 wrong use."""

from __future__ import annotations

import sys
import traceback
from importlib import metadata
from typing import Annotated

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

app = typer.Typer(
    name="strnet",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="STR-Net outside of the gateway.",
)
app.add_typer(bundle.app, name="bundle")
bundle.app.command()(equivalence)
for _command in (knees, phantom, train, evaluate, validate, drift, bench):
    app.command()(_command)


@app.callback()
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"strnet {metadata.version('strnet-gateway')}")
        raise typer.Exit


def main() -> None:
    """Entry point of `strnet`. What a disk refuses is told in one line; anything else is a defect and shows its class and place: a
    traceback may quote what stood in a file."""
    try:
        app()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"strnet: {where}{error.strerror or type(error).__name__}; check the folder, its permissions and its disk", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  the command line's edge
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"strnet: a defect: {type(error).__name__} at {place.filename}:{place.lineno}; please report it", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
