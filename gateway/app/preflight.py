"""What must hold before any role starts. Refusals name the remedy."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.config import Settings, check_may_serve, destinations_above
from gateway.errors import BundleError, IntendedUseError, NetworkFileSystemError
from gateway.events import Event, log_event
from gateway.inference.analyzer import Bundle, create_demonstration_bundle, open_bundle
from gateway.routing.router import Router
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.network_mounts import NETWORK, file_system_of
from gateway.store.spool import Spool
from gateway.store.spool_binding import bind
from gateway.store.versions import record_bundle, record_config


def prepare(settings: Settings, *, actor: str) -> None:
    """Checks configuration, routes, spool, schema and bundle, and records the versions in use. GatewayError refuses."""
    check_may_serve(settings)
    Router(settings)
    check_database_file_system(settings.database.url)
    database = Database(settings.database.url)
    try:
        schema.ensure(database)
        prepare_spool(settings, database)
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


@contextmanager
def without_interrupt() -> Iterator[None]:
    """A process started within ignores Ctrl-C from its first moment: the supervisor drains it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare_spool(settings: Settings, database: Database) -> Spool:
    """The spool, ready to be written. SpoolMissingError and SpoolNotSharedError when it is not the one that the database belongs to."""
    spool = Spool(settings.spool.folder)
    bind(spool, database)
    return spool


def check_database_file_system(url: str) -> None:
    """NetworkFileSystemError for SQLite on a mount that other hosts can reach: its locks hold on one machine only."""
    prefix = "sqlite:///"
    kind = file_system_of(Path(url.removeprefix(prefix)).parent) if url.startswith(prefix) else ""
    if kind in NETWORK:
        raise NetworkFileSystemError(kind)


def _bundle(settings: Settings) -> Bundle:
    folder = settings.model.bundle
    if not folder.exists() and settings.serve.development:
        log_event(Event.BUNDLE_CREATED, reason="development")
        # in a process of its own: the supervisor shall not carry the network library in its memory
        process = multiprocessing.get_context("spawn").Process(target=create_demonstration_bundle, args=(folder,))
        with without_interrupt():
            process.start()
        process.join()
        if process.exitcode:
            raise BundleError("the demonstration bundle could not be made")
    return open_bundle(folder)


def _check_intended_use(settings: Settings, bundle: Bundle) -> None:
    above = destinations_above(settings, bundle.identity.intended_use)
    if above:
        raise IntendedUseError(f"bundle: {bundle.identity.intended_use}; destinations above it: {', '.join(above)}")
