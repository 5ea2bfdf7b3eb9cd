"""`strnet-gateway check`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json
from gateway.config import DestinationSettings, Settings, load_settings
from gateway.domain.check import Line, Standing, note

if TYPE_CHECKING:
    from gateway.app.round_trip import RoundTripWish


def check(
    destination: Annotated[str | None, typer.Argument(help="A [[destinations]] table's name; without it every one.")] = None,
    *,
    round_trip: Annotated[
        bool, typer.Option("--round-trip/--no-round-trip", help="Send a phantom through the whole gateway, and reject its results again.")
    ] = True,
    to_clinical: Annotated[
        bool, typer.Option("--phantom-to-clinical", help="Let the phantom go to the named destination although its class is clinical.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who does this, one word; recorded in the audit store.")] = None,
    seconds: Annotated[float, typer.Option("--timeout", help="Seconds for each step of the round trip.", min=1)] = 120,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Look at the configuration, the gateway and its destinations, and send a phantom the whole way.

    Says which side is wrong and what to change. Exit code 1 when anything is bad.
    """
    from gateway.app.round_trip import RoundTripWish

    settings = load_settings(config)
    chosen = _chosen(settings, destination)
    who = None if by is None else operator_of(by, "check").name
    wish = RoundTripWish(chosen=chosen, named=destination is not None, to_clinical=to_clinical, by=who, seconds=seconds)
    lines: list[Line] = []
    for line in _lines(settings, wish, lines, config, round_trip=round_trip):
        lines.append(line)
        if not json:
            _print(line)
    if json:
        print_json(lines)
    sys.exit(1 if any(line.standing is Standing.BAD for line in lines) else 0)


def _lines(settings: Settings, wish: RoundTripWish, before: Sequence[Line], config: Path, *, round_trip: bool) -> Iterator[Line]:
    """before: grows with what is yielded."""
    from gateway.app.check import configuration_lines, destination_lines, running_lines
    from gateway.app.round_trip import round_trip_lines

    yield from configuration_lines(settings)
    with open_database(settings) as database:
        yield from running_lines(settings, database, config=config)
        yield from destination_lines(settings, wish.chosen)
        if round_trip:
            yield from round_trip_lines(settings, database, wish, before)
        elif wish.chosen:
            yield note("round trip", "round trip", "not_asked", "not tried")


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
