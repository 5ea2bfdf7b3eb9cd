"""Cells of CSV tables that come from elsewhere: read strictly, and refused by row and column, never by value."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

from strnet_core.errors import EvaluationError

Refusal = Callable[[str], EvaluationError]
_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d")


class Cells:
    """One row. number: 2 is the first below the heading. A missing column and an empty cell are both unknown."""

    def __init__(self, cells: dict[str, str], number: int, refusal: Refusal) -> None:
        self._cells, self.number, self._refusal = cells, number, refusal

    def text(self, column: str) -> str:
        return self._cells.get(column, "")

    def required(self, column: str) -> str:
        found = self.text(column)
        if not found:
            raise self.wrong(column, "is empty")
        return found

    def figure(self, column: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        text = self.text(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError as error:
            raise self.wrong(column, "no number") from error
        if not math.isfinite(value) or not low <= value <= high:
            raise self.wrong(column, "out of range")
        return value

    def day(self, column: str) -> date | None:
        """YYYY-MM-DD or YYYYMMDD; nothing else, since 03/04 is two days."""
        text = self.text(column)
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(text, form).date()  # noqa: DTZ007  a date
            except ValueError:
                continue
        if text:
            raise self.wrong(column, "no date as YYYY-MM-DD or YYYYMMDD")
        return None

    def wrong(self, column: str, why: str) -> EvaluationError:
        return self._refusal(f"row {self.number}, {column}: {why}")


def read_rows(path: Path, required: tuple[str, ...], refusal: Refusal) -> Iterator[Cells]:
    """Rows of a UTF-8 file with a heading. Raises what `refusal` makes."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [column for column in required if column not in (reader.fieldnames or ())]
            if missing:
                raise refusal(f"{path.name} has no column {', '.join(missing)}")
            for number, row in enumerate(reader, 2):
                if None in row or any(value is None for value in row.values()):
                    raise refusal(f"row {number} has more or fewer cells than the heading")
                yield Cells({name: value.strip() for name, value in row.items()}, number, refusal)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise refusal(f"{path.name}: {type(error).__name__}") from error
