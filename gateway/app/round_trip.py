"""The round trip of `strnet-gateway check`, from settings to lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.config import DestinationSettings, Settings, destinations_for_live
from gateway.domain.check import Line, Standing, note
from gateway.domain.identifiers import new_id, owner_name
from gateway.domain.operator import Operator
from gateway.store.bundles import Bundles
from gateway.store.database import Database
from gateway.store.listening import last_receiver_port
from gateway.store.phantom_studies import PhantomStudies
from gateway.store.queries import Queries
from gateway.tls.certificates import read_certificate_file

_REASON: Final = "check"
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what is listened at, and where it is reached
_NO_REJECTION: Final = ("rejection_refused", "rejection_not_honoured")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTripWish:
    """What the operator asked for. by: an operator's name, or None. seconds: for each thing that is waited for."""

    chosen: Sequence[DestinationSettings]
    named: bool
    to_clinical: bool
    by: str | None
    seconds: float


def round_trip_lines(settings: Settings, database: Database, wish: RoundTripWish, before: Sequence[Line]) -> Iterator[Line]:
    """before: what was found without it. Nothing is sent where anything of the gateway or of the phantom's destinations is bad."""
    from gateway.ops.check_phantom import check_phantom
    from gateway.ops.round_trip import RoundTrip
    from gateway.ops.round_trip_plan import STEP, Wish, plan_round_trip

    wrong = {line.subject for line in before if line.standing is Standing.BAD}
    own = own_receiver(settings, database)
    if own is None or wrong & {"configuration", "gateway"}:
        yield note(STEP, "round trip", "first_things", "not tried")
        return
    phantom = check_phantom(settings, new_id(), datetime.now(UTC))
    asked = Wish(
        chosen=wish.chosen,
        named=wish.named,
        to_clinical=wish.to_clinical,
        cannot_reject=frozenset(line.subject for line in before if line.code in _NO_REJECTION),
        closed=destinations_for_live(settings) if Bundles(database).live_hash() is None else (),
    )
    plan = plan_round_trip(settings, phantom.dataset, asked, address=own.host)
    yield from plan.notes
    if not plan.may_go:
        return
    if wrong.intersection(one.name for one in plan.destinations):
        yield note(STEP, "round trip", "first_things", "not tried")
        return
    trip = RoundTrip(
        settings=settings,
        queries=Queries(database),
        phantoms=PhantomStudies(database),
        plan=plan,
        phantom=phantom,
        own=own,
        actor=Operator(name=wish.by, reason=_REASON).actor if wish.by else owner_name("check"),
        seconds=wish.seconds,
    )
    yield from trip.lines()


def own_receiver(settings: Settings, database: Database) -> DestinationSettings | None:
    """This gateway's receiver as a destination for the phantom; None when nobody has told where it listens."""
    from gateway.ops.round_trip_plan import CALLING_AE_TITLE

    port = settings.receiver.port or last_receiver_port(database)
    if not port:
        return None
    tls = settings.tls
    secured = (
        {"tls": True, "tls_authorities": tls.authorities, "tls_certificate": tls.certificate, "tls_key": tls.key} if tls.required else {}
    )
    if tls.required:
        secured["tls_name"] = _own_name(tls.certificate)
    return DestinationSettings.model_validate(
        {
            "name": "this-gateway",
            "ae_title": settings.receiver.ae_title,
            "host": _EVERYWHERE.get(settings.receiver.host, settings.receiver.host),
            "port": port,
            "calling_ae_title": CALLING_AE_TITLE,
            "class": "test",
            **secured,
        }
    )


def _own_name(certificate: Path) -> str:
    """A DNS name that our certificate bears: it is checked like any peer's."""
    names = sorted(one.removeprefix("dns:") for one in read_certificate_file(certificate).identities if one.startswith("dns:"))
    return names[0] if names else ""
