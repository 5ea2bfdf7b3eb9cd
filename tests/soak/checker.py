"""Finds what was lost, is missing, is there twice, or went a way that the transition tables do not have. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from gateway.domain.delivery import DeliveryState
from gateway.domain.job import JobAction, JobState, after
from gateway.domain.outcome import InstanceState
from gateway.events import Event
from tests.soak.facts import Chain, Facts, Held

_JOB_ACTIONS: Final = {
    Event.JOB_CLAIMED: JobAction.CLAIM,
    Event.JOB_DONE: JobAction.FINISH,
    Event.JOB_RETRY: JobAction.FAIL,
    Event.JOB_POSTPONED: JobAction.POSTPONE,
    Event.JOB_GIVEN_BACK: JobAction.GIVE_BACK,
    Event.JOB_DEAD: JobAction.GIVE_UP,
    Event.JOB_LEASE_EXPIRED: JobAction.EXPIRE,
    Event.JOB_HELD: JobAction.HOLD,
    Event.JOB_RELEASED: JobAction.RELEASE,
    Event.JOB_RETRIED: JobAction.RETRY,
    Event.JOB_CANCELLED: JobAction.CANCEL,
}
_NEW: Final = ""
_INSTANCE_MOVES: Final = {
    (_NEW, Event.INSTANCE_STORED): InstanceState.STORED,
    (_NEW, Event.INSTANCE_ADOPTED): InstanceState.STORED,
    (InstanceState.STORED, Event.INSTANCE_ASSESSED): InstanceState.ASSESSED,
    (InstanceState.STORED, Event.INSTANCE_NOT_ASSESSED): InstanceState.NOT_ASSESSED,
    (InstanceState.STORED, Event.INSTANCE_FAILED): InstanceState.FAILED,
}
_DELIVERY_MOVES: Final = {
    (_NEW, Event.DELIVERY_QUEUED): DeliveryState.PENDING,
    (DeliveryState.PENDING, Event.DELIVERY_RETRY): DeliveryState.PENDING,
    (DeliveryState.PENDING, Event.DELIVERY_SENT): DeliveryState.SENT,
    (DeliveryState.PENDING, Event.DELIVERY_DEAD): DeliveryState.DEAD,
}
_ENDED: Final = {"job": (JobState.DONE,), "instance": (InstanceState.ASSESSED,), "delivery": (DeliveryState.SENT,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One text per defect; a soak is good when there is none."""

    lost: tuple[str, ...]
    missing_results: tuple[str, ...]
    duplicate_results: tuple[str, ...]
    illegal_transitions: tuple[str, ...]
    unfinished: tuple[str, ...]
    unclosed_ledgers: tuple[str, ...]
    ended_by_itself: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {field.name: len(getattr(self, field.name)) for field in fields(self)}

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(f"{field.name}: {text}" for field in fields(self) for text in getattr(self, field.name))


def check(facts: Facts) -> Findings:
    return Findings(
        lost=tuple(_lost(facts)),
        missing_results=tuple(_missing(facts)),
        duplicate_results=tuple(_duplicates(facts)),
        illegal_transitions=tuple(filter(None, map(_illegal, facts.chains))),
        unfinished=tuple(f"{chain.name} is {chain.state}" for chain in facts.chains if chain.state not in _ENDED[chain.kind]),
        unclosed_ledgers=facts.unclosed,
        ended_by_itself=tuple(f"exit code {code}" for code in facts.ended_by_itself),
    )


def _lost(facts: Facts) -> Iterator[str]:
    kept = {(one.sop_uid, one.digest): one for one in facts.kept}
    for told in sorted(set(facts.told), key=lambda one: one.sop_uid):
        found = kept.get((told.sop_uid, told.digest))
        if found is None:
            yield f"{told.sop_uid}: no row"
        elif found.file != "whole":
            yield f"{told.sop_uid}: file {found.file}"
        elif not found.receipts:
            yield f"{told.sop_uid}: no receipt"


def _missing(facts: Facts) -> Iterator[str]:
    """Studies without a report over all that was acknowledged of them; released results and overlay pages that the PACS has not."""
    reports, pages = _by_study(facts, "SR"), _by_study(facts, "OT")
    for study, images in sorted(_acknowledged(facts).items()):
        if not any(images <= report.images for report in reports[study]):
            yield f"study {study}: no report over its {len(images)} images"
    held = {one.sop_uid for one in facts.held}
    yield from (f"{one.kind} {one.sop_uid}: not in the PACS" for one in facts.built if one.sop_uid not in held)
    for study, found in sorted(reports.items()):
        for _ in range(_pages_of(found) - len(pages[study])):
            yield f"study {study}: a page less than its reports have"


def _duplicates(facts: Facts) -> Iterator[str]:
    """More than one report over the same images, more pages than reports have, objects that no row knows, rows twice."""
    reports, pages = _by_study(facts, "SR"), _by_study(facts, "OT")
    for study, found in sorted(reports.items()):
        for images, times in Counter(report.images for report in found).items():
            yield from [f"study {study}: another report over the same {len(images)} images"] * (times - 1)
    for study, several in sorted(pages.items()):
        yield from [f"study {study}: a page more than its reports have"] * (len(several) - _pages_of(reports[study]))
    known = {one.sop_uid for one in facts.built}
    yield from (f"{one.modality} {one.sop_uid}: in the PACS, and no row knows it" for one in facts.held if one.sop_uid not in known)
    for (assessment_set, kind), times in Counter((one.assessment_set, one.kind) for one in facts.built).items():
        yield from [f"{kind} of set {assessment_set[:12]}: another row"] * (times - 1)


def _acknowledged(facts: Facts) -> dict[str, set[str]]:
    images: dict[str, set[str]] = defaultdict(set)
    for told in facts.told:
        images[told.study_uid].add(told.sop_uid)
    return images


def _by_study(facts: Facts, modality: str) -> defaultdict[str, list[Held]]:
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for one in facts.held:
        if one.modality == modality:
            found[one.study_uid].append(one)
    return found


def _pages_of(reports: list[Held]) -> int:
    """A report card per report, and an overlay per image of it."""
    return sum(1 + len(report.images) for report in reports)


def _illegal(chain: Chain) -> str:
    """Where the chain leaves its table, or where its end is not the row's state; empty when it does neither."""
    state = _NEW
    for number, (name, code) in enumerate(chain.events):
        event = Event(name)
        if event is Event.INSTANCE_RECEIVED_AGAIN and state != _NEW:
            continue
        try:
            state = _after(chain, state, event)
        except (KeyError, ValueError):
            return f"{chain.name}: {event} ({code}) as event {number + 1} of {len(chain.events)}, when it was {state or 'not there'}"
    return "" if state == chain.state else f"{chain.name}: its events end as {state or 'not there'}, its row is {chain.state}"


def _after(chain: Chain, state: str, event: Event) -> str:
    if chain.kind == "instance":
        return _INSTANCE_MOVES[state, event]
    if chain.kind == "delivery":
        return _DELIVERY_MOVES[state, event]
    if event is Event.JOB_QUEUED and state == _NEW:
        return JobState.QUEUED
    return after(JobState(state), _JOB_ACTIONS[event])
