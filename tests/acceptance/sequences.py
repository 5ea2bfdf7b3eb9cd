"""Sequences of sends to a running gateway, and what the PACS holds after each step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Final

from pydicom import Dataset, FileDataset, dcmread
from pydicom.uid import JPEGLSLossless, RLELossless

from gateway.demo.rendering import _lines
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from tests.acceptance.serving import Serving
from tests.peers import dcmtk
from tests.peers.orthanc import Orthanc

IMAGES: Final = {
    "right": {"side": "R", "rows": 480, "columns": 400},
    "left": {"side": "L", "rows": 480, "columns": 400},
    "lateral": {"view": "lateral", "rows": 480, "columns": 400},
    "both": {"knees": 2, "rows": 480, "columns": 760},
}
KNEES: Final = 4
"""Two on images of their own and two on the film of both; the lateral image is not assessed."""
ORDERS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "one by one": (("right",), ("left",), ("lateral",), ("both",)),
    "backwards, each sent again with the next": (("both",), ("both", "lateral"), ("lateral", "left"), ("left", "right"), ("right", "both")),
    "all in one association": (("lateral", "right", "both", "left"),),
    "all in one association, and again": (("left", "both", "right", "lateral"), ("right", "left", "both", "lateral")),
}
ROADS: Final = ("other accession number and institution", "RLE Lossless", "JPEG-LS Lossless", "other calling AE title")
_numbers = count(1)


@dataclass(frozen=True)
class Holding:
    """What the PACS holds of a study's results. current: reports that no other one names as its predecessor."""

    step: str
    reports: int
    pages: int
    page_series: int
    current: tuple[str, ...]
    """SOP Instance UIDs."""
    knees: int
    """Measurement groups of the current report."""
    revision: int
    """Of the current report: how many predecessors lie before it, and itself."""
    results: frozenset[str]
    """SOP Instance UIDs of everything of ours."""

    def line(self) -> str:
        return f"{self.step:58} {self.reports:>2} SR, current {len(self.current)}, revision {self.revision}, {self.knees} knees, {self.pages:>2} pages"


class SentStudy:
    """One study of its own, sent step by step."""

    def __init__(self, gateway: Serving, pacs: Orthanc, folder: Path) -> None:
        self._gateway, self._pacs, self._folder = gateway, pacs, folder
        number = next(_numbers)
        self._study = PhantomStudy(
            seed=71,
            number=number,
            patient_name="Sequence^Test",
            patient_id=f"SEQ{number}",
            birth_date="19500101",
            sex="F",
            taken_at=datetime(2026, 1, 1, 9, tzinfo=UTC),
            accession_number=f"SEQ{number}",
        )

    def image(self, name: str) -> FileDataset:
        return phantom_instance(self._study, phantom_parameters(**IMAGES[name]), instance_number=list(IMAGES).index(name) + 1)

    @property
    def study_instance_uid(self) -> str:
        return str(self.image("right").StudyInstanceUID)

    def send(self, step: str, images: Sequence[FileDataset], *, calling: str = "XRAY1") -> Holding:
        """One association of storescu's, then what the PACS holds once the gateway has nothing more to do."""
        paths = []
        for number, image in enumerate(images):
            paths.append(self._folder / f"{number}.dcm")
            image.save_as(paths[-1], enforce_file_format=True)
        dcmtk.storescu(paths, port=self._gateway.port, syntax=str(images[0].file_meta.TransferSyntaxUID), calling=calling)
        self._gateway.wait_quiet()
        return self.holding(step)

    def holding(self, step: str) -> Holding:
        mine = {uid: tags for uid, tags in self._pacs.instances().items() if tags["StudyInstanceUID"] == self.study_instance_uid}
        reports = {uid: self._read(tags["orthanc"]) for uid, tags in mine.items() if tags["Modality"] == "SR"}
        pages = [tags for tags in mine.values() if tags["Modality"] != "SR"]
        before = {uid: predecessor(report) for uid, report in reports.items()}
        current = tuple(uid for uid in reports if uid not in before.values())
        return Holding(
            step=step,
            reports=len(reports),
            pages=len(pages),
            page_series=len({page["SeriesInstanceUID"] for page in pages}),
            current=current,
            knees=knees(reports[current[0]]) if current else 0,
            revision=len(list(chain(current[0], before))) if current else 0,
            results=frozenset(mine),
        )

    def _read(self, orthanc: str) -> Dataset:
        return dcmread(BytesIO(self._pacs.file(orthanc)))

    def by_roads(self) -> Iterator[Holding]:
        """One image, then the same pixels by each of ROADS."""
        yield self.send("right", [self.image("right")])
        header = self.image("right")
        header.AccessionNumber, header.InstitutionName = "OTHERROAD", "Other road"
        yield self.send(ROADS[0], [header])
        for road, syntax in zip(ROADS[1:3], (RLELossless, JPEGLSLossless), strict=True):
            compressed = self.image("right")
            compressed.compress(syntax, generate_instance_uid=False)
            yield self.send(road, [compressed])
        yield self.send(ROADS[3], [self.image("right")], calling="XRAY2")


def predecessor(report: Dataset) -> str | None:
    """SOP Instance UID of the report that this one replaces (PS3.3 C.17.2)."""
    if "PredecessorDocumentsSequence" not in report:
        return None
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    return str(named.ReferencedSOPInstanceUID)


def chain(uid: str | None, before: dict[str, str | None]) -> Iterator[str]:
    """A report and all that lie before it."""
    while uid is not None and uid in before:
        yield uid
        uid = before[uid]


def knees(report: Dataset) -> int:
    """Measurement groups of a report (TID 1410)."""
    return sum("Measurement Group" in line for line in _lines(report, 0))


def audit(gateway: Serving, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`strnet-gateway audit COMMAND` of the gateway's configuration."""
    full = [sys.executable, "-m", "gateway.cli.main", "audit", command, "--config", str(gateway.config), *arguments]
    return subprocess.run(full, capture_output=True, text=True, check=False, timeout=300)
