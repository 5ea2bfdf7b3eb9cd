"""What a language has to supply: a text that is missing is a type error.

Whole sentences with named gaps (`str.format`), so that each language has its own word order. Meanings of codes are not
here: they are English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.finding import LateralitySource
from gateway.domain.outcome import InstanceOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeNames:
    """numbered: with {number}, for a knee whose side is not known."""

    right: str
    left: str
    numbered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a result must not be used for: in full for pages and disclaimer, short for the 64 characters of a series description."""

    demonstration: str
    research: str
    demonstration_short: str
    research_short: str
    sentence: str
    """{label} at the head of the disclaimer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptions:
    """Of series (LO, 64 characters, with {label}), instances (ST) and equipment (ST); the tracked knee with {knee}."""

    report_series: str
    report_series_labelled: str
    pages_series: str
    pages_series_labelled: str
    card: str
    overlay: str
    contribution: str
    acquisition: str
    tracking: str
    network: str
    """{name}, {weights}."""
    rejection_series: str
    rejection_note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The same decision alone, as a headline; with {knee}, {score} and {threshold}; and in the summary."""

    flagged: str
    not_flagged: str
    flagged_sentence: str
    not_flagged_sentence: str
    flagged_in_summary: str
    not_flagged_in_summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """{score}, {threshold} and {value} are printed numbers."""

    score: str
    threshold: str
    severity: str
    t_score: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Sentences of the narrative. unassessed_images: {count}. not_processed: {network}, {reasons}."""

    headline_flagged: str
    headline_not_flagged: str
    unassessed_knee: str
    unassessed_images: str
    not_processed: str
    no_image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNames:
    """By the numbers that a viewer shows. title: {number} of the overlay, {image} the image's name."""

    series_and_image: str
    series: str
    image: str
    instance: str
    title: str
    knee_of_image: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The report card."""

    title: str
    headline_rule: str
    limits: str
    not_assessed: str
    network: str
    note: str
    side_of_image: str
    unassessed: str
    weights: str
    threshold_bound: str
    computed: str
    computed_with: str
    revision: str
    evidence_elsewhere: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """The overlay pages. map_square, map_oblong: the map's {rows} and {columns}."""

    source: str
    no_source: str
    caption: str
    legend_least: str
    legend_most: str
    not_assessed: str
    no_evidence: str
    no_evidence_sentence: str
    map_square: str
    map_oblong: str
    frames: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Text items of the report beside its codes."""

    image_not_assessed: str
    knee_not_assessed: str
    of_knee: str
    inputs: str
    age: str
    age_unknown: str
    sex: str
    sex_unknown: str
    with_bmi: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A language. language_code, language_meaning: of RFC 5646 as in PS3.16 CID 5000.

    sentence_gap stands between sentences, list_gap between items of a list.
    """

    language_code: str
    language_meaning: str
    sentence_gap: str
    list_gap: str
    labels: Labels
    descriptions: Descriptions
    decisions: Decisions
    not_processed: str
    not_processed_meaning: str
    numbers: Numbers
    summaries: Summaries
    knees: KneeNames
    unassessed_knees: KneeNames
    unassessed_knees_in_sentence: KneeNames
    repeated_knee: str
    """The same side on several images: {knee}, {image}."""
    images: ImageNames
    card: Card
    overlay: Overlay
    findings: Findings
    limits: tuple[str, ...]
    t_score_limit: str
    performance_unknown: str
    reason: str
    unnamed_reason: str
    sexes: Mapping[str, str]
    outcomes: Mapping[InstanceOutcome, str]
    flags: Mapping[str, str]
    """Quality flags that a result only mentions."""
    side_sources: Mapping[LateralitySource, str]
