"""Who may open an association: a pure decision over the peers of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.config import PeerSettings
from gateway.tls.certificates import Certificate

NOT_LISTED: Final = "peer_not_listed"
WRONG_ADDRESS: Final = "address_not_allowed"
WRONG_CERTIFICATE: Final = "certificate_not_of_peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for an association: what it calls itself, where it is, and the certificate it has shown."""

    ae_title: str
    address: str
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """peer: the table that admits it, None where nobody is listed (a development set-up). refusal: a code, None = admitted."""

    peer: PeerSettings | None = None
    refusal: str | None = None


def admit(peers: Sequence[PeerSettings], caller: Caller) -> Admission:
    """The first peer that AE title, address and certificate all fit. The refusal names the first of them that fits none."""
    if not peers:
        return Admission()
    named = [peer for peer in peers if peer.ae_title == caller.ae_title]
    if not named:
        return Admission(refusal=NOT_LISTED)
    placed = [peer for peer in named if peer.allows(caller.address)]
    if not placed:
        return Admission(refusal=WRONG_ADDRESS)
    bound = [peer for peer in placed if _is_bound(peer, caller.certificate)]
    return Admission(peer=bound[0]) if bound else Admission(refusal=WRONG_CERTIFICATE)


def _is_bound(peer: PeerSettings, certificate: Certificate | None) -> bool:
    if not peer.certificates:
        return True
    return certificate is not None and not certificate.identities.isdisjoint(peer.certificates)
