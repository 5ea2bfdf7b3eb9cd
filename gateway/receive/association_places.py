"""Who has a place among the associations, and by which peer: the limits of one peer and of all together."""

from __future__ import annotations

import threading
from typing import Final

from pynetdicom.association import Association

from gateway.config import PeerSettings
from gateway.receive.counts import Counts

PEER_LIMIT: Final = "peer_association_limit"
LIMIT: Final = "association_limit"
"""Why there is no place; the `reason` of the event."""
_NO_LIMIT: Final = 1 << 30


class AssociationPlaces:
    """Taken at the request for an association, given back at its end. A peer's limit of 0 is none."""

    def __init__(self, counts: Counts, peers: tuple[PeerSettings, ...], limit: int) -> None:
        self._counts = counts
        self._numbers = {peer.name: number for number, peer in enumerate(peers)}
        self._limit = limit
        self._taken: dict[Association, PeerSettings | None] = {}
        self._lock = threading.Lock()

    def take(self, association: Association, peer: PeerSettings | None) -> str | None:
        """None: it has its place. Else why not. peer: what admitted it, None in a development set-up without peers."""
        if peer is not None and not self._counts.take_peer(self._numbers[peer.name], peer.max_associations or _NO_LIMIT):
            return PEER_LIMIT
        if not self._counts.take_association(self._limit):
            self._give_back_peer(peer)
            return LIMIT
        with self._lock:
            self._taken[association] = peer
        return None

    def peer_of(self, association: Association) -> str | None:
        with self._lock:
            peer = self._taken.get(association)
        return peer.name if peer is not None else None

    def give_back(self, association: Association) -> None:
        """However often it is called; nothing for one that has no place."""
        with self._lock:
            if association not in self._taken:
                return
            peer = self._taken.pop(association)
        self._counts.give_back_association()
        self._give_back_peer(peer)

    def _give_back_peer(self, peer: PeerSettings | None) -> None:
        if peer is not None:
            self._counts.give_back_peer(self._numbers[peer.name])
