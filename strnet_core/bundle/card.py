"""The model card: what these weights are, then everything that is generated from the bundle, then the known discrepancies."""

from __future__ import annotations

import math
from dataclasses import asdict
from importlib import resources

from strnet_core.bundle.decision import score
from strnet_core.bundle.golden import Golden
from strnet_core.bundle.model_bundle import IntendedUse, ModelBundle
from strnet_core.bundle.statistics import ReferenceStatistics, Spread

_USES = {
    IntendedUse.DEMONSTRATION: "Demonstration: to show software at work. Not for patients, not for research into bone.",
    IntendedUse.RESEARCH: "Research: under a protocol, with results that reach no patient's care. Not for clinical decisions.",
    IntendedUse.CLINICAL: "Clinical, as stated by who made the bundle, on the evidence below. That statement makes it no medical device.",
}
_REDUCTION = 32
"""Pixels of the input, along a side, to one of the network's last map."""
_CONTRACT = """## What goes in

- One knee, frontal (AP) radiograph, one greyscale frame; films of both knees are split first. Other views are not what the architecture
  was published for.
- Age: the publication's data and the bone-density classes are about adults; the gateway assesses from 50 years on unless a site
  decides otherwise. The screening and severity outputs do not see age or sex; the T-score needs age, sex and BMI.
- Knees with a prosthesis, plates or a cast are not what the architecture was published for.

## What comes out

- A screening logit; its score is 100 x sigmoid, 0 to 100, and not a probability. A knee is flagged when the logit reaches the logit of
  the threshold, compared in float64; equality counts.
- A severity logit, meant only for flagged knees.
- A T-score estimate, only with age, sex and BMI. It is no measurement of bone density.
- A map of {map_side} x {map_side} cells of what raised the screening logit. Coarse; not a localisation.

## Limits

- "Not flagged" does not exclude low bone density. A flag is no diagnosis.
- Bone density is measured by DXA; a knee radiograph shows it only indirectly.
- Scores of different bundles cannot be compared; a threshold of one means nothing for another.
- Images from other devices, other processing or another population than those of the training may give other scores."""


def render_card(bundle: ModelBundle, head: str, golden: Golden) -> str:
    """Markdown. `head` is what only the maker can say; the bundle's own card hash is not part of it."""
    parts = (
        head.strip(),
        f"## Intended use\n\n{_USES[bundle.intended_use]}",
        _CONTRACT.format(map_side=bundle.preprocessing.size_px // _REDUCTION),
        _identity(bundle),
        _thresholds(bundle),
        _table("## Preprocessing\n\nEvery choice between stored pixels and the network's input.", asdict(bundle.preprocessing)),
        _table(
            "## Covariates of the T-score branch\n\n(value - offset) / divisor. The authors' scaling is unpublished; with another one the "
            "T-score means nothing.",
            asdict(bundle.covariates),
        ),
        f"## Evidence\n\n{bundle.evidence.strip() or 'Performance unknown: no evidence came with these weights.'}",
        _statistics(bundle.reference_statistics),
        _golden(golden),
        _provenance(bundle),
        discrepancies().strip(),
    )
    return "\n\n".join(parts) + "\n"


def discrepancies() -> str:
    """The list of what the publication says differently in different places, Markdown."""
    return (resources.files("strnet_core.bundle") / "discrepancies.md").read_text(encoding="utf-8")


def _identity(bundle: ModelBundle) -> str:
    return (
        f"## Identity\n\n- Name and version: {bundle.name}, {bundle.version}\n"
        f"- Architecture: {bundle.architecture}, {bundle.parameters:,} parameters\n"
        f"- Weights, SHA-256: `{bundle.weights_sha256}`\n"
        f"- Classes: {', '.join(bundle.labels)}"
    )


def _thresholds(bundle: ModelBundle) -> str:
    return (
        f"## Thresholds\n\nBound to the weights above; with other weights they are refused.\n\n"
        f"- Screening: {_threshold(bundle.screening_threshold)}\n- Severity: {_threshold(bundle.severity_threshold)}\n"
        f"- Origin: {bundle.threshold_origin or 'not stated'}"
    )


def _threshold(value: float | None) -> str:
    if value is None:
        return "none; nothing can be decided with this bundle"
    return f"{value!r} (score {score(math.log(value / (1.0 - value))):.2f})"


def _table(introduction: str, values: dict[str, object]) -> str:
    rows = "\n".join(f"| `{name}` | `{value!r}` |" for name, value in values.items())
    return f"{introduction}\n\n| Field | Value |\n|---|---|\n{rows}"


def _statistics(statistics: ReferenceStatistics | None) -> str:
    if statistics is None:
        return "## Reference statistics\n\nNot measured."
    return (
        f"## Reference statistics\n\nOver {statistics.over} (n = {statistics.n}), for later comparison. Mean and standard deviation.\n\n"
        f"- Screening logit: {_spread(statistics.screening_logit)}\n"
        f"- Mean grey level of the network's input: {_spread(statistics.input_mean)}\n"
        f"- Its standard deviation: {_spread(statistics.input_sd)}\n"
        f"- Share of the image that is kept: {_spread(statistics.crop_share)}\n"
        f"- Images without a credible foreground: {100.0 * statistics.fallback_rate:.0f} %"
    )


def _spread(value: Spread) -> str:
    return f"{value.mean:.3g} +/- {value.sd:.2g}"


def _golden(golden: Golden) -> str:
    rows = "\n".join(
        f"| {name} | {tolerance.logit:.2g} | {tolerance.t_score:.2g} | {100.0 * tolerance.saliency:.2g} % |"
        for name, tolerance in golden.tolerances.items()
    )
    return (
        f"## Golden vectors\n\n{len(golden.vectors)} synthetic knees with the SHA-256 of their 8-bit image, their logits, T-score and map. "
        "Largest allowed difference:\n\n"
        f"| Arithmetic | logit | T-score | map, of its maximum |\n|---|---|---|---|\n{rows}"
    )


def _provenance(bundle: ModelBundle) -> str:
    return (
        f"## Provenance and licence\n\n- Weights: {bundle.provenance or 'provenance not stated'}\n"
        f"- Licence of the weights: {bundle.licence or 'not stated; no right to use them follows from this bundle'}\n"
        f"- Manufacturer: {bundle.manufacturer or 'not stated'}\n"
        "- Code of the network: written anew for this project (Apache-2.0); none of the authors' code is in it."
    )
