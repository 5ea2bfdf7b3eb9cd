"""Drawn studies with the results that the gateway's own code builds for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset

from gateway.config import ResultSettings
from gateway.dicom.uids import derived_uid
from gateway.domain.finding import KneeFinding, Laterality, NotAssessed, Region
from gateway.domain.outcome import InstanceOutcome
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from gateway.results.built_result import BuiltResult
from gateway.results.evidence import SourceInstance
from gateway.results.study_report import build_results
from tests.conformance.cases import hot_spot, knee, report

TAKEN_AT = datetime(2021, 3, 4, 10, 15, tzinfo=UTC)
FIRST_HOUR = TAKEN_AT.replace(hour=9)
"""Before the acquisition by the clock: a viewer that orders series by time alone would then show our results first."""
ONE_KNEE = Region(left=120, top=170, right=880, bottom=1030)
HALVES = (Region(left=90, top=170, right=830, bottom=1030), Region(left=970, top=170, right=1710, bottom=1030))


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewedKnee:
    """What has to be seen of a knee. score: as a reader has to meet it, held against the threshold of 44."""

    sop_instance_uid: str
    region: Region
    side: str
    score: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewedStudy:
    """images: one source series each, in order. results: as they would be sent. knees: one measurement group each."""

    name: str
    images: tuple[FileDataset, ...]
    results: tuple[BuiltResult, ...]
    knees: tuple[ViewedKnee, ...]

    @property
    def study_instance_uid(self) -> str:
        return str(self.images[0].StudyInstanceUID)

    @property
    def report(self) -> BuiltResult:
        return next(result for result in self.results if result.kind == "sr")

    @property
    def pages(self) -> tuple[BuiltResult, ...]:
        return tuple(result for result in self.results if result.kind != "sr")


def studies() -> tuple[ViewedStudy, ...]:
    """Two images and a film of both knees; a film alone, sides known; one as Comprehensive 3D, sides unknown; one that was not processed."""
    return _three_images(), _film_alone(), _film_as_3d(), _not_processed()


def _three_images() -> ViewedStudy:
    images = _drawn(1, ({"side": "R", "density": 0.2}, {"side": "L", "density": 0.8}, {"knees": 2, "columns": 1800}))
    right, left, film = (str(image.SOPInstanceUID) for image in images)
    knees = (
        (knee(right, score=73.2, region=ONE_KNEE), "Right knee", "73"),
        (knee(left, score=21.4, side=Laterality.LEFT, region=ONE_KNEE, saliency=hot_spot(at=(5.0, 9.0))), "Left knee", "21"),
        *_on_film(film),
    )
    return _study("three-images", images, knees, ResultSettings())


def _film_alone() -> ViewedStudy:
    images = _drawn(2, ({"knees": 2, "columns": 1800, "density": 0.3},))
    return _study("film", images, _on_film(str(images[0].SOPInstanceUID)), ResultSettings())


def _on_film(film: str) -> tuple[tuple[KneeFinding, str, str], ...]:
    """43.8 rounds to the threshold it does not reach: it has to be seen with its decimals."""
    no_evidence = ((0.0,) * 16,) * 16
    return (
        (knee(film, score=43.8, region=HALVES[0]), "Right knee", "43.80"),
        (knee(film, score=57.0, side=Laterality.LEFT, region=HALVES[1], position=2, saliency=no_evidence), "Left knee", "57"),
    )


def _film_as_3d() -> ViewedStudy:
    images = _drawn(3, ({"knees": 2, "columns": 1800, "density": 0.3, "marker": False},))
    film = str(images[0].SOPInstanceUID)
    knees = (
        (knee(film, score=88.0, side=Laterality.UNKNOWN, region=HALVES[0]), "Knee 1", "88"),
        (knee(film, score=12.3, side=Laterality.UNKNOWN, region=HALVES[1], position=2), "Knee 2", "12"),
    )
    return _study("film-3d-side-unknown", images, knees, ResultSettings(sr_class="comprehensive_3d"))


def _not_processed() -> ViewedStudy:
    images = _drawn(4, ({"view": "lateral"},))
    lateral = NotAssessed(
        sop_instance_uid=str(images[0].SOPInstanceUID),
        sop_class_uid=str(images[0].SOPClassUID),
        outcome=InstanceOutcome.INELIGIBLE_VIEW_LATERAL,
    )
    return _study("not-processed", images, (), ResultSettings(report_not_assessed=True), not_assessed=(lateral,))


def _study(
    name: str,
    images: Sequence[FileDataset],
    knees: Sequence[tuple[KneeFinding, str, str]],
    settings: ResultSettings,
    *,
    not_assessed: tuple[NotAssessed, ...] = (),
) -> ViewedStudy:
    said = replace(
        report(*(finding for finding, _, _ in knees), not_assessed=not_assessed),
        study_instance_uid=str(images[0].StudyInstanceUID),
        started_at=FIRST_HOUR,
    )
    sources = {str(image.SOPInstanceUID): SourceInstance(dataset=image, presentation=presentation(image)) for image in images}
    results = build_results(said, sources, settings, lambda kind: derived_uid(["viewer", name, kind]))
    seen = tuple(
        ViewedKnee(sop_instance_uid=finding.sop_instance_uid, region=finding.region, side=side, score=score)
        for finding, side, score in knees
    )
    return ViewedStudy(name=name, images=tuple(images), results=results, knees=seen)


def _drawn(number: int, drawings: Sequence[dict[str, Any]]) -> list[FileDataset]:
    study = PhantomStudy(
        seed=4,
        number=number,
        patient_name=f"Viewer^Study {number}",
        patient_id=f"VIEWER-{number}",
        birth_date="19540203",
        sex="F",
        taken_at=TAKEN_AT,
        accession_number=f"VIEW-{number}",
    )
    images = []
    for position, drawing in enumerate(drawings, start=1):
        image = phantom_instance(study, phantom_parameters(**drawing), instance_number=position)
        image.SeriesNumber = position
        images.append(image)
    return images


def presentation(image: FileDataset) -> npt.NDArray[np.uint8]:
    """uint8 (rows, columns): 12 bits under an identity window are shown as their upper 8 bits."""
    return np.asarray(image.pixel_array >> 4, dtype=np.uint8)


def part10(image: FileDataset) -> bytes:
    written = BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()
