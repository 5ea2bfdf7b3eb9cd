"""In which order processes are replaced for a changed configuration, and the way back. Processes are doubles that only note what is asked."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app import slot as slot_module
from gateway.app.role import Role
from gateway.app.role_line import Phase, Told
from gateway.app.roll import Roll
from gateway.app.shared_counts import SharedCounts
from gateway.app.slot import Slot, slots_for
from gateway.config import Settings, parse_settings

OLD = parse_settings({"serve": {"development": True}, "receiver": {"processes": 2}})
NEW = parse_settings(
    {
        "serve": {"development": True},
        "receiver": {"processes": 2},
        "destinations": [{"name": "p", "ae_title": "P", "host": "h", "port": 1, "class": "test"}],
    }
)  # touches every role


class ProcessDouble:
    def __init__(self, role: Role, settings: Settings, *, sweeps: bool = False, counts: SharedCounts | None = None) -> None:
        self.role, self.settings, self.sweeps, self.counts = role, settings, sweeps, counts
        self.told = Told()
        self.asked: list[str] = []
        self.started_at = 0.0

    def say(self, phase: Phase) -> None:
        self.told = Told(phase)

    def end(self) -> None:
        self.asked.append("end")

    def hand_over(self) -> None:
        self.asked.append("hand_over")

    def close(self) -> None:
        self.asked.append("close")


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> list[Slot]:
    """All roles, ready by the old settings."""
    monkeypatch.setattr(slot_module, "RoleProcess", ProcessDouble)
    found = slots_for(OLD, list(Role))
    for slot in found:
        slot.start_if_due(OLD)
        process(slot).say(Phase.READY)
    return found


def process(slot: Slot) -> Any:
    assert slot.process is not None
    return slot.process


def step(roll: Roll, slots: list[Slot]) -> list[str]:
    """One round; the names of the slots in which something is on its way."""
    roll.step(slots)
    for slot in slots:
        slot.start_if_due(roll.settings)
    return [slot.name for slot in slots if not slot.is_settled]


def finish(roll: Roll, slots: list[Slot]) -> str:
    """Lets the one replacement that is under way come to its end; the name of its slot."""
    (name,) = step(roll, slots)
    (slot,) = [slot for slot in slots if slot.name == name]
    if slot.successor is not None:
        slot.successor.told = Told(Phase.STANDBY)
        assert process(slot).asked == []
        step(roll, slots)
        assert slot.leaving[0].asked == ["hand_over"]  # type: ignore[attr-defined]
    assert not slot.ended(slot.leaving[0])
    slot.start_if_due(roll.settings)
    process(slot).say(Phase.READY)
    return name


def test_roles_are_replaced_one_after_the_other_and_the_receivers_last(slots: list[Slot]) -> None:
    roll = Roll(OLD)
    assert step(roll, slots) == []
    roll.begin(NEW, slots)
    assert [finish(roll, slots) for _ in slots] == ["worker", "sender", "receiver", "receiver-2"]
    assert step(roll, slots) == []
    assert {process(slot).settings is NEW for slot in slots} == {True}
    assert roll.go_back(slots) is None


def test_worker_ends_before_its_successor_starts(slots: list[Slot]) -> None:
    roll, worker = Roll(OLD), slots[0]
    roll.begin(NEW, slots)
    step(roll, slots)
    assert (worker.process, worker.leaving[0].asked) == (None, ["end"])  # type: ignore[attr-defined]
    assert step(roll, slots) == ["worker"]
    assert worker.process is None


def test_role_that_refuses_brings_the_old_settings_back_to_those_that_had_the_new_ones(slots: list[Slot]) -> None:
    roll = Roll(OLD)
    roll.begin(NEW, slots)
    assert finish(roll, slots) == "worker"
    step(roll, slots)
    sender = slots[1]
    assert not sender.ended(sender.leaving[0])
    sender.start_if_due(roll.settings)
    assert sender.ended(process(sender))
    assert roll.go_back(slots) is NEW
    assert step(roll, slots) == ["worker", "sender"]
    assert process(sender).settings is OLD
    assert slots[0].leaving[0].settings is NEW


def test_role_that_waits_to_be_started_again_holds_nobody_up(slots: list[Slot]) -> None:
    roll, worker = Roll(OLD), slots[0]
    assert worker.ended(process(worker))
    worker.start_at = float("inf")
    roll.begin(NEW, slots[1:])
    assert finish(roll, slots) == "sender"


def test_receiver_that_dies_while_its_successor_comes_is_followed_by_it(slots: list[Slot]) -> None:
    roll, receiver = Roll(OLD), slots[2]
    roll.begin(NEW, slots)
    for _ in ("worker", "sender"):
        finish(roll, slots)
    step(roll, slots)
    successor = receiver.successor
    assert receiver.ended(process(receiver))
    assert (receiver.process, receiver.successor) == (successor, None)


def test_successor_that_dies_is_not_started_again_before_its_pause_is_over(slots: list[Slot]) -> None:
    roll, receiver = Roll(OLD), slots[2]
    roll.begin(NEW, slots)
    for _ in ("worker", "sender"):
        finish(roll, slots)
    step(roll, slots)
    successor = receiver.successor
    assert successor is not None
    assert receiver.ended(successor)
    receiver.died(successor, NEW)
    step(roll, slots)
    assert receiver.successor is None
    assert process(receiver).settings is OLD


def test_second_change_during_the_trial_of_the_first_goes_back_to_what_was_before_both(slots: list[Slot]) -> None:
    roll = Roll(OLD)
    roll.begin(NEW, slots)
    roll.begin(NEW.model_copy(), slots)
    roll.go_back(slots)
    assert roll.settings is OLD
