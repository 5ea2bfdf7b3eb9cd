"""What the receiver processes of one supervisor count together: a row of the table for each, also while one hands over to its successor."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.config import PeerSettings
from gateway.receive.counts import CountTable

_PER_PLACE = 2
"""The process that drains, and the one after it."""


@dataclass(frozen=True, slots=True)
class SharedCounts:
    """A receiver process's row."""

    table: CountTable
    row: int


@dataclass(slots=True)
class _Rows:
    """One table and those of its rows that nobody has."""

    table: CountTable
    free: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.free = set(range(self.table.processes))

    @property
    def is_unused(self) -> bool:
        return len(self.free) == self.table.processes


class CountRows:
    """Hands out rows. With other peers the processes count in a table of their own: while a changed configuration is taken up, those
    before it and those after it are limited apart. When it is taken back, they find the table of the others again."""

    def __init__(self, processes: int) -> None:
        self._rows = processes * _PER_PLACE
        self._of_peers: dict[tuple[PeerSettings, ...], _Rows] = {}

    def take(self, peers: tuple[PeerSettings, ...]) -> SharedCounts:
        rows = self._of_peers.get(peers)
        if rows is None or not rows.free:
            rows = self._of_peers[peers] = _Rows(CountTable(self._rows, len(peers)))
        return SharedCounts(rows.table, rows.free.pop())

    def give_back(self, counts: SharedCounts) -> None:
        """Its process is dead: its connections have ended with it. A table that nobody counts in any more goes."""
        counts.table.clear(counts.row)
        for peers, rows in tuple(self._of_peers.items()):
            if rows.table is counts.table:
                rows.free.add(counts.row)
                if rows.is_unused:
                    del self._of_peers[peers]
