"""Cases in every language and as every class of report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from gateway.config import Language, ResultSettings
from gateway.results.evidence import SourceInstance
from gateway.results.texts import CATALOGUES
from tests.headers.hospital import header_of
from tests.headers.rows import report_of, sample

from .cases import Case, full
from .sources import drawn_knee

LANGUAGES: Final = tuple(CATALOGUES)
SR_CLASSES: Final = ("comprehensive", "comprehensive_3d", "enhanced")


def in_language(cases: Iterable[Case], language: Language) -> Iterator[Case]:
    for one in cases:
        yield replace(one, name=f"{one.name}-{language}", settings=one.settings.model_copy(update={"language": language}))


def in_every_language() -> Iterator[Case]:
    """All cases, each with the report class it asks for."""
    for language in LANGUAGES:
        yield from in_language(full(), language)


def is_new(one: Case, kind: str) -> bool:
    """Whether a result of `whole()` is unlike those before it: pages do not depend on the class of the report."""
    return kind == "sr" or one.settings.sr_class == SR_CLASSES[0]


def whole() -> Iterator[Case]:
    """Cases x classes of report x languages."""
    for one in in_every_language():
        for sr_class in SR_CLASSES:
            settings = one.settings.model_copy(update={"sr_class": sr_class})
            yield replace(one, name=f"{one.name}-{sr_class.replace('_', '-')}", settings=settings)


def of_headers() -> Iterator[Case]:
    """The rows in which every two values of a hospital's header meet, in every language and as every class of report."""
    for number, row in enumerate(sample()):
        header = header_of(row)
        dataset = header.dataset()
        uid = str(dataset.SOPInstanceUID)
        source = SourceInstance(dataset=dataset, presentation=drawn_knee(int(dataset.Rows), int(dataset.Columns)))
        made_of = report_of(row, uid, str(dataset.SOPClassUID))
        for language in LANGUAGES:
            for sr_class in SR_CLASSES:
                yield Case(
                    name=f"header-{number:03}-{language}-{sr_class.replace('_', '-')}",
                    report=made_of,
                    sources={uid: source},
                    settings=ResultSettings(language=language, sr_class=sr_class),
                )
