from __future__ import annotations

import math

import pytest

from gateway.config import QualitySettings
from gateway.domain.outcome import InstanceOutcome, KneeDecision
from gateway.results.texts import CATALOGUES
from gateway.routing.quality import CODES, judge
from strnet_core.quality import DEFAULT_FLAGS

TABLE = QualitySettings.model_validate(
    {
        "metal": {"action": "refuse", "threshold": 0.5},
        "underexposed": {"action": "refuse", "threshold": 0.5},
        "clipped": {"action": "warn", "threshold": 0.5},
        "lossy": {"action": "ignore", "threshold": 0.5},
    }
)


@pytest.mark.parametrize(
    ("measures", "refusal", "warnings"),
    [
        ({}, None, ()),
        ({"metal": 0.49}, None, ()),
        ({"metal": 0.5}, InstanceOutcome.EXCLUDED_METAL, ()),
        ({"underexposed": 1.0, "metal": 1.0}, InstanceOutcome.EXCLUDED_METAL, ()),
        ({"underexposed": 1.0}, InstanceOutcome.QUALITY_UNDEREXPOSED, ()),
        ({"clipped": 0.6, "lossy": 1.0}, None, ("clipped",)),
        ({"metal": math.nan}, InstanceOutcome.EXCLUDED_METAL, ()),
        ({"unheard_of": 9.0}, None, ()),
    ],
)
def test_value_at_its_threshold_raises_the_flag_and_the_table_says_what_it_does(
    measures: dict[str, float], refusal: InstanceOutcome | None, warnings: tuple[str, ...]
) -> None:
    judgement = judge(measures, TABLE)
    assert (judgement.refusal, judgement.warnings) == (refusal, warnings)


def test_action_alone_keeps_the_threshold_that_is_shipped() -> None:
    changed = QualitySettings.model_validate({"metal": {"action": "warn"}})
    assert changed.metal.threshold == QualitySettings().metal.threshold
    assert changed.metal.action == "warn"


def test_every_flag_has_an_outcome_and_words() -> None:
    flags = {name for name, _ in QualitySettings().flags}
    assert flags == set(CODES)
    for texts in CATALOGUES.values():
        assert flags <= set(texts.flags)
        assert set(CODES.values()) <= set(texts.outcomes)


def test_every_refusal_of_a_knee_is_also_an_outcome_of_an_image() -> None:
    assert {decision.value for decision in KneeDecision if not decision.assessed} <= {outcome.value for outcome in CODES.values()}


def test_shipped_table_is_the_cores_own() -> None:
    ours = {name: (flag.action, flag.threshold) for name, flag in QualitySettings().flags}
    assert ours == {name: (flag.action, flag.threshold) for name, flag in DEFAULT_FLAGS.items()}
