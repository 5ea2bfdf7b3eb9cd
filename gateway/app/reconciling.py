"""Reconciliation, from settings to objects: each night by a timer, or at an operator's word."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.config import DestinationSettings, Settings
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.reconciliations import Reconciliations

if TYPE_CHECKING:
    from gateway.delivery.query_scu import QueryScu
    from gateway.ops.nightly import NightlyReconciliation
    from gateway.ops.reconcile import Reconciliation

_LONGEST_SECONDS: Final = 3600.0
"""Of one comparison: it is a night's work, and must not become the next one's."""


def reconciled_destinations(settings: Settings) -> tuple[DestinationSettings, ...]:
    """Those that are named; without names every one that is spoken to by DIMSE. One that answers no C-FIND says so itself."""
    names = settings.reconcile.destinations
    return tuple(one for one in settings.destinations if one.protocol == "dimse" and (not names or one.name in names))


def reconciliation_of(settings: Settings, database: Database, destination: str, *, actor: str) -> Reconciliation:
    from gateway.ops.reconcile import Reconciliation

    store, alarms = Reconciliations(database), Alarms(database, actor)
    return Reconciliation(destination=destination, settings=settings, store=store, alarms=alarms, actor=actor)


def query_scu(settings: Settings, destination: DestinationSettings) -> QueryScu:
    from gateway.delivery.query_scu import QueryScu, until_in

    return QueryScu(destination, settings.delivery, until=until_in(_LONGEST_SECONDS))


def nightly_reconciliations(settings: Settings, database: Database, actor: str) -> Iterator[tuple[str, NightlyReconciliation]]:
    """By destination, where the settings ask for any."""
    from gateway.ops.nightly import NightlyReconciliation

    if settings.reconcile.at is None:
        return
    for destination in reconciled_destinations(settings):
        one = reconciliation_of(settings, database, destination.name, actor=actor)
        yield destination.name, NightlyReconciliation(reconciliation=one, new_scu=partial(query_scu, settings, destination))
