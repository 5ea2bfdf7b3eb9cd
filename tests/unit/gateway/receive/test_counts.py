from __future__ import annotations

import pytest

from gateway.config import ReceiverSettings
from gateway.receive.counts import Counts, CountTable
from gateway.receive.limits import Cut, Limits


def limits(*, total: int, each: int) -> Limits:
    return Limits.of(ReceiverSettings(max_connections=total, max_connections_per_address=each, max_associations=1))


def two(*, peers: int = 0) -> tuple[Counts, Counts]:
    """Two processes' views of one table."""
    table = CountTable(2, peers)
    return Counts(table, 0), Counts(table, 1)


def test_place_is_given_back_once() -> None:
    counts, found = Counts(CountTable()), limits(total=3, each=1)
    first = counts.admit("192.0.2.1", found)
    assert counts.admit("192.0.2.1", found) is Cut.ADDRESS_LIMIT
    second = counts.admit("192.0.2.2", found)
    assert callable(first)
    assert callable(second)
    first()
    first()
    assert counts.own_connections() == 1
    assert callable(counts.admit("192.0.2.1", found))


def test_total_is_told_before_the_address() -> None:
    counts, found = Counts(CountTable()), limits(total=1, each=1)
    counts.admit("192.0.2.1", found)
    assert counts.admit("192.0.2.1", found) is Cut.CONNECTION_LIMIT
    assert counts.admit("192.0.2.2", found) is Cut.CONNECTION_LIMIT


def test_connections_of_two_processes_count_together_in_all_and_of_an_address() -> None:
    (one, other), found = two(), limits(total=3, each=2)
    places = [counts.admit("192.0.2.1", found) for counts in (one, other)]
    assert all(callable(place) for place in places)
    assert one.admit("192.0.2.1", found) is Cut.ADDRESS_LIMIT
    assert other.admit("192.0.2.1", found) is Cut.ADDRESS_LIMIT
    assert callable(other.admit("192.0.2.2", found))
    assert one.admit("192.0.2.3", found) is Cut.CONNECTION_LIMIT
    places[1]()  # type: ignore[operator]
    assert callable(one.admit("192.0.2.1", found))


def test_many_addresses_in_one_process_never_count_for_each_other() -> None:
    counts, found = Counts(CountTable()), limits(total=10_000, each=1)
    assert all(callable(counts.admit(f"192.0.{high}.{low}", found)) for high in range(30) for low in range(256))


def test_associations_of_two_processes_count_together_also_of_a_peer() -> None:
    one, other = two(peers=2)
    assert [one.take_association(2), other.take_association(2), one.take_association(2), other.take_association(2)] == [
        True,
        True,
        False,
        False,
    ]
    one.give_back_association()
    assert other.take_association(2)
    assert [one.take_peer(0, 1), other.take_peer(0, 1), other.take_peer(1, 1)] == [True, False, True]
    one.give_back_peer(0)
    assert other.take_peer(0, 1)


def test_places_of_a_dead_process_come_back() -> None:
    table = CountTable(2)
    dead, living = Counts(table, 0), Counts(table, 1)
    for counts in (dead, dead, living):
        assert counts.take_association(3)
        counts.admit("192.0.2.1", limits(total=3, each=3))
    assert not living.take_association(3)
    table.clear(0)
    assert [living.take_association(3) for _ in range(3)] == [True, True, False]
    assert callable(living.admit("192.0.2.1", limits(total=2, each=2)))


@pytest.mark.parametrize(("processes", "memory_mb"), [(1, 768), (2, 384), (3, 256)])
def test_memory_is_divided_among_the_processes(processes: int, memory_mb: int) -> None:
    settings = ReceiverSettings(processes=processes, max_message_mb=128, memory_mb=768)
    assert Limits.of(settings).memory == memory_mb * 1024 * 1024
