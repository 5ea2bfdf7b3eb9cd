"""`strnet-gateway config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import Settings, check_may_serve, load_settings, without_password
from gateway.domain.outcome import Policy
from gateway.store.database import check_url

_DAY_SECONDS: Final = 86_400
_SOON_DAYS: Final = 30

app = typer.Typer(no_args_is_help=True, help="The configuration: check, show, schema.")


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say whether `serve` would take this configuration. Exit code 2 when not.

    Notes tell what is perhaps not meant, and what would keep `serve` from starting on this machine as it stands.
    """
    from gateway.app.preflight import refusals_here
    from gateway.delivery.credentials import authorization
    from gateway.delivery.tls import client_context
    from gateway.receive.tls import new_context
    from gateway.routing.router import Router

    settings = load_settings(config)
    check_may_serve(settings)
    check_url(settings.database.url)
    Router(settings)
    if settings.tls.required:
        new_context(settings.tls)
    for destination in settings.destinations:
        if destination.uses_tls:
            client_context(destination)
        authorization(destination)
    print(f"{config}: good, configuration {settings.config_hash[:12]}")
    for note in _notes(settings):
        print(f"note: {note}")
    for refusal in refusals_here(settings):
        print(f"note: serve will refuse to start: {refusal}")


def _notes(settings: Settings) -> Iterator[str]:
    """What is legal and perhaps not meant."""
    from gateway.receive.tls import seconds_left

    if not settings.model.bundle.exists():
        made = "serve will write the demonstration bundle there" if settings.serve.development else "serve will refuse to start"
        yield f"there is no bundle at {settings.model.bundle}: {made}"
    left = seconds_left(settings.tls, datetime.now(UTC))
    if left is not None and left < _SOON_DAYS * _DAY_SECONDS:
        yield f"tls.certificate {'has expired' if left < 0 else f'ends in {left / _DAY_SECONDS:.0f} day(s)'}"
    for route in settings.routes:
        if route.policy in (Policy.ALL, Policy.POSITIVE_ONLY) and not route.destinations:
            yield f"route {route.name} has policy {route.policy} and no destinations: its results go nowhere"
    if settings.results.late_after_hours and any(route.destinations for route in settings.routes):
        yield f"results are withheld {settings.results.late_after_hours:g} h after their study's time (results.late_after_hours)"


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
