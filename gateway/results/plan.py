"""What a study's result will show, in order: images, knees and their names. SR and pages are made from the same plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from gateway.config import ResultSettings
from gateway.dicom.characters import text
from gateway.domain.finding import KneeFinding, Laterality, NotAssessed, StudyReport, UnassessedKnee
from gateway.results.evidence import SourceInstance, normalised
from gateway.results.moment import Moment, moment_of
from gateway.results.texts import texts_for
from gateway.results.wording import Wording

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedKnee:
    """number: 1-based over the report. name: as readers see it. code_suffix: R, L, or a number when the side is not known."""

    number: int
    name: str
    code_suffix: str
    finding: KneeFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedImage:
    """An assessed image with its knees. number: 1-based, also of its overlay. header: normalised."""

    number: int
    title: str
    header: Dataset
    presentation: npt.NDArray[np.uint8] | None
    knees: tuple[ReportedKnee, ...]
    unassessed: tuple[UnassessedKnee, ...]
    """Knees of this image that were not assessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """headers: normalised headers of what the result rests on, the first one gives patient and study."""

    report: StudyReport
    settings: ResultSettings
    wording: Wording
    moment: Moment
    headers: tuple[Dataset, ...]
    images: tuple[ReportedImage, ...]
    knees: tuple[ReportedKnee, ...]
    not_assessed: tuple[tuple[str, NotAssessed], ...]

    @property
    def summary(self) -> str:
        return self.wording.summary(self.report, tuple(knee.name for knee in self.knees))

    @property
    def shows_severity(self) -> bool:
        """The site's wish alone is not enough: a number needs a bundle that has evidence."""
        return self.report.show_severity and _has_evidence(self.report)

    @property
    def shows_t_score(self) -> bool:
        """As `shows_severity`."""
        return self.report.show_t_score and _has_evidence(self.report)

    @property
    def disclaimer(self) -> str:
        return self.wording.disclaimer(self.report.model, t_score=self._prints_t_score)

    @property
    def limits(self) -> tuple[str, ...]:
        return self.wording.limits(t_score=self._prints_t_score)

    @property
    def _prints_t_score(self) -> bool:
        return self.shows_t_score and any(knee.finding.t_score is not None for knee in self.knees)


def plan_of(report: StudyReport, sources: Mapping[str, SourceInstance], settings: ResultSettings) -> Plan:
    """`sources` by SOP Instance UID: every assessed image, and at least one image when nothing was assessed."""
    wording = Wording(texts_for(settings.language))
    knees = _named(report, wording)
    uids = tuple(dict.fromkeys(knee.sop_instance_uid for knee in report.knees))
    if not uids:
        uids = tuple(item.sop_instance_uid for item in report.not_assessed if item.sop_instance_uid in sources) or tuple(sources)[:1]
    missing = [uid for uid in uids if uid not in sources]
    if missing or not uids:
        raise ValueError(f"a result needs the headers of its sources; missing: {missing or 'all'}")
    headers = {uid: normalised(sources[uid].dataset) for uid in uids}
    return Plan(
        report=report,
        settings=settings,
        wording=wording,
        moment=moment_of(report.started_at, zone=settings.timezone, source=headers[uids[0]]),
        headers=tuple(headers.values()),
        images=_images(report, knees, sources, headers, wording),
        knees=knees,
        not_assessed=tuple((_name_of_unassessed(item, sources, wording), item) for item in report.not_assessed),
    )


def _has_evidence(report: StudyReport) -> bool:
    """A demonstration's evidence may be that there is nothing to be seen."""
    return report.model.intended_use != "demonstration" and bool(report.model.evidence.strip())


def _named(report: StudyReport, wording: Wording) -> tuple[ReportedKnee, ...]:
    """A knee of unknown side has its number from its image's left, always; with several images the image is named with it."""
    images = list(dict.fromkeys(knee.sop_instance_uid for knee in report.knees))
    sides = [knee.laterality for knee in report.knees]
    named = []
    for number, knee in enumerate(report.knees, 1):
        known = knee.laterality is not Laterality.UNKNOWN
        image = images.index(knee.sop_instance_uid) + 1
        name = wording.side(knee, knee.position)
        repeated = sides.count(knee.laterality) > 1 if known else len(images) > 1
        if repeated:
            name = wording.texts.repeated_knee.format(knee=name, image=image)
        number_of_unknown = f"{image}.{knee.position}" if repeated else str(knee.position)
        suffix = knee.laterality.value if known else number_of_unknown
        named.append(ReportedKnee(number=number, name=name, code_suffix=suffix, finding=knee))
    return tuple(named)


def _images(
    report: StudyReport,
    knees: tuple[ReportedKnee, ...],
    sources: Mapping[str, SourceInstance],
    headers: Mapping[str, Dataset],
    wording: Wording,
) -> tuple[ReportedImage, ...]:
    uids = dict.fromkeys(knee.finding.sop_instance_uid for knee in knees)
    return tuple(
        ReportedImage(
            number=number,
            title=wording.texts.images.title.format(number=number, image=_image_name(uid, sources, wording)),
            header=headers[uid],
            presentation=sources[uid].presentation,
            knees=tuple(knee for knee in knees if knee.finding.sop_instance_uid == uid),
            unassessed=tuple(item.knee for item in report.not_assessed if item.sop_instance_uid == uid and item.knee is not None),
        )
        for number, uid in enumerate(uids, 1)
    )


def _name_of_unassessed(item: NotAssessed, sources: Mapping[str, SourceInstance], wording: Wording) -> str:
    name = _image_name(item.sop_instance_uid, sources, wording)
    return name if item.knee is None else wording.texts.images.knee_of_image.format(image=name, knee=wording.unassessed_knee(item.knee))


def _image_name(uid: str, sources: Mapping[str, SourceInstance], wording: Wording) -> str:
    """The numbers a viewer shows, else the end of the UID."""
    header = sources[uid].dataset if uid in sources else Dataset()
    series, image = (_number_or_nothing(text(header, keyword)) for keyword in ("SeriesNumber", "InstanceNumber"))
    names = wording.texts.images
    template = {(True, True): names.series_and_image, (True, False): names.series, (False, True): names.image}
    return template.get((bool(series), bool(image)), names.instance).format(series=series, image=image, uid=uid[-12:].lstrip("."))


def _number_or_nothing(value: str) -> str:
    """PS3.5 6.2 IS. Anything else that stands there could be a name, and nothing of a patient belongs into pixels."""
    return value if _INTEGER.fullmatch(value) else ""
