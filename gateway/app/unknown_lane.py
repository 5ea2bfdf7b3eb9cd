"""Whether deliveries to a destination that this sender does not know may be ended as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.store.supervisors import Supervisors

_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class OnceAllAgree:
    """The pace of such a lane: it claims only while every supervisor works by this configuration.

    Another one may know the destination, for as long as a changed configuration has not reached every host. A supervisor that has fallen
    silent counts until it is forgotten: it may only be away from the database.
    """

    supervisors: Supervisors
    config_hash: str

    def pause(self) -> float:
        agreed = all(story.config_hash == self.config_hash for story in self.supervisors.all())
        return 0.0 if agreed else _PAUSE_SECONDS

    def idle(self) -> None:
        pass
