"""What of the viewer's checks needs no browser: DCMTK's HTML of a report, Orthanc's previews of its pages, the deciders themselves."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peers.orthanc import Orthanc

from .reports import DSR2HTML, groups, html_text, unshown
from .screen import Label, Rectangle, Screen, difference
from .studies import ViewedStudy, studies

needs_dcmtk = pytest.mark.skipif(not DSR2HTML.exists(), reason="DCMTK is not installed (make test PEERS=install)")


@pytest.fixture(scope="module")
def shown() -> tuple[ViewedStudy, ...]:
    return studies()


@needs_dcmtk
def test_dsr2html_shows_every_item_of_every_report_with_its_value(shown: tuple[ViewedStudy, ...], tmp_path: Path) -> None:
    for study in shown:
        file = tmp_path / f"{study.name}.dcm"
        file.write_bytes(study.report.content)
        assert unshown(study.report.content, html_text(file)) == [], study.name


@needs_dcmtk
def test_continuous_containers_would_be_noticed_by_their_lost_names(shown: tuple[ViewedStudy, ...], tmp_path: Path) -> None:
    file = tmp_path / "continuous.dcm"
    report = dcmread(BytesIO(shown[0].report.content))
    _make_continuous(report)
    report.save_as(file)
    assert len(unshown(shown[0].report.content, html_text(file))) > 10


def _make_continuous(item: Dataset) -> None:
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "CONTINUOUS"
    for child in item.get("ContentSequence", ()):
        _make_continuous(child)


def test_each_group_has_the_knees_own_region_side_and_score(shown: tuple[ViewedStudy, ...]) -> None:
    for study in shown:
        found = groups(study.report.content)
        assert len(found) == len(study.knees)
        for group, knee in zip(found, study.knees, strict=True):
            region = knee.region
            assert (group.image, group.rectangle) == (knee.sop_instance_uid, (region.left, region.top, region.right, region.bottom))
            assert group.numbers[0].name.startswith(f"{knee.side}: ")
            assert group.numbers[0].value == knee.score


@pytest.mark.peers
def test_orthanc_previews_every_page(shown: tuple[ViewedStudy, ...]) -> None:
    orthanc = Orthanc()
    orthanc.start()
    try:
        for page in shown[0].pages:
            status, kind, content = orthanc.preview(orthanc.upload(page.content))
            assert (status, kind) == (200, "image/png"), page.kind
            built = dcmread(BytesIO(page.content)).pixel_array
            assert np.array_equal(np.asarray(Image.open(BytesIO(content)).convert("RGB")), built), page.kind
        assert orthanc.preview(orthanc.upload(shown[0].report.content))[0] != 200  # Orthanc draws no report
    finally:
        orthanc.stop()


def _screen(*labels: Label) -> Screen:
    return Screen(image="1.2", index=0, images=1, pane=(0, 0, 100, 100), image_box=(10, 10, 90, 90), rectangles=(), labels=labels)


def test_label_belongs_to_the_rectangle_whose_right_edge_is_nearest_on_its_left() -> None:
    first, second = Label(lines=("a",), box=(45, 50, 70, 60)), Label(lines=("b",), box=(95, 50, 140, 60))
    seen = _screen(first, second)
    assert seen.label_of(Rectangle(in_image=(0, 0, 1, 1), in_window=(10, 10, 40, 90))) is first
    assert seen.label_of(Rectangle(in_image=(0, 0, 1, 1), in_window=(50, 10, 90, 90))) is second
    assert (seen.is_whole(first), seen.is_whole(second)) == (True, False)


def test_another_picture_differs_and_the_picture_itself_does_not() -> None:
    picture = np.zeros((40, 40, 3), dtype=np.uint8)
    picture[:20] = 200
    window = np.zeros((100, 100, 3), dtype=np.uint8)
    window[10:90, 10:90] = picture.repeat(2, axis=0).repeat(2, axis=1)
    png = BytesIO()
    Image.fromarray(window).save(png, "PNG")
    assert difference(png.getvalue(), _screen(), picture) < 3
    assert difference(png.getvalue(), _screen(), picture[::-1].copy()) > 100
