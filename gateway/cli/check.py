"""`strnet-gateway check`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from gateway.app.check import configuration_lines, destination_lines, running_lines
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json
from gateway.config import DestinationSettings, Settings, load_settings
from gateway.domain.check import Line, Standing


def check(
    destination: Annotated[str | None, typer.Argument(help="A [[destinations]] table's name; without it every one.")] = None,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Look at the configuration, the gateway and its destinations. Says which side is wrong and what to change.

    Exit code 1 when anything is bad.
    """
    settings = load_settings(config)
    destinations = _chosen(settings, destination)
    lines: list[Line] = []
    for line in _lines(settings, destinations, config):
        lines.append(line)
        if not json:
            _print(line)
    if json:
        print_json(lines)
    sys.exit(1 if any(line.standing is Standing.BAD for line in lines) else 0)


def _lines(settings: Settings, destinations: tuple[DestinationSettings, ...], config: ConfigOption) -> Iterator[Line]:
    yield from configuration_lines(settings)
    with open_database(settings) as database:
        yield from running_lines(settings, database, config=config)
    yield from destination_lines(settings, destinations)


def _chosen(settings: Settings, name: str | None) -> tuple[DestinationSettings, ...]:
    if name is None:
        return settings.destinations
    found = settings.destination(name)
    if found is None:
        known = ", ".join(one.name for one in settings.destinations) or "none"
        raise typer.BadParameter(f"no [[destinations]] table is called {name!r}; there are: {known}")
    return (found,)


def _print(line: Line) -> None:
    """One line, at once: a peer that does not answer takes its time."""
    said = f": {line.said}" if line.said else ""
    print(f"{line.standing.upper():<4}  {line.subject}, {line.step}{said}", flush=True)
    if line.remedy:
        wrong = f"wrong: {line.side}. " if line.standing is Standing.BAD else ""
        print(f"      {wrong}{line.remedy}", flush=True)
