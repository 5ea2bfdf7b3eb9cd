"""Transactions that the database gives up for another's sake are run again: PostgreSQL undoes one side of a deadlock."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from gateway.errors import TransactionVictimError

_TIMES: Final = 5
"""A deadlock is noticed after a second (deadlock_timeout), and its other side goes on then: there is nothing to wait for between."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def repeated(transaction: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """For a function that is one whole transaction and no more: run again, up to five times in all, while it is given up.

    TransactionVictimError when it was given up every time.
    """

    @wraps(transaction)
    def run(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        for _ in range(_TIMES - 1):
            try:
                return transaction(*arguments, **keywords)
            except TransactionVictimError:
                continue
        return transaction(*arguments, **keywords)

    return run
