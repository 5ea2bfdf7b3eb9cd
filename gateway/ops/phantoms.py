"""Phantoms that a `check` left behind: it was ended, or the gateway was slower than it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.store.phantom_studies import PhantomStudies

_LEFT_AFTER: Final = timedelta(minutes=15)
"""A check that takes longer finds its phantom rejected, which is where it was to end anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftPhantoms:
    """One tick rejects what has come of each by now. One that still may get a report stays open for the next."""

    phantoms: PhantomStudies
    actor: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def look(self) -> None:
        for study in self.phantoms.open_since(self.now() - _LEFT_AFTER):
            self.phantoms.reject(study, actor=self.actor)
