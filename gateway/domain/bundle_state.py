"""Whose results may leave: the states of a bundle, what two people may do with it, and what follows for a study. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class BundleState(StrEnum):
    """Of a bundle that a gateway has opened; a draft is a folder that none has."""

    SHADOW = "shadow"
    """Computed and kept; nothing of it goes to a destination above class `test`."""
    LIVE = "live"
    """At most one of all."""
    FORMER = "former"
    """Was live until another one was promoted: what it began with until then may leave, and a rollback brings it back."""
    RETIRED = "retired"
    """For good."""


class BundleAction(StrEnum):
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    RETIRE = "retire"


PROMOTABLE: Final = frozenset({BundleState.SHADOW, BundleState.FORMER})
RETIRABLE: Final = frozenset({BundleState.SHADOW, BundleState.LIVE, BundleState.FORMER})
MAY_SEND: Final = frozenset({BundleState.LIVE, BundleState.FORMER})
"""A delivery that was released goes on its way; of a bundle that was rolled back or retired it does not."""


class Leave(StrEnum):
    """What may be done with a study's result for destinations above class `test`."""

    GRANTED = "granted"
    WITHHELD = "withheld"
    LATER = "later"
    """Another bundle is live and this worker is about to be started anew with it: the study is that one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStanding:
    """A bundle's place among all at one moment, and when the knees of one study went through it."""

    state: BundleState
    live_since: datetime | None
    """Since when without a break but for others' promotions; None for one that is not trusted now."""
    live_until: datetime | None
    """Of a former one."""
    live_hash: str | None
    """The bundle that is live."""
    first_ended: datetime | None
    """Of the study's analyses; None where nothing was analysed."""
    last_begun: datetime | None


def leave_of(standing: BundleStanding, *, others_here: frozenset[str]) -> Leave:
    """others_here: hashes of the other bundles that this worker could be started with.

    What was seen in shadow is never shown later: an analysis must have ended under a live bundle, or have been begun with under one.
    """
    if standing.state not in MAY_SEND or standing.live_since is None:
        return Leave.LATER if standing.live_hash in others_here else Leave.WITHHELD
    if standing.first_ended is not None and standing.first_ended < standing.live_since:
        return Leave.WITHHELD
    if standing.live_until is None or standing.last_begun is None or standing.last_begun < standing.live_until:
        return Leave.GRANTED
    return Leave.LATER if standing.live_hash in others_here else Leave.WITHHELD
