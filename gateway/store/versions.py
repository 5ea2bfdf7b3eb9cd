"""Immutable versions of configuration and bundle, by content hash: every result can name what made it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.domain.bundle_state import BundleState
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
