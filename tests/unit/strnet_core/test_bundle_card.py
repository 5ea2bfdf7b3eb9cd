"""The card says what is known of the publication, and its figures follow from the counts beside them."""

from __future__ import annotations

import math
import re

import pytest

from strnet_core.bundle import IntendedUse, ModelBundle, PreprocessingSettings, card_text
from strnet_core.bundle.card import discrepancies
from tests.unit.strnet_core.bundle_files import STATISTICS, golden, make

# true positives, false negatives, true negatives, false positives as the paper prints or implies them
COUNTS = {"headline": (123, 13, 68, 20), "figure 7": (146, 16, 45, 17), "external": (24, 6, 9, 3)}


def table_row(source: str) -> list[str]:
    (line,) = [line for line in discrepancies().splitlines() if line.startswith(f"| {source} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def wilson(successes: int, n: int) -> tuple[float, float]:
    z = 1.959964
    centre, half = successes + z * z / 2, z * math.sqrt(successes * (n - successes) / n + z * z / 4)
    return (centre - half) / (n + z * z), (centre + half) / (n + z * z)


def test_every_letter_and_every_numbered_finding_is_there():
    text = discrepancies()
    assert re.findall(r"^### ([A-I])\. ", text, re.MULTILINE) == list("ABCDEFGHI")
    assert [int(number) for number in re.findall(r"^- \((\d+)\)", text, re.MULTILINE)] == list(range(1, 30))


@pytest.mark.parametrize("source", COUNTS)
def test_printed_operating_points_follow_from_their_counts(source):
    tp, fn, tn, fp = COUNTS[source]
    rates = (tp / (tp + fn), tn / (tn + fp), (tp + tn) / (tp + fn + tn + fp), tp / (tp + fp), tn / (tn + fn))
    assert table_row(source) == [source, *map(str, (tp, fn, tn, fp, tp + fn + tn + fp)), *(f"{rate:.3f}" for rate in rates)]
    assert f"{tp}/{tp + fn}" in discrepancies()
    assert f"{tn}/{tn + fp}" in discrepancies()


@pytest.mark.parametrize(("successes", "n"), [(123, 136), (68, 88), (24, 30), (9, 12)])
def test_printed_intervals_are_wilsons(successes, n):
    low, high = wilson(successes, n)
    assert f"{low:.3f}-{high:.3f}" in discrepancies()


def test_the_two_internal_operating_points_agree_in_total_and_in_nothing_else():
    assert 123 + 68 == 146 + 45 == 191
    assert "191 of 224" in discrepancies()
    assert f"{17 / 62:.1%}".replace("%", " %") in discrepancies()
    assert round(20 / 88, 3) == 0.227


def test_parameters_brier_score_balanced_accuracy_and_local_predictive_values_recompute():
    text = discrepancies()
    assert 23_501_760 + 262_272 + 165_568 + 258 + 15_713 == 23_945_571
    assert (128 * 128 + 128) + (128 * 64 + 64 + 64 * 128 + 128) + (128 * 128 + 128) == 49_600
    assert all(number in text for number in ("23,945,571", "49,600", "16,512", "16,576"))
    assert f"{30 / 42 * 12 / 42:.3f}" in text
    assert f"{(0.862 + 0.765) / 2:.4f}" in text
    assert not any(round(k / n, 3) == 0.765 for n in (62, 65, 71, 74) for k in range(n + 1))
    assert not any(round(k / 136, 3) == 0.818 for k in range(137))
    for prevalence in (0.1, 0.3, 0.5):
        for sensitivity, specificity in ((0.904, 0.773), (0.80, 0.75)):
            true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
            assert f"{true / (true + false):.2f}" in text
            assert f"{100 * (true + false):.1f} %" in text


@pytest.mark.parametrize("use", IntendedUse)
def test_every_bundle_carries_the_list_and_its_own_settings(tmp_path, use):
    settings = PreprocessingSettings(antialias=False, margin=0.125)
    bundle = make(
        tmp_path / "bundle",
        intended_use=use,
        evidence="a study of knees" if use is IntendedUse.CLINICAL else "",
        preprocessing=settings,
        reference_statistics=STATISTICS,
        golden=golden(),
        provenance="a lab",
    )
    text = card_text(bundle)
    assert text.startswith("# card")
    assert discrepancies().strip() in text
    assert bundle.weights_sha256 in text
    assert "| `margin` | `0.125` |" in text
    assert "| `antialias` | `False` |" in text
    assert "0.44 (score 44.00)" in text
    assert "two synthetic knees (n = 2)" in text
    assert "- Weights: a lab" in text
    assert ("a study of knees" if use is IntendedUse.CLINICAL else "Performance unknown") in text


def test_what_nobody_stated_is_called_so(tmp_path):
    text = card_text(make(tmp_path / "bundle", screening_threshold=None))
    for phrase in ("provenance not stated", "no right to use them follows", "nothing can be decided", "Not measured"):
        assert phrase in text


def test_the_demonstration_card_has_the_list_too(demonstration: ModelBundle):
    text = card_text(demonstration)
    assert discrepancies().strip() in text
    assert "NOT FOR CLINICAL USE" in text
