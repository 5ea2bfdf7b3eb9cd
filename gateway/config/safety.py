"""Set-ups that nobody meant for a hospital: refused in words, before anything listens or is sent."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from gateway.config.settings import Settings
from gateway.domain.outcome import Policy
from gateway.errors import ConfigurationError

_CLASS_RANK: Final = {"test": 0, "research": 1, "clinical": 2}
_USE_RANK: Final = {"demonstration": 0, "research": 1, "clinical": 2}


def check_may_serve(settings: Settings) -> None:
    """Refuses a set-up that nobody meant for a hospital. ConfigurationError says the remedy."""
    loopback = settings.receiver.host == "localhost" or _is_loopback(settings.receiver.host)
    if settings.serve.development and not loopback:
        raise ConfigurationError("serve.development = true is for 127.0.0.1 only; remove that line and list your senders as [[peers]]")
    if not settings.serve.development and not settings.peers:
        raise ConfigurationError("no [[peers]]: list the AE titles that may send, or set serve.development = true on 127.0.0.1")
    _check_certificates(settings)


def _check_certificates(settings: Settings) -> None:
    """With TLS every peer is bound to its certificate: otherwise the holder of any could use the AE title of another."""
    for peer in settings.peers:
        if settings.tls.required and not peer.certificates:
            raise ConfigurationError(
                f"peers.{peer.name}.certificates is empty; with tls.required name its certificate, such as sha256:<hex>"
            )
        if peer.certificates and not settings.tls.required:
            raise ConfigurationError(f"peers.{peer.name}.certificates asks for a certificate, but TLS is off; set tls.required = true")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def destinations_above(settings: Settings, intended_use: str) -> tuple[str, ...]:
    """Names of the destinations whose class is above a bundle's intended use."""
    rank = _USE_RANK[intended_use]
    return tuple(d.name for d in settings.destinations if _CLASS_RANK[d.destination_class] > rank)


def destinations_for_live(settings: Settings) -> frozenset[str]:
    """Names of the destinations that take results of a live bundle only: all but those of class `test`."""
    return frozenset(d.name for d in settings.destinations if d.destination_class != "test")


def awaits_a_live_bundle(settings: Settings) -> bool:
    """Whether any route would send to a destination that takes results of a live bundle only: more than a site in shadow asks for."""
    closed = destinations_for_live(settings)
    return any(route.policy not in (Policy.SHADOW, Policy.SILENT) and closed & {*route.destinations} for route in settings.routes)
