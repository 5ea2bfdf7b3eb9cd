"""`strnet-gateway audit export`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.app.knee_table import FEWEST_KEY_BYTES, Pseudonyms, write_knees
from gateway.cli.jobs import ByOption, ReasonOption
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json, watched
from gateway.config import load_settings
from gateway.store.knee_export import KneeExport

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]


def export(
    out: Annotated[Path, typer.Option(dir_okay=False, help="The CSV file to make; it must not be there yet.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    since: Annotated[datetime | None, typer.Option(help="Only analyses from this time on, UTC.", formats=_FORMATS)] = None,
    until: Annotated[datetime | None, typer.Option(help="Only analyses before this time, UTC.", formats=_FORMATS)] = None,
    bundle: Annotated[str, typer.Option(help="Only by the bundle whose hash begins so.")] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Secret that gives a person the same number in every export; else it is random."),
    ] = None,
    with_identifiers: Annotated[
        bool, typer.Option("--with-identifiers", help="Also patient ids, accession numbers and UIDs; recorded in the audit store.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """One row per knee that was judged, for `strnet validate` and `strnet drift`. Subjects are numbers; dates of studies are not hidden."""
    operator = operator_of(by, reason)
    if out.exists() or not out.resolve().parent.is_dir():
        raise typer.BadParameter("is there already, or its folder is not", param_hint="--out")
    pseudonyms = Pseudonyms(_key(key_file))
    with open_database(load_settings(config)) as database:
        found = KneeExport(database, since=_utc(since), until=_utc(until), bundle=bundle.lower())
        knees = watched(found.knees(), "knees", found.count())
        try:
            count = write_knees(database, knees, out, operator, pseudonyms=pseudonyms, with_identifiers=with_identifiers)
        except OSError as error:
            raise typer.BadParameter(f"cannot be written: {error.strerror or error}", param_hint="--out") from error
    if json:
        print_json({"file": str(out), "knees": count, "with_identifiers": with_identifiers})
    else:
        print(f"{count} knees in {out}" + ("; it holds patient identifiers" if with_identifiers else ""))


def _key(file: Path | None) -> bytes | None:
    if file is None:
        return None
    key = file.read_bytes().strip()
    if len(key) < FEWEST_KEY_BYTES:
        raise typer.BadParameter(f"at least {FEWEST_KEY_BYTES} bytes", param_hint="--key-file")
    return key


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
