"""What the receiver processes of one supervisor count together: a row of the table for each, also while one hands over to its successor."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import PeerSettings
from gateway.receive.counts import CountTable

_PER_PLACE = 2
"""The process that drains, and the one after it."""


@dataclass(frozen=True, slots=True)
class SharedCounts:
    """A receiver process's row."""

    table: CountTable
    row: int


class CountRows:
    """Hands out rows. With other peers the processes count in a table of their own: while a changed configuration is taken up, those
    before it and those after it are limited apart."""

    def __init__(self, processes: int) -> None:
        self._rows = processes * _PER_PLACE
        self._peers: tuple[PeerSettings, ...] = ()
        self._table = CountTable(self._rows)
        self._free = set(range(self._rows))

    def take(self, peers: tuple[PeerSettings, ...]) -> SharedCounts:
        if peers != self._peers or not self._free:
            self._peers, self._table, self._free = peers, CountTable(self._rows, len(peers)), set(range(self._rows))
        return SharedCounts(self._table, self._free.pop())

    def give_back(self, counts: SharedCounts) -> None:
        """Its process is dead: its connections have ended with it."""
        counts.table.clear(counts.row)
        if counts.table is self._table:
            self._free.add(counts.row)
