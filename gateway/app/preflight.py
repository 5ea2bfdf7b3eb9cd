"""What must hold before any role starts. Refusals name the remedy."""

from __future__ import annotations

import multiprocessing

from gateway.config import Settings, check_may_serve, destinations_above
from gateway.errors import BundleError, IntendedUseError
from gateway.events import Event, log_event
from gateway.inference.analyzer import Bundle, create_demonstration_bundle, open_bundle
from gateway.routing.router import Router
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.versions import record_bundle, record_config


def prepare(settings: Settings, *, actor: str) -> None:
    """Checks configuration, routes, spool, schema and bundle, and records the versions in use. GatewayError refuses."""
    check_may_serve(settings)
    Router(settings)
    Spool(settings.spool.folder).prepare()
    database = Database(settings.database.url)
    try:
        schema.ensure(database)
        bundle = _bundle(settings)
        _check_intended_use(settings, bundle)
        model = bundle.identity
        record_config(database, settings.config_hash, settings.model_dump(mode="json", by_alias=True, exclude={"database"}), actor=actor)
        record_bundle(
            database,
            bundle_hash=model.bundle_hash,
            weights_sha256=model.weights_sha256,
            name=model.name,
            version=model.version,
            intended_use=model.intended_use,
            actor=actor,
        )
    finally:
        database.close()


def _bundle(settings: Settings) -> Bundle:
    folder = settings.model.bundle
    if not folder.exists() and settings.serve.development:
        log_event(Event.BUNDLE_CREATED, reason="development")
        # in a process of its own: the supervisor shall not carry the network library in its memory
        process = multiprocessing.get_context("spawn").Process(target=create_demonstration_bundle, args=(folder,))
        process.start()
        process.join()
        if process.exitcode:
            raise BundleError("the demonstration bundle could not be made")
    return open_bundle(folder)


def _check_intended_use(settings: Settings, bundle: Bundle) -> None:
    above = destinations_above(settings, bundle.identity.intended_use)
    if above:
        raise IntendedUseError(f"bundle: {bundle.identity.intended_use}; destinations above it: {', '.join(above)}")
