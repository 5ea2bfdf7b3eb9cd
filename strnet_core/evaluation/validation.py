"""A bundle on a site's own patients: how the cohort came about, and what may be concluded of the intended ages. Nothing is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strnet_core.evaluation.cohort import MINIMUM_PER_CLASS, Step
from strnet_core.evaluation.dxa import DxaTable, SiteRule
from strnet_core.evaluation.dxa_join import Joined
from strnet_core.evaluation.estimate import Estimate, unmeasured
from strnet_core.evaluation.evaluation import Evaluation
from strnet_core.evaluation.site_export import SiteExport
from strnet_core.evaluation.subgroups import AGE_GATE, Subgroup

_BIASED = 0.01
_NOT_IN_THE_COHORT = "no patient of these ages in the cohort"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRule:
    """What was asked for, before anything was seen."""

    window_days: int
    sites: tuple[str, ...]
    rule: SiteRule


@dataclass(frozen=True, slots=True, kw_only=True)
class DxaFile:
    """The reference, and what was left out of it."""

    name: str
    sha256: str
    rows: int
    rows_of_other_sites: int
    exams: int
    exams_contradictory: int
    exams_incomplete: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Of the patients with an assessed knee, how many have a DXA: apart for flagged and not flagged ones."""

    flagged: int
    flagged_joined: int
    not_flagged: int
    not_flagged_joined: int
    p: float
    """Fisher's exact test of the two shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedAges:
    """The patients that the bundle is meant for, at the threshold by which the gateway decided. What a promotion asks for."""

    from_years: int
    with_bone_loss: int
    normal: int
    auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    younger: int
    unknown: int
    """Patients of the cohort beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The paper's search on these patients. It changes nothing: a threshold goes into a bundle by its maker, and that is another bundle."""

    threshold: float
    feasible: bool
    sensitivity: float
    specificity: float
    in_use: float
    applied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What report.json holds as `validation`."""

    bundle_hash: str
    knees: int
    flow: tuple[Step, ...]
    joined_knees: int
    joined_patients: int
    rule: JoinRule
    dxa: DxaFile
    median_days: float | None
    verified: Verified
    intended_ages: IntendedAges
    proposal: Proposal
    notes: tuple[str, ...]


def verified_share(export: SiteExport, joined: Joined) -> Verified:
    """By patient: flagged where any of the knees is."""
    from scipy.stats import fisher_exact

    flagged = {knee.subject for knee in export.knees if knee.is_flagged and knee.subject}
    assessed = {knee.subject for knee in export.knees if knee.logit is not None and knee.subject}
    there = {case.patient_id for case in joined.cases}
    counts = [[len(part & there), len(part - there)] for part in (flagged, assessed - flagged)]
    return Verified(
        flagged=sum(counts[0]),
        flagged_joined=counts[0][0],
        not_flagged=sum(counts[1]),
        not_flagged_joined=counts[1][0],
        p=float(fisher_exact(counts).pvalue),
    )


def validation_of(export: SiteExport, joined: Joined, rule: JoinRule, dxa: DxaFile, found: Evaluation) -> Validation:
    """Around an evaluation of the joined cases by patient."""
    verified, ages = verified_share(export, joined), _intended(found)
    searched = found.search.found
    return Validation(
        bundle_hash=export.bundle_hash,
        knees=joined.knees,
        flow=joined.flow,
        joined_knees=len(joined.cases),
        joined_patients=len({case.patient_id for case in joined.cases}),
        rule=rule,
        dxa=dxa,
        median_days=_median(joined.days),
        verified=verified,
        intended_ages=ages,
        proposal=Proposal(
            threshold=searched.threshold,
            feasible=searched.feasible,
            sensitivity=searched.sensitivity,
            specificity=searched.specificity,
            in_use=export.threshold,
        ),
        notes=_notes(export, verified, ages),
    )


def dxa_file(name: str, sha256: str, table: DxaTable) -> DxaFile:
    return DxaFile(
        name=name,
        sha256=sha256,
        rows=table.rows,
        rows_of_other_sites=table.rows_of_other_sites,
        exams=table.used,
        exams_contradictory=table.contradictory,
        exams_incomplete=table.incomplete,
    )


def _intended(found: Evaluation) -> IntendedAges:
    group = next((one for one in found.subgroups if (one.dimension, one.name) == ("age", "50 and over")), None)
    younger, unknown = (_size(found.subgroups, name) for name in ("under 50", "unknown"))
    if group is None:
        missing = unmeasured(_NOT_IN_THE_COHORT)
        everyone_unknown = len(found.cohort.cases) - younger
        return IntendedAges(from_years=int(AGE_GATE), with_bone_loss=0, normal=0, auroc=missing, sensitivity=missing, specificity=missing,
                            younger=younger, unknown=everyone_unknown)  # fmt: skip
    return IntendedAges(
        from_years=int(AGE_GATE),
        with_bone_loss=group.counts.positives,
        normal=group.counts.negatives,
        auroc=group.auroc,
        sensitivity=group.sensitivity,
        specificity=group.specificity,
        younger=younger,
        unknown=unknown,
    )


def _size(groups: Sequence[Subgroup], name: str) -> int:
    return sum(group.counts.n for group in groups if (group.dimension, group.name) == ("age", name))


def _median(days: Sequence[int]) -> float | None:
    from statistics import median

    return float(median(days)) if days else None


def _notes(export: SiteExport, verified: Verified, ages: IntendedAges) -> tuple[str, ...]:
    notes = []
    if ages.younger or ages.unknown:
        notes.append(
            f"{ages.younger} patients under {ages.from_years} and {ages.unknown} of unknown age are outside of the intended ages: WHO's "
            "classes do not hold for them; figures of the intended ages stand apart, and only those count for a promotion"
        )
    if min(ages.with_bone_loss, ages.normal) < MINIMUM_PER_CLASS:
        notes.append(f"no evidence at {ages.from_years} and over: {ages.with_bone_loss} with bone loss, {ages.normal} normal")
    if verified.p < _BIASED:
        notes.append(
            f"a DXA is known of {verified.flagged_joined} of {verified.flagged} flagged patients and of {verified.not_flagged_joined} of "
            f"{verified.not_flagged} others: who was flagged was examined at another rate, so sensitivity and specificity are distorted; "
            "only the PPV holds"
        )
    profiles = {knee.engine_profile for knee in export.knees if knee.engine_profile}
    if len(profiles) > 1:
        notes.append(f"computed by {len(profiles)} engine profiles: {', '.join(sorted(profiles))}")
    if len({knee.shaping_hash for knee in export.knees}) > 1:
        notes.append("assessed under several settings of eligibility, quality or results")
    return tuple(notes)
