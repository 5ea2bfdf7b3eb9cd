"""`strnet-gateway serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.app.role import Role
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import load_settings
from gateway.ops.logging import configure_logging


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    role: Annotated[list[Role] | None, typer.Option("--role", help="Run only this role; may be given several times.")] = None,
) -> None:
    """Run the gateway: receiver, worker and sender as supervised processes. SIGTERM drains, SIGHUP takes up a changed configuration."""
    from gateway.app.supervisor import Supervisor

    settings = load_settings(config)
    configure_logging(settings.logging.level, "supervisor")
    sys.exit(Supervisor(settings, role or list(Role), lambda: load_settings(config)).run())
