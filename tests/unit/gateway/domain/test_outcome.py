from __future__ import annotations

import pytest

from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.errors import GatewayError
from tests.conftest import ROOT


@pytest.mark.parametrize("outcome", list(InstanceOutcome))
def test_outcome_belongs_to_one_state_and_is_documented(outcome: InstanceOutcome) -> None:
    prefix_state = {
        "ineligible": InstanceState.NOT_ASSESSED,
        "quality": InstanceState.NOT_ASSESSED,
        "excluded": InstanceState.NOT_ASSESSED,
        "failed": InstanceState.FAILED,
        "correction": InstanceState.NOT_ASSESSED,
    }
    expected = prefix_state.get(outcome.value.partition("_")[0])
    assert outcome.state is (expected or InstanceState(outcome.value))
    assert f"`{outcome.value}`" in (ROOT / "docs/outcomes.md").read_text(encoding="utf-8")


def _all(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in _all(sub))]


@pytest.mark.parametrize("kind", _all(GatewayError), ids=lambda kind: kind.__name__)
def test_error_tells_its_remedy_in_its_docstring(kind: type[GatewayError]) -> None:
    assert kind.__doc__, kind
    assert len(kind.__doc__.strip().split()) >= 5
