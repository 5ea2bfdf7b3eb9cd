"""Whether a database that could not be asked is away for now, or there and refusing us: only the first is cured by waiting."""

from __future__ import annotations

import importlib
from contextlib import closing
from typing import Any, Final

from sqlalchemy import text

from gateway.errors import DatabaseUnavailableError
from gateway.store.database import Database, parsed

_SECONDS: Final = 3
"""For the answer whether a server is there; libpq holds the interpreter meanwhile."""


def is_server(url: str) -> bool:
    """Whether it can be away at all: a SQLite file is there or not."""
    return parsed(url).get_backend_name() == "postgresql"


def trouble(url: str) -> DatabaseUnavailableError | None:
    """What stands in the way of one small question to the database; None when it was answered."""
    with closing(Database(url)) as database:
        try:
            with database.reading() as session:
                session.execute(text("SELECT 1"))
        except DatabaseUnavailableError as error:
            return error
    return None


def is_away(url: str, error: DatabaseUnavailableError) -> bool:
    """True when no server answers at this address, or one that still starts or already stops.

    libpq asks without logging in (PQping): so a wrong password or a database that is missing is told from a server that is down.
    """
    if not is_server(url):
        return False
    found = parsed(url)
    # an extra of the package, and absent where SQLite is used
    psycopg: Any = importlib.import_module("psycopg")
    if isinstance(getattr(error.__cause__, "orig", None), psycopg.errors.ConnectionTimeout):
        return True
    _, parameters = found.get_dialect()().create_connect_args(found)
    conninfo = psycopg.conninfo.make_conninfo(**{**parameters, "connect_timeout": _SECONDS})
    return psycopg.pq.PGconn.ping(conninfo.encode()) in (psycopg.pq.Ping.NO_RESPONSE, psycopg.pq.Ping.REJECT)
