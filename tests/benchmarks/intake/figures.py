"""Measurements of one cell (server, load, number of associations) over all rounds, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Round:
    """One server's go at one load."""

    megabytes: float
    objects: int
    seconds: float
    object_seconds: tuple[float, ...]
    sender_cpu: float
    server_cpu: float
    peak_mb: float

    @property
    def mb_per_s(self) -> float:
        return self.megabytes / self.seconds

    @property
    def objects_per_s(self) -> float:
        return self.objects / self.seconds


@dataclass(frozen=True)
class Cell:
    """All rounds of a server at a load."""

    rounds: tuple[Round, ...]

    @property
    def mb_per_s(self) -> float:
        return median(one.mb_per_s for one in self.rounds)

    @property
    def objects_per_s(self) -> float:
        return median(one.objects_per_s for one in self.rounds)

    @property
    def peak_mb(self) -> float:
        return max(one.peak_mb for one in self.rounds)

    def percentile_ms(self, share: float) -> float:
        every = sorted(seconds for one in self.rounds for seconds in one.object_seconds)
        return 1000 * every[min(len(every) - 1, int(share * len(every)))]

    def cpu_ms_per_object(self) -> tuple[float, float]:
        """(sender, server)"""
        objects = sum(one.objects for one in self.rounds)
        return (
            1000 * sum(one.sender_cpu for one in self.rounds) / objects,
            1000 * sum(one.server_cpu for one in self.rounds) / objects,
        )

    def cores_used(self) -> tuple[float, float]:
        """(sender, server): CPU seconds per second."""
        seconds = sum(one.seconds for one in self.rounds)
        return sum(one.sender_cpu for one in self.rounds) / seconds, sum(one.server_cpu for one in self.rounds) / seconds


def ratio(ours: Cell, theirs: Cell) -> float:
    """Median over the rounds: each compares two goes that stood beside each other in time."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    return median(our.objects_per_s / their.objects_per_s for our, their in pairs)


def bound(cell: Cell, *, cores: int, disk_mb_per_s: float, associations: int) -> str:
    """What held this cell back, from what was measured."""
    sender, server = cell.cores_used()
    if sender + server > 0.85 * cores:
        return f"CPU: sender {sender:.2f} and server {server:.2f} of {cores} cores"
    if sender > 0.85 * associations:
        return f"sender: {sender:.2f} cores for {associations} associations"
    if cell.mb_per_s > 0.7 * disk_mb_per_s:
        return f"disk: {disk_mb_per_s:.0f} MB/s durable by a plain loop"
    return f"waiting: sender {sender:.2f}, server {server:.2f} of {cores} cores, disk {disk_mb_per_s:.0f} MB/s"
