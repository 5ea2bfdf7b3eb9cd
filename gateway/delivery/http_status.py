"""What an HTTP status means for a delivery, where the answer does not name the instance (PS3.18 10.5.3, RFC 9110 15). A table."""

from __future__ import annotations

from typing import Final

from gateway.domain.delivery import Verdict

_ROWS: Final[tuple[tuple[int, int, Verdict, bool], ...]] = (
    # it says that it has something, and does not say what: never taken for the result
    (200, 299, Verdict.RETRY, True),
    # never followed: it may lead anywhere, and is what a log-in page sends when a token has ended
    (300, 399, Verdict.RETRY, False),
    (401, 401, Verdict.RETRY, False),
    (403, 404, Verdict.RETRY, False),
    (407, 408, Verdict.RETRY, False),
    (409, 409, Verdict.RETRY, True),
    (425, 425, Verdict.RETRY, False),
    (429, 429, Verdict.RETRY, False),
    (400, 499, Verdict.DEAD, True),
    (501, 501, Verdict.DEAD, True),
    (502, 504, Verdict.RETRY, False),
    (505, 505, Verdict.DEAD, True),
    (500, 599, Verdict.RETRY, True),
)
"""First row that holds: verdict, and whether the service itself has answered. Where it has not, nothing else would get through either: the
circuit breaker counts it, and all of it is due again with the first request that does."""


def meaning_of(status: int) -> tuple[Verdict, bool]:
    """A status that no table has is tried again: it may be a passing trouble."""
    return next(((verdict, let_in) for low, high, verdict, let_in in _ROWS if low <= status <= high), (Verdict.RETRY, True))
