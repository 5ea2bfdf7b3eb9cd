"""When a role's deaths are a crash loop."""

from __future__ import annotations

from gateway.app.crash_loop import CrashLoop
from gateway.config.sections import ServeSettings

SETTINGS = ServeSettings(crash_loop_deaths=3, crash_loop_seconds=10)


def dying(*times: float) -> CrashLoop:
    found = CrashLoop()
    for at in times:
        found.died(at, SETTINGS)
    return found


def test_so_many_deaths_within_the_window_are_one() -> None:
    assert dying(0, 4, 9).standing
    assert not dying(0, 9).standing


def test_deaths_far_from_each_other_are_none() -> None:
    assert not dying(0, 6, 12, 18, 24).standing


def test_it_stands_until_the_role_has_lived_for_the_window() -> None:
    found = dying(0, 1, 2)
    found.lives(11, SETTINGS)
    assert found.standing
    found.lives(12.1, SETTINGS)
    assert not found.standing


def test_one_more_death_prolongs_it() -> None:
    found = dying(0, 1, 2)
    found.died(11, SETTINGS)
    found.lives(13, SETTINGS)
    assert found.standing
