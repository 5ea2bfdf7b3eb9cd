from __future__ import annotations

import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.receive.memory import MemoryBudget, ReceivedDataSet, Reservation

MIB = 1024 * 1024
FAR = 60.0


def cover(reservation: Reservation, size: int, *, seconds: float = FAR) -> bool:
    return reservation.cover(size, time.monotonic() + seconds, lambda: False)


def in_thread(reservation: Reservation, size: int) -> tuple[threading.Thread, list[bool]]:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(cover(reservation, size)), daemon=True)
    thread.start()
    return thread, found


def exhausted(budget: MemoryBudget) -> None:
    deadline = time.monotonic() + FAR
    while not budget.is_exhausted:
        assert time.monotonic() < deadline


def test_what_fits_is_given_at_once_and_comes_back() -> None:
    budget = MemoryBudget(20 * MIB, 4 * MIB)
    reservation = budget.reservation("a")
    assert cover(reservation, 3 * MIB)
    assert 3 * MIB <= budget.in_use <= 4 * MIB + MIB
    reservation.release()
    reservation.release()
    assert budget.in_use == 0


def test_small_growth_asks_the_budget_seldom() -> None:
    budget = MemoryBudget(20 * MIB, 4 * MIB)
    reservation = budget.reservation("a")
    assert cover(reservation, 1)
    held = reservation.held
    assert cover(reservation, MIB // 2)
    assert reservation.held == held


def test_message_that_waited_longest_may_always_grow_to_its_full_length() -> None:
    budget, holders = full()
    third = budget.reservation("later")
    waiting, answered = in_thread(third, 2 * MIB)
    exhausted(budget)
    assert budget.in_use <= 11 * MIB
    holders[-1].release()
    waiting.join(FAR)
    assert answered == [True]
    assert cover(third, 4 * MIB)
    assert budget.in_use <= 11 * MIB
    for one in (third, *holders):
        one.release()
    assert budget.in_use == 0


def test_waiting_ends_at_the_deadline_and_when_the_association_is_over() -> None:
    budget, _ = full()
    late = budget.reservation("late")
    assert not cover(late, 3 * MIB, seconds=0.01)
    assert not late.cover(3 * MIB, time.monotonic() + FAR, lambda: True)
    assert not budget.is_exhausted


def test_those_who_wait_are_served_in_their_order() -> None:
    budget, holders = full()
    early, late = budget.reservation("early"), budget.reservation("late")
    early_thread, early_answer = in_thread(early, 2 * MIB)
    exhausted(budget)
    # would fit if it did not come second
    assert not cover(late, MIB // 2, seconds=0.05)
    holders[0].release()
    early_thread.join(FAR)
    assert early_answer == [True]


def test_one_address_takes_half_at_most_and_the_others_pass_it_by() -> None:
    budget = MemoryBudget(11 * MIB, 4 * MIB)
    greedy = [budget.reservation("greedy") for _ in range(3)]
    # the first takes the share, the second what is set aside
    assert all(cover(one, 2 * MIB) for one in greedy[:2])
    waiting, answered = in_thread(greedy[2], MIB)
    modest = budget.reservation("modest")
    assert cover(modest, 2 * MIB)
    assert not budget.is_exhausted
    greedy[0].release()
    waiting.join(FAR)
    assert answered == [True]


def full() -> tuple[MemoryBudget, list[Reservation]]:
    """A budget with nothing left: two messages have the common part, the last what is set aside."""
    budget = MemoryBudget(11 * MIB, 4 * MIB)
    holders = [budget.reservation(address) for address in "abc"]
    assert [cover(holder, 2 * MIB) for holder in holders] == [True, True, True]
    return budget, holders


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4 * MIB), st.sampled_from("ab")), min_size=1, max_size=8))
def test_however_many_grow_at_once_all_get_through_and_the_budget_holds(messages: list[tuple[int, str]]) -> None:
    budget, peaks = MemoryBudget(10 * MIB, 4 * MIB), []

    def receive(size: int, address: str) -> None:
        reservation = budget.reservation(address)
        for step in range(1, 5):
            assert cover(reservation, size * step // 4)
            peaks.append(budget.in_use)
        reservation.release()

    threads = [threading.Thread(target=receive, args=message, daemon=True) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FAR)
    assert len(peaks) == 4 * len(messages)
    assert max(peaks) <= 10 * MIB
    assert budget.in_use == 0


def test_dropped_data_set_gives_its_memory_back_even_while_somebody_looks_at_it() -> None:
    budget = MemoryBudget(8 * MIB, 4 * MIB)
    content = ReceivedDataSet(budget.reservation("a"))
    assert cover(content.reservation, MIB)
    content.write(b"x")
    view = content.getbuffer()
    content.drop()
    assert budget.in_use == 0
    view.release()


def test_data_set_that_became_too_long_is_empty_and_holds_nothing() -> None:
    budget = MemoryBudget(8 * MIB, 4 * MIB)
    content = ReceivedDataSet(budget.reservation("a"))
    assert cover(content.reservation, MIB)
    content.write(b"x" * MIB)
    content.forget()
    assert (content.getvalue(), content.is_too_long, budget.in_use) == (b"", True, 0)
