"""The constancy self-test as plain values: what came of it, and whether analyses may go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPhantom:
    """What came of one phantom, beside its reference. deviations: codes (docs/constancy.md), empty when all is as it was."""

    deviations: tuple[str, ...]
    profile: str
    """Engine, device and arithmetic; empty where the network was not reached."""
    logit_difference: float | None = None
    """The larger one of screening and severity."""
    saliency_difference: float | None = None
    """Relative to the maximum of the reference's map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestResult:
    """One self-test: every phantom of the bundle through the whole way of one worker.

    worker: the host. deviations: `<number of the phantom>:<code>`. accepted_at: an operator lets analyses go on in spite of it.
    """

    self_test_id: str
    worker: str
    bundle_hash: str
    profile: str
    phantoms: int
    deviations: tuple[str, ...]
    logit_difference: float | None
    saliency_difference: float | None
    started_at: datetime
    ended_at: datetime
    accepted_at: datetime | None = None
    accepted_by: str | None = None

    @property
    def passed(self) -> bool:
        return not self.deviations

    @property
    def stops_analyses(self) -> bool:
        return not self.passed and self.accepted_at is None
