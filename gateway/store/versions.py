"""Immutable versions of configuration and bundle, by content hash: every result can name what made it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from gateway.domain.bundle_state import BundleState
from gateway.errors import BundleRetiredError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import BundleVersionRow, ConfigVersionRow


def record_config(database: Database, config_hash: str, content: dict[str, Any], *, actor: str) -> None:
    """Keeps a configuration's content the first time it is used."""
    with database.transaction() as session:
        if session.get(ConfigVersionRow, config_hash) is None:
            session.add(ConfigVersionRow(config_hash=config_hash, content=content, first_used_at=datetime.now(UTC)))
        record(session, Event.CONFIG_LOADED, actor=actor, config_hash=config_hash)


def record_bundle(
    database: Database, *, bundle_hash: str, weights_sha256: str, name: str, version: str, intended_use: str, actor: str
) -> None:
    """Keeps a bundle's identity the first time it is used; it is in shadow until it is promoted."""
    with database.transaction() as session:
        if session.get(BundleVersionRow, bundle_hash) is None:
            session.add(
                BundleVersionRow(
                    bundle_hash=bundle_hash,
                    weights_sha256=weights_sha256,
                    name=name,
                    version=version,
                    intended_use=intended_use,
                    state=BundleState.SHADOW,
                    first_used_at=datetime.now(UTC),
                )
            )
        record(session, Event.BUNDLE_LOADED, actor=actor, bundle_hash=bundle_hash, weights_sha256=weights_sha256)


def check_usable(database: Database, bundle_hashes: Sequence[str]) -> None:
    """BundleRetiredError when the one that a worker would use, the live one or else the first, was taken out of use for good."""
    with database.reading() as session:
        found = select(BundleVersionRow.bundle_hash, BundleVersionRow.state).where(BundleVersionRow.bundle_hash.in_(bundle_hashes))
        states = {row.bundle_hash: row.state for row in session.execute(found)}
    if BundleState.LIVE not in states.values() and states.get(bundle_hashes[0]) == BundleState.RETIRED:
        raise BundleRetiredError(bundle_hashes[0])
