"""Runs migrations on the engine that gateway.store.schema hands over; one process at a time."""

from __future__ import annotations

from contextlib import ExitStack

from alembic import context
from sqlalchemy import Engine, text

from gateway.store.tables import Base

_ADVISORY_LOCK = 7223301


def _run() -> None:
    engine: Engine = context.config.attributes["engine"]
    with engine.connect() as connection, connection.begin(), ExitStack() as limits:
        if engine.dialect.name == "postgresql":
            # psycopg is an extra of the package
            from gateway.store.postgresql import patiently

            limits.enter_context(patiently(connection))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=False)
        context.run_migrations()


_run()
