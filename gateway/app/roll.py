"""A changed configuration, taken up by one process after the other; and the way back where a role refuses it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.app.slot import Slot
from gateway.config import Settings


class Roll:
    """The settings in force, and those before while the new ones are on trial.

    There is no list of what is still to do: each step looks which process works by settings that have changed for it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._before: Settings | None = None

    @property
    def is_on_trial(self) -> bool:
        return self._before is not None

    def begin(self, settings: Settings, slots: Sequence[Slot]) -> None:
        # a second change during the trial of the first: only what was in force before both has proved itself
        self._before, self.settings = self._before or self.settings, settings
        for slot in slots:
            slot.forgive()

    def go_back(self, slots: Sequence[Slot]) -> Settings | None:
        """A role refused the new settings: those before are in force again, and the refused ones are returned. None without a trial."""
        if self._before is None:
            return None
        refused, self.settings, self._before = self.settings, self._before, None
        for slot in slots:
            slot.forgive()
        return refused

    def step(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            slot.hand_over_if_due()
        if not all(slot.is_settled for slot in slots):
            return
        stale = next((slot for slot in slots if slot.is_stale(self.settings)), None)
        if stale is not None:
            stale.renew(self.settings)
        elif all(slot.process is not None for slot in slots):
            self._before = None
