"""A database belongs to one spool, whatever host looks at it: the identity in the spool's marker file is the one in the database."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from gateway.errors import SpoolMissingError, SpoolNotSharedError
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.spool import Spool
from gateway.store.tables import SpoolRow


def bound_identity(database: Database) -> str | None:
    """The identity that the database knows; None before the first start."""
    with database.reading() as session:
        row = session.get(SpoolRow, 1)
        return None if row is None else row.identity


def bind(spool: Spool, database: Database) -> None:
    """Makes the folder ready to be written, and both belong to each other.

    SpoolMissingError when the database knows instances and the folder was never a spool: a mount that is missing would make each of
    them look lost. SpoolNotSharedError when the folder is another database's spool, or, with a database that several hosts can
    reach, no spool yet although there is one.
    """
    known, found = bound_identity(database), spool.identity()
    if found is None:
        if Instances(database).any():
            raise SpoolMissingError
        if known is not None and database.dialect == "postgresql":
            raise SpoolNotSharedError
    elif known is not None and found != known:
        raise SpoolNotSharedError
    spool.prepare()
    # the marker first: one whose identity no row knows yet is bound by the next start
    identity = found or spool.name()
    if _bound(database, identity, instead_of=known if found is None else None) != identity:
        raise SpoolNotSharedError


def _bound(database: Database, identity: str, *, instead_of: str | None) -> str | None:
    """The identity in the database, which is this one unless another host was first."""
    try:
        with database.transaction() as session:
            row = session.get(SpoolRow, 1)
            if row is None:
                session.add(SpoolRow(id=1, identity=identity, bound_at=datetime.now(UTC)))
            elif row.identity == instead_of:
                # an empty store whose spool was removed by hand
                row.identity, row.bound_at = identity, datetime.now(UTC)
    except IntegrityError:
        pass
    return bound_identity(database)
