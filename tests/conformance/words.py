"""What no result may ever say, in either language, and where in a result to look for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

_ALLOWED = re.compile(
    r"not ?a ?probability|does ?not ?exclude|cannot ?rule ?(it ?)?out|\[excluded_[a-z_]+\]|非概率|不是概率|不能排除|无法排除", re.IGNORECASE
)
"""Denials, and our own outcome codes: taken out before the words are looked for. OCR loses a space here and there."""

_FORBIDDEN = re.compile(
    r"probab|likelihood|\brisk|diagnos|normal|bone[ -]?loss|osteop|osteo[ -]?p|healthy|rul(e|es|ed|ing) (it )?out|exclud|\bnegative\b"
    r"|disease|disorder|\bclear of\b|reassur|no evidence of|unremarkable"
    r"|概率|可能性|风险|诊断|确诊|正常|异常|骨质|骨量|骨丢失|骨流失|疏松|健康|排除|阴性|阳性|疾病|患病|无需",
    re.IGNORECASE,
)

_TEXT_VRS = frozenset({"UT", "ST", "LO", "LT", "SH", "UC"})

SNOMED = frozenset({"363679005", "260753009", "49076000", "363698007", "272741003", "24028007", "7771000"})
"""All SNOMED CT concepts that a result may name: procedure, source, knee joint, finding site, laterality, right, left. No disorder."""


def forbidden(text: str) -> str | None:
    """The first forbidden word of `text`, or None."""
    found = _FORBIDDEN.search(_ALLOWED.sub(" ", " ".join(text.split())))
    return found.group() if found else None


def own_texts(result: Dataset, sources: Iterable[Dataset]) -> Iterator[tuple[str, str]]:
    """(keyword, value) of every text that the gateway itself wrote: all but what the header inherits unchanged from a source."""
    inherited = {(element.tag, str(element.value)) for source in sources for element in source if element.VR in _TEXT_VRS}
    for element in result:
        if element.VR == "SQ":
            for item in element.value:
                yield from own_texts(item, ())
        elif element.VR in _TEXT_VRS and (element.tag, str(element.value)) not in inherited:
            yield element.keyword, str(element.value)


def snomed_codes(result: Dataset) -> set[str]:
    """Values of all SNOMED CT codes in a result."""
    return {
        str(item.CodeValue)
        for element in result.iterall()
        if element.VR == "SQ"
        for item in element.value
        if item.get("CodingSchemeDesignator") in ("SCT", "SRT") and "CodeValue" in item
    }
