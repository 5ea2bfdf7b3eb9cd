"""Which of the configured bundles a worker uses, and when it has to be started anew with another one."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

from gateway.app.role import Role
from gateway.config import Settings, awaits_a_live_bundle, destinations_for_live
from gateway.domain.alarm import AlarmCode
from gateway.domain.identifiers import owner_name
from gateway.events import Event, log_event
from gateway.inference.analyzer import Bundle, open_bundle
from gateway.store.alarms import Alarms
from gateway.store.bundles import Bundles
from gateway.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleChoice:
    """others: hashes of the configured bundles that are not used."""

    bundle: Bundle
    others: frozenset[str]
    is_live: bool


def choose_bundle(settings: Settings, database: Database) -> BundleChoice:
    """The live bundle where a configured folder holds it, else `model.bundle`. BundleError for any folder that holds none."""
    opened = [open_bundle(folder) for folder in (settings.model.bundle, *settings.model.other_bundles)]
    live = Bundles(database).live_hash()
    chosen = next((bundle for bundle in opened if bundle.identity.bundle_hash == live), opened[0])
    used = chosen.identity.bundle_hash
    return BundleChoice(bundle=chosen, others=frozenset(b.identity.bundle_hash for b in opened) - {used}, is_live=used == live)


def say_if_in_shadow(settings: Settings, choice: BundleChoice) -> None:
    """A site that has destinations for results and a bundle that may not send there shall not have to guess why nothing comes."""
    if destinations_for_live(settings) and not choice.is_live:
        log_event(Event.BUNDLE_IN_SHADOW, level="warning", bundle_hash=choice.bundle.identity.bundle_hash)


class BundleWatch:
    """A timer's tick: once another configured bundle is live, the worker drains and asks to be started anew.

    While routes would send to hospitals and the bundle in use may not, an alarm stands: nobody shall wait for what cannot come.
    """

    def __init__(self, choice: BundleChoice, settings: Settings, database: Database, stop: threading.Event) -> None:
        self._choice, self._bundles, self._stop = choice, Bundles(database), stop
        self._alarms, self._host = Alarms(database, owner_name(Role.WORKER)), socket.gethostname()
        self._awaits = awaits_a_live_bundle(settings)
        self.has_changed = False

    def look(self) -> None:
        live, used = self._bundles.live_hash(), self._choice.bundle.identity.bundle_hash
        if live in self._choice.others:
            if not self.has_changed:
                self.has_changed = True
                log_event(Event.BUNDLE_CHANGED, bundle_hash=live, former_bundle_hash=used)
                self._stop.set()
            return
        reason = "no_live_bundle" if live is None else "other_bundle_live"
        self._alarms.set(AlarmCode.BUNDLE_IN_SHADOW, self._host, stands=self._awaits and live != used, reason=reason)
