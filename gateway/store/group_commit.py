"""One durable commit for the transactions of several associations (docs/adr/0014)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError, TransactionVictimError
from gateway.store.database import Database
from gateway.store.joining import Joined, Turn
from gateway.store.repeating import repeated

Result = TypeVar("Result")
Statements = Callable[[Session], object]
_WAITED_ENOUGH_SECONDS: Final = 5.0
"""In line, while the database refused those before: a whole wait of its own on top would outlast a modality's patience."""


class GroupCommit:
    """What several threads want to write at once goes into one transaction; each meets its own outcome, after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._joined: Joined[Statements] = Joined(self._commit)
        self._refused: tuple[float, DatabaseUnavailableError] | None = None
        """When the database last refused everybody, and how. By the thread whose go it is."""

    def run(self, statements: Callable[[Session], Result]) -> Result:
        """Runs the statements and commits them, alone or with others'; durable when it returns.

        The statements may be run again, in another transaction, when others that shared theirs have failed. Raises what they
        raise; DatabaseUnavailableError when nothing was kept; DatabaseNotDurableError, from then on always, after a failed fsync.
        """
        return cast("Result", self._joined.do(statements))

    def _commit(self, turns: Sequence[Turn[Statements]]) -> None:
        left = [turn for turn in turns if not self._has_waited_in_vain(turn)]
        while left:
            try:
                failed = self._attempt(left)
            except TransactionVictimError as error:
                for turn in left:
                    turn.fail(error)
                return
            left = [turn for turn in left if turn is not failed and not turn.settled]

    def _has_waited_in_vain(self, turn: Turn[Statements]) -> bool:
        if self._refused is None or self._refused[0] - turn.since < _WAITED_ENOUGH_SECONDS:
            return False
        turn.fail(self._refused[1])
        return True

    @repeated
    def _attempt(self, turns: Sequence[Turn[Statements]]) -> Turn[Statements] | None:
        """One transaction over all turns. The one whose statements failed drops out with its error; the others are left unsettled.

        TransactionVictimError when the database gave it up: that is nobody's fault, and all of it may be run again.
        """
        current: Turn[Statements] | None = None
        results: list[object] = []
        try:
            with self._database.transaction() as session:
                # the connection and the lock first: whoever is refused these is refused them for all
                session.connection()
                for current in turns:
                    results.append(current.work(session))
                    # an error must name the turn that made it
                    session.flush()
                current = None
        except TransactionVictimError:
            raise
        except Exception as error:  # noqa: BLE001  it is handed to the thread whose statements they were
            if current is not None and not _concerns_all(error):
                current.fail(error)
                return current
            if isinstance(error, DatabaseUnavailableError):
                self._refused = (time.monotonic(), error)
            for turn in turns:
                turn.fail(error)
            return None
        for turn, result in zip(turns, results, strict=True):
            turn.succeed(result)
        return None


def _concerns_all(error: Exception) -> bool:
    """True when the connection is gone or the disk failed: the others' statements would fail in the same way."""
    cause = error.__cause__
    return isinstance(error, DatabaseNotDurableError) or (isinstance(cause, DBAPIError) and cause.connection_invalidated)
