"""Options and output that the commands share."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gateway.config import Settings
from gateway.domain.operator import Operator
from gateway.errors import StoreEmptyError
from gateway.store import schema
from gateway.store.database import Database

_Item = TypeVar("_Item")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
_SHORT_UID = 16
_PIPED_WIDTH: Final = 200
"""Columns of a table that goes to a file or a pipe: cells are not folded for a screen that is not there."""
DEFAULT_CONFIG = Path("config.toml")


@contextmanager
def open_database(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """The audit store, with this release's schema. StoreEmptyError when there is none and none is to be made."""
    file = Path(settings.database.url.removeprefix("sqlite:///"))
    if not create and settings.database.url.startswith("sqlite:///") and not file.exists():
        raise StoreEmptyError(str(file))
    database = Database(settings.database.url)
    try:
        schema.ensure(database)
        yield database
    finally:
        database.close()


def print_json(value: object) -> None:
    """Dataclasses as objects, times as ISO 8601."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))  # type: ignore[call-overload]
    return value


def short(uid: str) -> str:
    """A UID or id as tables show it; `--json` has it whole."""
    return uid if len(uid) <= _SHORT_UID else f"{uid[:6]}..{uid[-6:]}"


def operator_of(by: str, reason: str) -> Operator:
    """Who acts and why; BadParameter, thus exit code 2, for what could be a free text."""
    try:
        return Operator(name=by, reason=reason)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--by, --reason") from error


class Bar(Protocol):
    pos: int

    def update(self, n_steps: int) -> None:
        """So many more."""
        ...


def progress_bar(label: str, total: int | None = None) -> AbstractContextManager[Bar]:
    """On standard error, where a terminal is: of a bar that goes to a file only its label would stand there. total None: it counts."""
    is_known = total is not None
    # of an iterator that tells its length the bar would take that, 0, for the total
    nothing: Iterator[None] = itertools.chain()
    return typer.progressbar(
        nothing,
        length=total,
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_eta=is_known,
        show_percent=is_known,
        show_pos=not is_known,
    )


def watched(items: Iterable[_Item], label: str, total: int | None = None) -> Iterator[_Item]:
    """Each of them, beside a bar."""
    with progress_bar(label, total) as bar:
        for item in items:
            yield item
            bar.update(1)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, whole: Sequence[str] = ()) -> None:
    """whole: columns whose cells are never broken, so that codes can be copied."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*("" if cell is None else cell.strftime("%F %T") if isinstance(cell, datetime) else str(cell) for cell in row))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    console.print(table)
