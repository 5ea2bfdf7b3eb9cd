"""What came back, for eyes without a viewer: an SR as indented text, a secondary capture as PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset


def render(source: Path, folder: Path, study_numbers: Mapping[str, int]) -> Path:
    """Writes a readable copy of a result into a folder and returns its path, which names the study's number and no patient."""
    dataset = dcmread(source)
    number = study_numbers.get(str(dataset.StudyInstanceUID), 0)
    safe = f"study-{number}-{'report' if dataset.Modality == 'SR' else 'page'}-{int(dataset.InstanceNumber)}"
    folder.mkdir(parents=True, exist_ok=True)
    if dataset.Modality == "SR":
        path = folder / f"{safe}.txt"
        path.write_text("\n".join(_lines(dataset, 0)) + "\n", encoding="utf-8")
    else:
        path = folder / f"{safe}.png"
        Image.fromarray(dataset.pixel_array).save(path)
    return path


def _lines(item: Dataset, depth: int) -> Iterator[str]:
    name = item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else item.ValueType
    value = _value(item)
    yield "  " * depth + (f"{name}: {value}" if value else str(name))
    for child in item.get("ContentSequence", ()):
        yield from _lines(child, depth + 1)


def _value(item: Dataset) -> str:
    read = _VALUES.get(item.ValueType)
    return read(item) if read else ""


def _measured(item: Dataset) -> str:
    measured = item.MeasuredValueSequence[0]
    return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeMeaning}"


_VALUES: Final[dict[str, Callable[[Dataset], str]]] = {
    "TEXT": lambda item: str(item.TextValue),
    "CODE": lambda item: str(item.ConceptCodeSequence[0].CodeMeaning),
    "NUM": _measured,
    "UIDREF": lambda item: str(item.UID),
    "IMAGE": lambda item: str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
    "SCOORD": lambda item: f"{item.GraphicType} {[round(float(number), 1) for number in item.GraphicData]}",
}
"""What each value type of PS3.3 C.17.3 shows."""
