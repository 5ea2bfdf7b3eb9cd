"""How the store stands, as counts."""

from __future__ import annotations

from dataclasses import dataclass

Counts = tuple[tuple[tuple[str, ...], int], ...]
"""Labels and how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """receipts: (DIMSE status, reason, how many). instances by state, or as `phantom`; jobs by kind and state; deliveries by destination
    and state.

    alarms: those that stand, by code and subject, 1 each.
    """

    receipts: tuple[tuple[int, str, int], ...]
    instances: Counts
    jobs: Counts
    deliveries: Counts
    oldest_open_job_seconds: float
    alarms: Counts
    self_tests: tuple[tuple[str, bool, float], ...] = ()
    """The latest self-test of each worker: its host, whether it passed, how many seconds ago."""
