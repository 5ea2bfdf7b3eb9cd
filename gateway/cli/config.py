"""`strnet-gateway config`."""

from __future__ import annotations

import json

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import Settings, check_may_serve, load_settings, without_password
from gateway.routing.router import Router

app = typer.Typer(no_args_is_help=True, help="The configuration: check, show, schema.")


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say whether `serve` would take this configuration. Exit code 2 when not."""
    settings = load_settings(config)
    check_may_serve(settings)
    Router(settings)
    print(f"{config}: good, configuration {settings.config_hash[:12]}")


@app.command()
def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the configuration in force, defaults filled in, passwords masked."""
    settings = load_settings(config)
    shown = settings.model_dump(mode="json", by_alias=True)
    shown["database"]["url"] = without_password(settings.database.url)
    print(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command()
def schema() -> None:
    """Print the JSON schema of config.toml."""
    print(json.dumps(Settings.model_json_schema(), indent=2))
