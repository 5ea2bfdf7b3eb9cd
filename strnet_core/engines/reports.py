"""Equivalence reports: how far a profile is from the reference on this machine, and whether that is near enough. Pure, but for files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from strnet_core.engines.machine import Machine
from strnet_core.engines.profiles import REFERENCE, Arithmetic, Profile, profile_named
from strnet_core.errors import EquivalenceReportError, StrnetError

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a profile may be from the reference; None = not limited, only reported."""

    logit: float | None
    score: float
    """Points of 100."""
    t_score: float
    saliency: float
    """Largest difference of a cell, as a share of the reference map's maximum."""
    batch: float
    """Largest difference of a logit between an image in a batch and the same image alone, on the profile itself."""
    flip_margin: float
    """Logits. A decision that flips although the reference was further than this from the threshold fails whatever is allowed."""


LIMITS: Mapping[Arithmetic, Limits] = {
    "float32": Limits(logit=1e-3, score=0.025, t_score=1e-3, saliency=1e-3, batch=1e-3, flip_margin=1e-3),
    "bfloat16": Limits(logit=None, score=0.5, t_score=0.05, saliency=0.05, batch=0.02, flip_margin=0.02),
}
"""0.5 points of score are a logit of 0.02 where the score is steepest, which is where thresholds lie; 0.025 are 1e-3.

float32: OpenVINO stays within 3e-4 of a logit and 2e-4 of a map's maximum on 265 knees of the bundle with random weights. bfloat16: what
may be shown, not what is reached. Random weights (`create-demo --random`), whose heads are stretched to spread, miss it by far (with
every activation rounded: 1.1 of a logit, 0.85 of a map over 25 knees), so there bfloat16 is refused; trained weights decide anew.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured over all images."""

    images: int
    max_logit: float
    """Over screening and severity."""
    mean_logit: float
    max_score: float
    max_t_score: float
    max_saliency: float
    faint_maps: int
    """Maps whose maximum is below a hundredth of the median map's: compared on that scale, for their own is next to nothing."""
    max_batch: float
    decision_flips: int
    severity_flips: int
    """Among the images that both flag."""
    widest_flip: float | None
    """Largest distance (logits) of the reference from the threshold among all that flipped; None where nothing did."""
    nearest_decision: float | None
    """Smallest distance (logits) of any reference logit from the screening threshold; None without a threshold."""
    profile_ms: float
    """Median milliseconds of one image, images of both profiles in turn."""
    reference_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalenceReport:
    """One profile against the reference: with which weights, on which machine, by how much."""

    bundle_hash: str
    profile: Profile
    reference: Profile
    machine: Machine
    threads: int
    figures: Figures
    limits: Limits
    allowed_flips: int
    reasons: tuple[str, ...]
    """Why it failed; empty = passed."""

    @property
    def passed(self) -> bool:
        return not self.reasons


def judged(figures: Figures, limits: Limits, allowed_flips: int = 0) -> tuple[str, ...]:
    """Why these figures fail, in words; empty where they pass. What is no number fails."""
    reasons = [
        f"{name} differs by {value:.3g}, allowed {limit:g}"
        for name, value, limit in (
            ("a logit", figures.max_logit, math.inf if limits.logit is None else limits.logit),
            ("a score", figures.max_score, limits.score),
            ("a T-score", figures.max_t_score, limits.t_score),
            ("a map", figures.max_saliency, limits.saliency),
            ("an image in a batch", figures.max_batch, limits.batch),
        )
        if not (math.isfinite(value) and value <= limit)
    ]
    reasons += [
        f"{count} {name} flipped, allowed {allowed_flips}"
        for name, count in (("decisions", figures.decision_flips), ("severities", figures.severity_flips))
        if count > allowed_flips
    ]
    if figures.widest_flip is not None and not figures.widest_flip <= limits.flip_margin:
        reasons.append(f"a decision flipped {figures.widest_flip:.3g} from the threshold, excused within {limits.flip_margin:g}")
    if figures.images < 1:
        reasons.append("nothing was compared")
    return tuple(reasons)


def mismatch(report: EquivalenceReport, bundle_hash: str, machine: Machine) -> str | None:
    """Why a report says nothing about this bundle on this machine, or about this release's limits; None where it does."""
    if report.bundle_hash != bundle_hash:
        return f"made for the bundle {report.bundle_hash[:12]}"
    if report.machine.processor != machine.processor:
        return f"made on another processor: {report.machine.processor}"
    if report.machine.versions != machine.versions:
        return f"made with other versions: {', '.join(f'{name} {number}' for name, number in report.machine.versions.items())}"
    # judged again: neither the verdict nor the limits in a file are taken on trust
    reasons = report.reasons or judged(report.figures, LIMITS[report.profile.arithmetic], report.allowed_flips)
    return f"failed: {'; '.join(reasons)}" if reasons else None


def report_file(folder: Path, bundle_hash: str, profile: Profile) -> Path:
    """Where the report of a bundle and a profile lies."""
    return folder / f"{bundle_hash[:12]}-{profile.name}.json"


def write_report(folder: Path, report: EquivalenceReport) -> Path:
    """Write (or replace) a report, whole or not at all; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = report_file(folder, report.bundle_hash, report.profile)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report_document(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def read_report(path: Path) -> EquivalenceReport | None:
    """The report in a file, None where there is no file. Raises EquivalenceReportError."""
    try:
        return report_of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, StrnetError) as error:
        raise EquivalenceReportError(f"{path.name}: {type(error).__name__}") from error


def report_document(report: EquivalenceReport) -> dict[str, Any]:
    """A report as JSON keeps it."""
    return {
        "schema": SCHEMA,
        "bundle_hash": report.bundle_hash,
        "profile": report.profile.name,
        "reference": report.reference.name,
        "processor": report.machine.processor,
        "versions": dict(report.machine.versions),
        "threads": report.threads,
        "figures": asdict(report.figures),
        "limits": asdict(report.limits),
        "allowed_flips": report.allowed_flips,
        "passed": report.passed,
        "reasons": list(report.reasons),
    }


def report_of(document: dict[str, Any]) -> EquivalenceReport:
    """The opposite of `report_document`. Raises ValueError, TypeError or KeyError where it is not exactly that."""
    report = EquivalenceReport(
        bundle_hash=str(document["bundle_hash"]),
        profile=profile_named(document["profile"]),
        reference=profile_named(document["reference"]),
        machine=Machine(processor=str(document["processor"]), versions=dict(document["versions"])),
        threads=int(document["threads"]),
        figures=Figures(**_numbers(document["figures"], Figures)),
        limits=Limits(**_numbers(document["limits"], Limits)),
        allowed_flips=int(document["allowed_flips"]),
        reasons=tuple(str(reason) for reason in document["reasons"]),
    )
    if report_document(report) != document or report.reference != REFERENCE:
        raise ValueError("a report of another release, or one that contradicts itself")
    return report


def _numbers(values: dict[str, Any], kind: type) -> dict[str, Any]:
    if set(values) != {field.name for field in fields(kind)} or any(
        type(value) not in (int, float, type(None)) for value in values.values()
    ):
        raise ValueError(f"not the fields of {kind.__name__}")
    return values
