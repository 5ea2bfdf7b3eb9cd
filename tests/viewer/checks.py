"""What has to be true of results in the viewer. Each check tells what it saw and collects what was missed."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread

from .browser import ARROWS, EMPTY_REPORT, Reader, Series
from .findings import Findings
from .reports import Group, groups
from .screen import Label, Screen, difference, overlaps
from .studies import ViewedKnee, ViewedStudy, presentation

LARGEST_DIFFERENCE = 4.0
"""Mean of 0..255 between a picture and its place on the screen. Measured: 0.6 to 2.0 for the picture itself (resampling, OHIF's texts
over it), 6.2 between the two overlays that are most alike, 33 and more for an empty viewport."""
_PIXEL = 1.5
_EDGE = 8.0
_LOADING_TRIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One study in the viewer."""

    study: ViewedStudy
    reader: Reader
    findings: Findings
    pictures: Path

    def check(self) -> None:
        self.reader.open_study(self.study.study_instance_uid, len(self.study.images) + 2)
        listed = self.reader.series()
        self._order(listed)
        self._first_image()
        pages = next((one for one in listed if one.modality == "OT"), None)
        report = next((one for one in listed if one.modality == "SR"), None)
        if pages is None or report is None:
            self.findings.missed(f"{self.study.name}: series list without our pages or report")
            return
        self._pages(pages)
        self._report(report)

    def _order(self, listed: list[Series]) -> None:
        self.findings.saw(f"series list: {', '.join(f'{one.number} {one.modality} {one.description!r}' for one in listed)}")
        expected = [(number, "DX") for number in range(1, len(self.study.images) + 1)]
        count = len(expected)
        if [(one.number, one.modality) for one in listed[:count]] != expected:
            self.findings.missed(f"{self.study.name}: source series do not stand first, in their order")
        if {one.modality for one in listed[count:]} != {"OT", "SR"}:
            self.findings.missed(f"{self.study.name}: our two series do not stand last")

    def _first_image(self) -> None:
        source = self.study.images[0]
        seen = self._wait_for(presentation(source), "first")
        if seen is None or seen.image != source.SOPInstanceUID:
            self.findings.missed(f"{self.study.name}: the first source image does not open first")

    def _pages(self, series: Series) -> None:
        self.reader.open_series(series)
        for index, page in enumerate(self.study.pages):
            if index:
                self.reader.next_image(index)
            seen = self._wait_for(dcmread(BytesIO(page.content)).pixel_array, page.kind)
            if seen is None or seen.image != page.sop_instance_uid or seen.images != len(self.study.pages):
                self.findings.missed(f"{self.study.name}: page {index + 1} ({page.kind}) is not what opens")
            else:
                self.findings.pages += 1

    def _wait_for(self, expected: npt.NDArray[np.uint8], name: str) -> Screen | None:
        """The screen once it shows a picture; None and a miss when it never does."""
        distance = 255.0
        for _ in range(_LOADING_TRIES):
            self.reader.settle()
            seen = self.reader.screen()
            if seen is not None:
                window = self.reader.picture(self.pictures / f"{self.study.name}-{name}.png")
                distance = difference(window, seen, expected)
                if distance <= LARGEST_DIFFERENCE:
                    self.findings.saw(f"{name}: image {seen.index + 1} of {seen.images}, mean difference {distance:.1f} of 255")
                    return seen
        self.findings.missed(f"{self.study.name}: {name} does not look as it was built, mean difference {distance:.1f} of 255")
        return None

    def _report(self, series: Series) -> None:
        if not self.study.knees:
            self._empty_report(series)
            return
        self.reader.open_series(series)
        self.reader.wait_for_rectangle()
        self.reader.decline_tracking()
        self._loaded(series)
        self._drawn()

    def _empty_report(self, series: Series) -> None:
        """Nothing to draw: it is told what OHIF makes of it."""
        with self.reader.tolerating(EMPTY_REPORT):
            self.reader.open_series(series, draws=False)
            self.reader.settle()
        self.reader.picture(self.pictures / f"{self.study.name}-report.png")
        if self.reader.labels_loaded(series):
            self.findings.missed(f"{self.study.name}: OHIF reads measurements from a report that has none")
        if self.reader.tolerated and self.reader.tolerated[-1].startswith(EMPTY_REPORT):
            self.findings.note(
                f'{self.study.name}: OHIF fails on a report without measurements ("Something went wrong"); the page shows it'
            )

    def _loaded(self, series: Series) -> None:
        """Everything that OHIF read of the report, also what it never draws."""
        loaded = self.reader.labels_loaded(series)
        if len(loaded) != len(self.study.knees):
            self.findings.missed(f"{self.study.name}: OHIF reads {len(loaded)} of {len(self.study.knees)} measurement groups")
        for (image, lines), knee, group in zip(loaded, self.study.knees, groups(self.study.report.content), strict=False):
            if image != knee.sop_instance_uid or not _names(lines, knee, group):
                self.findings.missed(f"{self.study.name}: OHIF reads {lines} of {knee.side}")

    def _drawn(self) -> None:
        left = dict(enumerate(zip(self.study.knees, groups(self.study.report.content), strict=True)))
        for step in range(len(self.study.knees)):
            if step:
                with self.reader.tolerating(ARROWS):
                    self.reader.next_measurement()
            seen = self.reader.screen()
            if seen is None:
                break
            for index, (knee, group) in list(left.items()):
                if seen.image == knee.sop_instance_uid and self._knee(seen, knee, group):
                    del left[index]
        first = self.study.knees[0].sop_instance_uid
        for knee, _ in left.values():
            if knee.sop_instance_uid == first:
                self.findings.missed(f"{self.study.name}: {knee.side} is not drawn with its labels")
            else:
                self.findings.note(
                    f"{self.study.name}: {knee.side} of a further image: OHIF reads its labels but its arrows never get there"
                )

    def _knee(self, seen: Screen, knee: ViewedKnee, group: Group) -> bool:
        region = knee.region
        expected = (region.left, region.top, region.right, region.bottom)
        rectangle = next((one for one in seen.rectangles if _near(one.in_image, expected)), None)
        label = seen.label_of(rectangle) if rectangle else None
        if rectangle is None or label is None or not _names(list(label.lines), knee, group):
            return False
        for other in seen.rectangles:
            if other is not rectangle and overlaps(label.box, other.in_window):
                self.findings.note(f"{self.study.name}: OHIF draws the label of {knee.side} over the other knee")
        if not self._readable(seen, label, knee):
            return False
        self.findings.labels += len(group.numbers)
        self.findings.saw(f"{knee.side}: rectangle at {tuple(round(edge) for edge in rectangle.in_image)}, {' | '.join(label.lines)}")
        return True

    def _readable(self, seen: Screen, label: Label, knee: ViewedKnee) -> bool:
        """Whether all of a label can be brought into view; then there is a picture of it."""
        moved = 0.0
        if not seen.is_whole(label):
            self.findings.note(f"{self.study.name}: label of {knee.side} is cut off by the viewport's edge until the picture is dragged")
            moved = seen.pane[2] - label.box[2] - _EDGE
            self.reader.pan(seen, moved, 0)
        now = self.reader.screen()
        self.reader.picture(self.pictures / f"{self.study.name}-report-{knee.side.lower().replace(' ', '-')}.png")
        whole = now is not None and any(one.lines == label.lines and now.is_whole(one) for one in now.labels)
        if now is not None and moved:
            self.reader.pan(now, -moved, 0)
        return whole


def _names(lines: list[str], knee: ViewedKnee, group: Group) -> bool:
    """Whether every number of the group stands in the lines as it should, the first of them with this knee's own side and score."""
    numbers = [number.in_ohif for number in group.numbers]
    own = numbers[0].startswith(f"{knee.side}: ") and numbers[0].endswith(f": {float(knee.score):.2f} {{score}}")
    return own and all(number in lines for number in numbers)


def _near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(a - b) <= _PIXEL for a, b in zip(one, other, strict=True))
