"""The report's items as a viewer has to show them, read from the finished file; and DCMTK's HTML as plain text."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

DSR2HTML = Path("/usr/bin/dsr2html")
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A NUM item. unit: the UCUM code."""

    name: str
    value: str
    unit: str

    @property
    def in_ohif(self) -> str:
        """OHIF prints two decimals and the unit's code value."""
        return f"{self.name}: {float(self.value):.2f} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A measurement group (TID 1410). rectangle: left, top, right, bottom in the image's pixels."""

    image: str
    rectangle: tuple[float, float, float, float]
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A CODE, TEXT or NUM item: its name and its value in words."""

    name: str
    value: str


def groups(report: bytes) -> tuple[Group, ...]:
    return tuple(_group(item) for item in _items(dcmread(BytesIO(report))) if _code(item) == "125007")


def statements(report: bytes) -> tuple[Statement, ...]:
    found = []
    for item in _items(dcmread(BytesIO(report))):
        if item.ValueType == "NUM":
            number = _number(item)
            found.append(Statement(name=number.name, value=f"{number.value} {number.unit}"))
        elif item.ValueType == "CODE":
            found.append(Statement(name=_name(item), value=str(item.ConceptCodeSequence[0].CodeMeaning)))
        elif item.ValueType == "TEXT":
            found.append(Statement(name=_name(item), value=str(item.TextValue)))
    return tuple(found)


def html_text(report: Path) -> str:
    """What DCMTK's dsr2html shows, without the tags, spaces folded."""
    page = report.with_suffix(".html")
    subprocess.run([str(DSR2HTML), str(report), str(page)], check=True, capture_output=True, timeout=60)
    return folded(unescape(_TAG.sub(" ", page.read_text(encoding="utf-8"))))


def folded(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


def unshown(report: bytes, text: str) -> list[Statement]:
    """Statements that a text does not show, each name with its value behind it.

    dsr2html sets long texts and coded modifiers into an annex and leaves a link ("[Annex 3]") in their place.
    """
    return [one for one in statements(report) if not _shows(folded(text), one)]


def _shows(text: str, one: Statement) -> bool:
    name, value = re.escape(folded(one.name)), re.escape(folded(one.value))
    if re.search(rf'{name} ?[:=] ?"?{value}', text):
        return True
    linked = re.findall(rf"{name} ?[:=]? ?\[ ?Annex (\d+) ?\]", text)
    return any(re.search(rf"Annex {number} {name} ?[:=]? ?\"?{value}", text) for number in linked)


def _group(item: Dataset) -> Group:
    region = next(child for child in item.ContentSequence if child.ValueType == "SCOORD")
    x, y = region.GraphicData[0::2], region.GraphicData[1::2]
    return Group(
        image=str(region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
        rectangle=(min(x), min(y), max(x), max(y)),
        numbers=tuple(_number(child) for child in item.ContentSequence if child.ValueType == "NUM"),
    )


def _number(item: Dataset) -> Number:
    measured = item.MeasuredValueSequence[0]
    return Number(name=_name(item), value=str(measured.NumericValue), unit=str(measured.MeasurementUnitsCodeSequence[0].CodeValue))


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def _code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


def _items(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", ()):
        yield from _items(child)
