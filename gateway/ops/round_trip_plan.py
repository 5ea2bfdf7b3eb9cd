"""Whether a phantom may be sent, and where it would go: by the ordinary routes, foretold before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from gateway.config import DestinationSettings, Settings
from gateway.dicom.attributes import lookup, read_attributes
from gateway.domain.check import Line, note
from gateway.domain.outcome import Policy
from gateway.routing.router import Router

CALLING_AE_TITLE: Final = "STRNET_CHECK"
"""Under which `check` sends its phantom to this gateway."""
STEP: Final = "round trip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the operator asked for. named: with a destination's name; to_clinical: --phantom-to-clinical.

    cannot_reject: destinations, by name, that take no rejection note, or are not known to. closed: those that get nothing, since no bundle
    is live.
    """

    chosen: Sequence[DestinationSettings]
    named: bool
    to_clinical: bool
    cannot_reject: Collection[str] = ()
    closed: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """destinations: where the phantom's results will go, all of them; empty = it must not be sent. notes: why not, or why not to all."""

    route: str
    destinations: tuple[DestinationSettings, ...]
    notes: tuple[Line, ...]

    @property
    def may_go(self) -> bool:
        return bool(self.destinations)


def plan_round_trip(settings: Settings, phantom: Dataset, wish: Wish, *, address: str) -> Plan:
    """address: from which the receiver will see the phantom come."""
    peer = next((one for one in settings.peers if one.ae_title == CALLING_AE_TITLE and one.allows(address)), None)
    if settings.peers and peer is None:
        return _not(note(STEP, "own receiver", "self_not_admitted", "not tried", calling_ae_title=CALLING_AE_TITLE))
    decision = Router(settings).decide(read_attributes(phantom), lookup(phantom), peer.name if peer else None)
    route = settings.route(decision.route) if decision.route else None
    if route is None:
        return _not(note(STEP, "route", "no_route", "not possible", calling_ae_title=CALLING_AE_TITLE, detail=decision.reason))
    if decision.outcome is not None:
        return _not(note(STEP, "route", "no_route", "not possible", calling_ae_title=CALLING_AE_TITLE, detail=decision.reason))
    if route.policy is not Policy.ALL:
        said = f"not possible: route {route.name} is {route.policy}"
        return _not(note(STEP, "route", "shadow", said, detail=f"{route.name}: {route.policy}"))
    there = tuple(one for one in settings.destinations if one.name in route.destinations)
    names, chosen = {one.name for one in there}, {one.name for one in wish.chosen}
    detail = f"route {route.name} sends to {', '.join(sorted(names)) or 'nowhere'}"
    # a chosen destination that the route does not reach keeps no other from its round trip
    elsewhere = tuple(note(name, STEP, "elsewhere", "not tried", detail=detail) for name in sorted(chosen - names))
    against = tuple(_against(there, wish)) if chosen & names else ()
    goes = bool(chosen & names) and not against
    return Plan(route=route.name, destinations=there if goes else (), notes=(*elsewhere, *against))


def _against(there: Sequence[DestinationSettings], wish: Wish) -> list[Line]:
    names, chosen = {one.name for one in there}, {one.name for one in wish.chosen}
    # not one destination may be left with a phantom that nobody asked for
    if names - chosen:
        return [note(STEP, "route", "more_destinations", "not tried", detail=", ".join(sorted(names - chosen)))]
    clinical = [one.name for one in there if one.destination_class == "clinical" and not (wish.named and wish.to_clinical)]
    stuck, closed = sorted(names.intersection(wish.cannot_reject)), sorted(names.intersection(wish.closed))
    return [
        *(note(name, STEP, "bundle_not_live", "not possible: no bundle is live", detail=name) for name in closed),
        *(note(name, STEP, "clinical", "not tried: class clinical") for name in clinical),
        *(note(name, STEP, "no_rejection_there", "not tried") for name in stuck),
    ]


def _not(line: Line) -> Plan:
    return Plan(route="", destinations=(), notes=(line,))
