"""What a lane asks between two jobs."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import GatewayError


class Gate(Protocol):
    """What happens between two jobs, in the preparing thread and with nothing on its way: the lane's decoder and network are free."""

    def is_due(self) -> bool: ...

    def step(self) -> None:
        """A part of it, short: jobs that wait come next."""
        ...

    def failed(self, error: GatewayError) -> None:
        """The step raised something that it should not have."""
        ...

    def is_open(self) -> bool:
        """Whether jobs may be claimed."""
        ...


class AlwaysOpen:
    """Nothing happens between jobs."""

    def is_due(self) -> bool:
        return False

    def step(self) -> None:
        return

    def failed(self, error: GatewayError) -> None:
        raise error

    def is_open(self) -> bool:
        return True
