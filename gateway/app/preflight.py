"""What must hold before any role starts. Refusals name the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config import Settings, check_may_serve, destinations_above
from gateway.errors import FileSystemError, GatewayError, IntendedUseError, NetworkFileSystemError
from gateway.events import Event, log_event
from gateway.inference.analyzer import Bundle, copy_demonstration_bundle, open_bundle
from gateway.routing.router import Router
from gateway.store import schema
from gateway.store.database import Database, database_file
from gateway.store.file_systems import mount_under
from gateway.store.spool import Spool
from gateway.store.spool_binding import bind
from gateway.store.versions import check_usable, record_bundle, record_config


def prepare(settings: Settings, *, actor: str, reads_whole_database: bool = True) -> None:
    """Checks configuration, routes, spool, schema and bundle, and records the versions in use. GatewayError refuses.

    reads_whole_database: SQLite's file is read once. That takes seconds for each gigabyte: for a start, not for a reload.
    """
    check_may_serve(settings)
    Router(settings)
    check_file_systems(settings)
    database = Database(settings.database.url)
    try:
        if reads_whole_database:
            schema.check_whole(database)
        schema.ensure(database)
        prepare_spool(settings, database)
        bundles = _bundles(settings)
        for bundle in bundles:
            _check_intended_use(settings, bundle)
        record_config(database, settings.config_hash, settings.model_dump(mode="json", by_alias=True, exclude={"database"}), actor=actor)
        for model in (bundle.identity for bundle in bundles):
            record_bundle(
                database,
                bundle_hash=model.bundle_hash,
                weights_sha256=model.weights_sha256,
                name=model.name,
                version=model.version,
                intended_use=model.intended_use,
                actor=actor,
            )
        check_usable(database, [bundle.identity.bundle_hash for bundle in bundles])
    finally:
        database.close()


def prepare_spool(settings: Settings, database: Database) -> Spool:
    """The spool, ready to be written. SpoolMissingError and SpoolNotSharedError when it is not the one that the database belongs to."""
    spool = Spool(settings.spool.folder)
    bind(spool, database)
    return spool


def refusals_here(settings: Settings) -> Iterator[GatewayError]:
    """Why `serve` would not start on this machine as it stands, although it would take the configuration. Nothing is written; a bundle
    that is not there yet is not looked at."""
    if not settings.serve.development:
        try:
            check_file_systems(settings)
        except GatewayError as refusal:
            yield refusal
    for folder in (settings.model.bundle, *settings.model.other_bundles):
        try:
            if folder.exists():
                _check_intended_use(settings, open_bundle(folder))
        except GatewayError as refusal:
            yield refusal


def check_file_systems(settings: Settings) -> None:
    """FileSystemError when the spool, or the file of a SQLite database, lies where nothing is known to be kept; NetworkFileSystemError for
    SQLite on a mount that other hosts can reach, vouched for or not: its locks hold on one machine only."""
    _check_file_system("spool", settings.spool.folder, settings.spool.vouched_file_system, is_development=settings.serve.development)
    file = database_file(settings.database.url)
    if file is None:
        return
    mount = mount_under(file)
    if mount.is_on_the_network:
        raise NetworkFileSystemError(mount.described)
    _check_file_system("database", file, settings.database.vouched_file_system, is_development=settings.serve.development)


def _check_file_system(section: str, path: Path, vouched: str, *, is_development: bool) -> None:
    mount = mount_under(path)
    if mount.keeps_its_word:
        return
    if mount.file_system == vouched or is_development:
        code = "vouched" if mount.file_system == vouched else "development"
        log_event(Event.SPOOL_NOT_PROVEN, level="warning", path_kind=section, reason=mount.file_system, code=code)
        return
    raise FileSystemError(f"{section}: {mount.described}")


def _bundles(settings: Settings) -> tuple[Bundle, ...]:
    """All that are configured: any of them may be live, or become so."""
    return (_bundle(settings), *(open_bundle(folder) for folder in settings.model.other_bundles))


def _bundle(settings: Settings) -> Bundle:
    folder = settings.model.bundle
    if not folder.exists() and settings.serve.development:
        log_event(Event.BUNDLE_CREATED, reason="development")
        copy_demonstration_bundle(folder)
    return open_bundle(folder)


def _check_intended_use(settings: Settings, bundle: Bundle) -> None:
    above = destinations_above(settings, bundle.identity.intended_use)
    if above:
        raise IntendedUseError(f"bundle: {bundle.identity.intended_use}; destinations above it: {', '.join(above)}")
