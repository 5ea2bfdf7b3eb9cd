"""A clock that is set back, by hands that are held."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.ops.clock_steps import ClockSteps
from gateway.ops.schedule import Timer, Timers


@dataclass
class Hands:
    """Two clocks; one of them is set."""

    clock: float = 1e9
    steady: float = 5.0
    back: list[float] = field(default_factory=list)

    def steps(self) -> ClockSteps:
        return ClockSteps(self.back.append, clock=lambda: self.clock, steady=lambda: self.steady)


@pytest.mark.parametrize(
    ("clock", "steady", "told"),
    [(2.0, 2.0, []), (-3598.0, 2.0, [3600.0]), (86402.0, 2.0, []), (1.5, 2.0, []), (0.0, 3600.0, [3600.0])],
    ids=["time passes", "an hour back", "a day on", "slewed", "it stands still"],
)
def test_only_a_clock_that_was_set_back_is_told(clock: float, steady: float, told: list[float]) -> None:
    hands = Hands()
    steps = hands.steps()
    hands.clock += clock
    hands.steady += steady
    for _ in range(2):
        steps.look()
    assert hands.back == told


def test_timers_tick_at_once_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    ticked = threading.Event()
    with Timers((Timer(name="slow", seconds=3600, tick=ticked.set),)) as timers:
        timers._steps._ahead += 3600
        timers._steps.look()
        assert ticked.wait(30)
