"""How many connections and associations are open, over all receiver processes of one port.

A table in memory that the processes share, a row each. A process writes its own row only and reads all of them, so there is no lock
between processes that a dead one could hold. Who wants a place counts itself first and looks then: a limit is never exceeded, and of
two that want the last place at the same moment both may be refused.
"""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Callable
from multiprocessing.sharedctypes import RawArray
from typing import Final

from gateway.receive.limits import Cut, Limits

_ASSOCIATIONS: Final = 0
_CONNECTIONS: Final = 1
_PEERS: Final = 2
"""The first of them, in the order of the configuration; the addresses follow."""
_ADDRESS_BUCKETS: Final = 4096


class CountTable:
    """Made by whoever starts the processes, and handed to them at their start."""

    def __init__(self, processes: int = 1, peers: int = 0) -> None:
        self.processes = processes
        self.columns = _PEERS + peers + _ADDRESS_BUCKETS
        self.addresses = _PEERS + peers
        self.cells = RawArray("i", processes * self.columns)

    def clear(self, row: int) -> None:
        """The row's process is dead: its connections have ended with it."""
        for column in range(self.columns):
            self.cells[row * self.columns + column] = 0


class Counts:
    """One process's view of the table, for any thread. Functions that take a place say whether there was one."""

    def __init__(self, table: CountTable, row: int = 0) -> None:
        self._table = table
        self._own = row * table.columns
        self._of_address: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take_association(self, limit: int) -> bool:
        return self._take(_ASSOCIATIONS, limit)

    def give_back_association(self) -> None:
        self._add(_ASSOCIATIONS, -1)

    def take_peer(self, peer: int, limit: int) -> bool:
        """peer: its place in the configuration."""
        return self._take(_PEERS + peer, limit)

    def give_back_peer(self, peer: int) -> None:
        self._add(_PEERS + peer, -1)

    def admit(self, address: str, limits: Limits) -> Callable[[], None] | Cut:
        """A place for a connection: a function that gives it back (once, however often it is called), or why there is none."""
        if not self._take(_CONNECTIONS, limits.connections):
            return Cut.CONNECTION_LIMIT
        if not self._take_address(address, limits.connections_per_address):
            self._add(_CONNECTIONS, -1)
            return Cut.ADDRESS_LIMIT
        given_back = threading.Event()

        def give_back() -> None:
            with self._lock:
                if given_back.is_set():
                    return
                given_back.set()
            self._give_back_address(address)
            self._add(_CONNECTIONS, -1)

        return give_back

    def own_connections(self) -> int:
        """Of this process alone."""
        return int(self._table.cells[self._own + _CONNECTIONS])

    def _take(self, column: int, limit: int) -> bool:
        with self._lock:
            self._table.cells[self._own + column] += 1
            if self._total(column) <= limit:
                return True
            self._table.cells[self._own + column] -= 1
            return False

    def _take_address(self, address: str, limit: int) -> bool:
        """Exact within the process. Of others, addresses that share one of 4,096 buckets count together: rarely too many, never too few."""
        column = self._bucket(address)
        with self._lock:
            self._of_address[address] += 1
            self._table.cells[self._own + column] += 1
            others = self._total(column) - self._table.cells[self._own + column]
            if self._of_address[address] + others <= limit:
                return True
            self._drop_address(address, column)
            return False

    def _give_back_address(self, address: str) -> None:
        with self._lock:
            self._drop_address(address, self._bucket(address))

    def _drop_address(self, address: str, column: int) -> None:
        self._table.cells[self._own + column] -= 1
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def _bucket(self, address: str) -> int:
        return self._table.addresses + zlib.crc32(address.encode()) % _ADDRESS_BUCKETS

    def _total(self, column: int) -> int:
        return sum(self._table.cells[row * self._table.columns + column] for row in range(self._table.processes))

    def _add(self, column: int, number: int) -> None:
        with self._lock:
            self._table.cells[self._own + column] += number
