"""The last gate before the network: what a result was made under, and what today's settings say. A table; every row must let it pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.domain.outcome import Policy, Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A result that is about to leave. made_under: the policy that held when it was built, which no later one loosens."""

    release: str
    made_under: Policy
    flagged: bool
    policy_today: Policy
    """Strictest of the routes that brought the study's images."""
    destination: str
    destinations_today: tuple[str, ...]
    """That all of these routes have."""
    destinations_above: tuple[str, ...]
    """Whose class is above what the bundle is meant for."""
    destinations_for_live: frozenset[str]
    """That take results of a live bundle only (ADR 0033)."""
    is_live: bool
    """The bundle is live, or was until another one came, and was so when it made the result."""


_NEVER: Final = (Policy.SHADOW, Policy.SILENT)

_ROWS: Final[tuple[tuple[str, Callable[[Outgoing], bool]], ...]] = (
    ("not_released", lambda one: one.release != Release.SENT),
    ("policy_forbids", lambda one: one.made_under in _NEVER),
    ("policy_forbids", lambda one: one.made_under is Policy.POSITIVE_ONLY and not one.flagged),
    ("policy_withdrawn", lambda one: one.policy_today.openness < one.made_under.openness),
    ("destination_withdrawn", lambda one: one.destination not in one.destinations_today),
    ("destination_class", lambda one: one.destination in one.destinations_above),
    ("bundle_not_live", lambda one: one.destination in one.destinations_for_live and not one.is_live),
)


def obstacle_to(outgoing: Outgoing) -> str | None:
    """The code of the first row that keeps it here; None: it may go."""
    return next((code for code, holds in _ROWS if holds(outgoing)), None)
