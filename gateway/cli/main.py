"""Entry point. Exit codes: 0 good, 1 the thing asked about is bad, 2 wrong use; of `serve` also 74 and 78 (docs/operations.md)."""

from __future__ import annotations

from gateway.cli.hang_ups import end_by_hang_up  # first, see there

# isort: split
import sys
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import (
    audit,
    check,
    config,
    conflicts,
    db,
    demo,
    ingest,
    jobs,
    model,
    recall,
    reconcile,
    results,
    routes,
    self_test,
    serve,
    status,
)
from gateway.errors import ConfigurationError, GatewayError
from gateway.ops.logging import configure_logging, place_of

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Knee radiographs in by C-STORE, Structured Reports and Grad-CAM overlays out. Research software, not for clinical decisions.",
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("reconcile")(reconcile.reconcile)
app.command("ingest")(ingest.ingest)
app.command("status")(status.status)
app.command("explain")(status.explain)
app.command("recall")(recall.recall)
app.add_typer(results.app, name="results")
app.add_typer(routes.app, name="routes")
app.add_typer(jobs.app, name="jobs")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(audit.app, name="audit")
app.add_typer(model.app, name="model")
app.add_typer(self_test.app, name="self-test")
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")


@app.callback()
def _options(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    if version:
        print(f"strnet-gateway {__version__}")
        raise typer.Exit
    if context.invoked_subcommand != "serve":
        end_by_hang_up()


def main() -> None:
    """Errors that have a remedy are shown as one line; anything else is a defect and shows its class only."""
    # a command's answer has standard output for itself; serve turns its log there
    configure_logging("warning", "command", sys.stderr)
    try:
        app()
    except GatewayError as error:
        print(f"strnet-gateway: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except Exception as error:  # noqa: BLE001  the command line's edge
        print(f"strnet-gateway: a defect: {type(error).__name__} at {place_of(error)}; please report it", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
