"""By which protocol a lane reaches its destination: everything behind it is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.commitment_scu import CommitmentScu, TakeReport, answering
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.dicomweb import DicomWebEcho, DicomWebLink, QidoRs, StowRs
from gateway.delivery.find_scu import FindScu
from gateway.delivery.link import Finds, Link, Sends
from gateway.delivery.storage_scu import StorageScu
from gateway.delivery.verification_scu import VerificationScu


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a lane asks of its destination. commitment: None where the protocol knows none."""

    link: Link[Any]
    store: Sends
    find: Finds
    commitment: CommitmentScu | None


def way_to(
    destination: DestinationSettings,
    settings: DeliverySettings,
    breaker: CircuitBreaker,
    *,
    take_report: TakeReport,
    on_recovered: Callable[[], None],
    on_left_alone: Callable[[], None],
) -> Way:
    if destination.protocol == "stow_rs":
        web = DicomWebLink(destination, settings, breaker, on_recovered=on_recovered, on_left_alone=on_left_alone)
        return Way(link=web, store=StowRs(web), find=QidoRs(web), commitment=None)
    link = DestinationLink(
        destination, settings, breaker, on_report=answering(take_report), on_recovered=on_recovered, on_left_alone=on_left_alone
    )
    return Way(link=link, store=StorageScu(link), find=FindScu(link), commitment=CommitmentScu(link))


def silence_of(destination: DestinationSettings, settings: DeliverySettings) -> str | None:
    """Asks it for a sign of life: None when it gave one, else a code."""
    scu = DicomWebEcho(settings) if destination.protocol == "stow_rs" else VerificationScu(settings)
    return scu.silence(destination)
