"""`strnet-gateway check`, from settings to lines: the configuration, the gateway that runs by it, every destination."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.config import DestinationSettings, Settings, check_may_serve, destinations_for_live
from gateway.domain.check import Line, bad, good, note
from gateway.errors import GatewayError
from gateway.ops.gateway_check import gateway_lines
from gateway.receive.tls import new_context
from gateway.routing.router import Router
from gateway.store.bundles import Bundles
from gateway.store.database import Database
from gateway.store.supervisors import Supervisors

_SUBJECT: Final = "configuration"


def configuration_lines(settings: Settings) -> Iterator[Line]:
    """Whether `serve` would take it, as far as that is known without starting."""
    checks: tuple[Callable[[], object], ...] = (
        lambda: check_may_serve(settings),
        lambda: Router(settings),
        lambda: new_context(settings.tls) if settings.tls.required else None,
    )
    refused = [refusal for refusal in map(_refusal, checks) if refusal is not None]
    for detail in refused:
        yield bad(_SUBJECT, "may be served", "configuration_refused", detail=detail)
    if not refused:
        yield good(_SUBJECT, "may be served")
    if not settings.destinations:
        yield note(_SUBJECT, "destinations", "no_destination")


def running_lines(settings: Settings, database: Database, *, config: Path) -> Iterator[Line]:
    yield from gateway_lines(settings, Supervisors(database).all(), datetime.now(UTC), config=config)
    closed = sorted(destinations_for_live(settings))
    if closed and Bundles(database).live_hash() is None:
        yield note("gateway", "bundle", "bundle_not_live", "in shadow", detail=", ".join(closed))


def destination_lines(settings: Settings, destinations: Sequence[DestinationSettings]) -> Iterator[Line]:
    from gateway.delivery.probe import Probe
    from gateway.delivery.web_probe import WebProbe
    from gateway.ops.destination_check import DestinationCheck
    from gateway.ops.web_check import WebCheck

    dimse, web = DestinationCheck(settings=settings, probe=Probe(settings.delivery)), WebCheck(probe=WebProbe(settings.delivery))
    for destination in destinations:
        yield from (web if destination.protocol == "stow_rs" else dimse).lines(destination)


def _refusal(check: Callable[[], object]) -> str | None:
    try:
        check()
    except GatewayError as error:
        return str(error)
    return None
