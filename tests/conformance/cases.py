"""The matrix: every kind of report that a site can meet, over CR and DX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from gateway.config import ResultSettings
from gateway.dicom.uids import derived_uid
from gateway.domain.finding import (
    KneeFinding,
    Laterality,
    LateralitySource,
    ModelIdentity,
    NotAssessed,
    Predecessor,
    Region,
    StudyReport,
    UnassessedKnee,
)
from gateway.domain.outcome import InstanceOutcome, KneeDecision
from gateway.results.evidence import SourceInstance

from .sources import COLUMNS, ROWS, STUDY, bare_header, cr_header, dx_header, source

MODEL = ModelIdentity(
    name="STR-Net",
    version="1.0.0",
    weights_sha256="9f2c5a7e11d04b8897c3aa51f0be62d4417c08d9ee35b6f2a1c47d80935ebf16",
    bundle_hash="3c7d9e20b5f1486aa0d2c4e6f8091b2d3c4e5f60718293a4b5c6d7e8f9012345",
    intended_use="research",
    screening_threshold=0.44,
    manufacturer="STR-Net gateway project",
    device_uid="2.25.77000000000000000000000000000000001",
    evidence="",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    report: StudyReport
    sources: Mapping[str, SourceInstance]
    settings: ResultSettings

    def uid_for(self, kind: str) -> str:
        return derived_uid([self.name, kind])


def hot_spot(cells: int = 16, *, at: tuple[float, float] = (8.5, 6.0)) -> tuple[tuple[float, ...], ...]:
    y, x = np.mgrid[0:cells, 0:cells]
    values = 3.1 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 7.0)
    return tuple(tuple(float(value) for value in row) for row in np.where(values > 0.05, values, 0.0))


def knee(
    sop_instance_uid: str,
    *,
    score: float,
    side: Laterality = Laterality.RIGHT,
    threshold: float = 0.44,
    position: int = 1,
    region: Region | None = None,
    saliency: tuple[tuple[float, ...], ...] | None = None,
    flags: tuple[str, ...] = ("lossy",),
    decision: KneeDecision | None = None,
) -> KneeFinding:
    flagged = score >= threshold * 100
    return KneeFinding(
        sop_instance_uid=sop_instance_uid,
        laterality=side,
        laterality_source=LateralitySource.UNKNOWN if side is Laterality.UNKNOWN else LateralitySource.TAGS,
        position=position,
        decision=decision or (KneeDecision.FLAGGED if flagged else KneeDecision.NOT_FLAGGED),
        logit=math.log(score / (100 - score)),
        score=score,
        severity_score=62.4 if flagged else None,
        t_score=-2.31,
        age_years=67,
        sex="F",
        region=region or Region(left=20, top=24, right=380, bottom=456),
        quality_flags=flags,
        engine_profile="torch-cpu-float32",
        pixel_digest="d" * 64,
        saliency=saliency if saliency is not None else hot_spot(),
    )


def report(*knees: KneeFinding, not_assessed: tuple[NotAssessed, ...] = ()) -> StudyReport:
    return StudyReport(
        study_instance_uid=STUDY,
        knees=knees,
        not_assessed=not_assessed,
        model=MODEL,
        started_at=datetime(2021, 3, 4, 9, 20, 11, 250000, tzinfo=UTC),
        revision=1,
        predecessor=None,
        show_severity=False,
        show_t_score=False,
    )


def case(name: str, headers: list[Dataset], study_report: StudyReport, *, knees: int = 1, **settings: object) -> Case:
    return Case(
        name=name,
        report=study_report,
        sources={str(header.SOPInstanceUID): source(header, knees=knees) for header in headers},
        settings=ResultSettings.model_validate(settings),
    )


def _two_images(header: Callable[[int], Dataset]) -> tuple[list[Dataset], tuple[KneeFinding, KneeFinding]]:
    headers = [header(1), header(2)]
    if "ImageLaterality" in headers[1]:
        headers[1].ImageLaterality = "L"
    else:
        headers[1].Laterality = "L"
    uids = [str(one.SOPInstanceUID) for one in headers]
    return headers, (knee(uids[0], score=73.2), knee(uids[1], score=21.4, side=Laterality.LEFT))


def _one_film(header: Dataset, side: Laterality) -> tuple[KneeFinding, KneeFinding]:
    """Both knees on one film, halves of the matrix."""
    uid, middle = str(header.SOPInstanceUID), COLUMNS // 2
    first = Region(left=4, top=20, right=middle - 4, bottom=ROWS - 20)
    second = Region(left=middle + 4, top=20, right=COLUMNS - 4, bottom=ROWS - 20)
    other = Laterality.LEFT if side is Laterality.RIGHT else side
    return (
        knee(uid, score=43.8, side=side, region=first),
        knee(uid, score=57.0, side=other, region=second, position=2, saliency=((0.0,) * 16,) * 16),
    )


def _second_knee_with_metal(film: Dataset, side: Laterality) -> NotAssessed:
    region = Region(left=COLUMNS // 2 + 4, top=20, right=COLUMNS - 4, bottom=ROWS - 20)
    return NotAssessed(
        sop_instance_uid=str(film.SOPInstanceUID),
        sop_class_uid=str(film.SOPClassUID),
        outcome=InstanceOutcome.EXCLUDED_METAL,
        knee=UnassessedKnee(position=2, laterality=side, region=region),
    )


def _lateral(uid: str, sop_class: str) -> NotAssessed:
    return NotAssessed(sop_instance_uid=uid, sop_class_uid=sop_class, outcome=InstanceOutcome.INELIGIBLE_VIEW_LATERAL)


def reduced() -> Iterator[Case]:
    """The three kinds of report, one of each, for the test suite."""
    headers, knees = _two_images(dx_header)
    missed = _lateral(f"{STUDY}.1.9", str(headers[0].SOPClassUID))
    yield case("dx-two-images-flagged", headers, report(*knees, not_assessed=(missed,)))
    bare = bare_header()
    yield case("cr-bare-not-flagged", [bare], report(knee(str(bare.SOPInstanceUID), score=12.0)))
    yield case(
        "dx-not-assessed",
        [dx_header()],
        report(not_assessed=(_lateral(str(dx_header().SOPInstanceUID), str(dx_header().SOPClassUID)),)),
    )


def _per_modality(name: str, header: Callable[[int], Dataset]) -> Iterator[Case]:
    one = header(1)
    uid, sop_class = str(one.SOPInstanceUID), str(one.SOPClassUID)
    yield case(f"{name}-right-flagged", [one], report(knee(uid, score=73.2)))
    yield case(f"{name}-left-not-flagged", [one], report(knee(uid, score=21.4, side=Laterality.LEFT)))
    yield case(f"{name}-side-unknown", [one], report(knee(uid, score=44.0, side=Laterality.UNKNOWN)))
    yield case(f"{name}-not-assessed", [one], report(not_assessed=(_lateral(uid, sop_class),)))
    headers, knees = _two_images(header)
    yield case(f"{name}-two-images", headers, report(*knees, not_assessed=(_lateral(f"{STUDY}.1.9", sop_class),)))


def full() -> Iterator[Case]:
    """CR and DX over every kind; then SR classes, films of two knees, bare headers, revision and demonstration."""
    yield from _per_modality("cr", cr_header)
    yield from _per_modality("dx", dx_header)
    film = dx_header()
    bilateral = report(*_one_film(film, Laterality.RIGHT))
    yield case("dx-one-film-3d", [film], bilateral, knees=2, sr_class="comprehensive_3d", timezone="Asia/Shanghai")
    seen = replace(MODEL, evidence="Seen on 100 synthetic knees.")
    unknown = replace(report(*_one_film(film, Laterality.UNKNOWN)), model=seen, show_severity=True, show_t_score=True)
    yield case("dx-one-film-side-unknown-enhanced", [film], unknown, knees=2, sr_class="enhanced", show_severity=True, show_t_score=True)
    metal = replace(report(_one_film(film, Laterality.RIGHT)[0]), not_assessed=(_second_knee_with_metal(film, Laterality.LEFT),))
    yield case("dx-one-film-one-knee-excluded", [film], metal, knees=2)
    one_header = dx_header()
    jet = report(knee(str(one_header.SOPInstanceUID), score=73.2))
    yield case("dx-jet", [one_header], jet, colormap="jet")
    bare = bare_header(modality="DX")
    demonstration = replace(
        report(knee(str(bare.SOPInstanceUID), score=73.2)),
        model=replace(MODEL, intended_use="demonstration"),
        revision=2,
        predecessor=Predecessor(sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33", sop_instance_uid="2.25.501", series_instance_uid="2.25.502"),
    )
    yield case("dx-bare-demonstration-revision", [bare], demonstration)
    yield case("mr-not-assessed", [_mr_header()], report(not_assessed=(_not_a_radiograph(),)))


def _mr_header() -> Dataset:
    header = cr_header()
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    for keyword in ("ImagerPixelSpacing", "ViewPosition", "PatientOrientation"):
        delattr(header, keyword)
    return header


def _not_a_radiograph() -> NotAssessed:
    return NotAssessed(sop_instance_uid=f"{STUDY}.1.1", sop_class_uid=str(MRImageStorage), outcome=InstanceOutcome.INELIGIBLE_MODALITY)
