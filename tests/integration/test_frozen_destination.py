"""Destinations that freeze, trickle, lie and vanish: a request ends within its deadlines, and nobody else waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE

from gateway.config import DeliverySettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.commitment_scu import CommitmentScu
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered
from gateway.delivery.storage_scu import StorageScu
from gateway.domain.delivery import Verdict
from tests.integration.test_sender import SC, SR, destination, result
from tests.peers.raw_scp import Behaviour, RawScp, Visitor, answers_nothing, stops_reading, trickles_its_answer

SETTINGS = DeliverySettings(connect_seconds=0.5, response_seconds=0.5, message_seconds=1)
SOON = 6.0
"""Seconds; a stock requestor never came back from some of these peers."""


def large() -> bytes:
    """More than the buffers between two peers hold."""
    dataset = dcmread(BytesIO(result()))
    dataset.PixelData = bytes(16 << 20)
    dataset["PixelData"].VR = "OW"
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def linked(behaviour: Behaviour, settings: DeliverySettings = SETTINGS) -> Iterator[tuple[DestinationLink, RawScp]]:
    with RawScp(behaviour) as scp:
        link = DestinationLink(destination(scp.port), settings, CircuitBreaker(failures=3, seconds=1))
        yield link, scp
        link.close()


def send(link: DestinationLink, content: bytes) -> Answered:
    started = time.monotonic()
    answered = StorageScu(link).send(content, SC, "2.25.7")
    assert time.monotonic() - started < SOON
    return answered


def silent(visitor: Visitor) -> None:
    visitor.ended.wait()


def reads_slowly(visitor: Visitor) -> None:
    visitor.accept()
    while not visitor.ended.wait(0.05):
        visitor.socket.recv(1024)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (silent, "no_response"),
        (stops_reading, "no_response"),
        (answers_nothing, "no_response"),
        (trickles_its_answer, "no_response"),
        (reads_slowly, "no_response"),
    ],
)
def test_peer_that_does_not_go_on_is_given_up_within_the_deadlines(behaviour: Behaviour, code: str) -> None:
    with linked(behaviour) as (link, _):
        answered = send(link, large())
    assert (answered.verdict, answered.code, answered.dimse_status) == (Verdict.RETRY, code, None)


def test_waiting_for_a_frozen_peer_is_ended_from_another_thread() -> None:
    patient = DeliverySettings(response_seconds=60, message_seconds=60)
    told: list[Answered] = []
    frozen = threading.Event()

    def freezes(visitor: Visitor) -> None:
        visitor.accept()
        frozen.set()
        visitor.ended.wait()

    with linked(freezes, patient) as (link, _):
        lane = threading.Thread(target=lambda: told.append(StorageScu(link).send(large(), SC, "2.25.7")))
        lane.start()
        assert frozen.wait(SOON)
        link.stop()
        lane.join(SOON)
        assert not lane.is_alive()
    assert [(answered.verdict, answered.code) for answered in told] == [(Verdict.RETRY, "interrupted")]


def stores_everything(visitor: Visitor) -> None:
    visitor.accept()
    while True:
        visitor.answer(visitor.request(), 0)


def test_consecutive_results_go_over_one_association() -> None:
    with linked(stores_everything) as (link, scp):
        assert [send(link, result()).code for _ in range(5)] == ["success"] * 5
        assert scp.connections == 1


def test_association_is_released_when_it_has_not_been_used_for_a_while() -> None:
    released = threading.Event()

    def stores(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        if visitor.read()[0] == 5:
            visitor.release()
            released.set()

    with linked(stores, SETTINGS.model_copy(update={"reuse_seconds": 0})) as (link, _):
        assert send(link, result()).code == "success"
        link.idle()
        assert released.wait(SOON)


def test_kept_association_that_the_peer_has_ended_costs_nothing() -> None:
    def stores_one(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        visitor.abort()

    with linked(stores_one) as (link, scp):
        assert [send(link, result()).code for _ in range(3)] == ["success"] * 3
        assert scp.connections == 3


def cuts_after_the_second(then: Behaviour) -> Behaviour:
    """Takes a second object in whole and goes without an answer: nobody knows whether it has it. What it does afterwards is `then`."""
    visits: list[Visitor] = []

    def behaves(visitor: Visitor) -> None:
        visits.append(visitor)
        if len(visits) > 1:
            then(visitor)
            return
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        visitor.request()

    return behaves


def answers(status: int) -> Behaviour:
    def behaves(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), status)

    return behaves


def takes_reports_only(visitor: Visitor) -> None:
    visitor.accept(only={SR})
    visitor.ended.wait()


@pytest.mark.parametrize(
    "then",
    [Visitor.reject, takes_reports_only, answers(0xA700), answers(0xC000), Visitor.abort],
    ids=["rejects", "refuses_the_class", "out_of_resources", "cannot_understand", "aborts"],
)
def test_refused_repetition_does_not_hide_that_the_first_may_have_arrived(then: Behaviour) -> None:
    with linked(cuts_after_the_second(then)) as (link, scp):
        assert send(link, result()).code == "success"
        answered = send(link, result())
        assert (answered.verdict, answered.code, answered.dimse_status) == (Verdict.RETRY, "association_lost", None)
        assert scp.connections == 2


def test_repetition_that_is_taken_is_a_success() -> None:
    with linked(cuts_after_the_second(answers(0x0111))) as (link, _):
        assert [send(link, result()).code for _ in range(2)] == ["success", "already_there"]


def test_association_that_the_peer_ended_before_is_replaced_and_tells_what_the_new_one_comes_to() -> None:
    visits: list[Visitor] = []
    gone = threading.Event()

    def leaves(visitor: Visitor) -> None:
        visits.append(visitor)
        if len(visits) > 1:
            visitor.reject()
            return
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        visitor.abort()
        gone.set()

    with linked(leaves) as (link, _):
        assert send(link, result()).code == "success"
        assert gone.wait(SOON)
        assert send(link, result()).code == "association_rejected_transient"


def test_answer_to_another_message_is_no_answer() -> None:
    def confuses(visitor: Visitor) -> None:
        visitor.accept()
        request = visitor.request()
        visitor.answer(request, 0, message_id=999)
        visitor.answer(request, 0xA700)

    with linked(confuses) as (link, _):
        assert send(link, result()).dimse_status == 0xA700


def test_answer_of_another_kind_or_without_a_status_is_no_answer() -> None:
    def echoes(visitor: Visitor) -> None:
        visitor.accept()
        response = C_ECHO()
        response.MessageIDBeingRespondedTo, response.Status = visitor.request().MessageID, 0
        message = C_ECHO_RSP()
        message.primitive_to_message(response)
        visitor.say(message)
        visitor.ended.wait()

    def says_no_status(visitor: Visitor) -> None:
        visitor.accept()
        response = C_STORE()
        response.MessageIDBeingRespondedTo, response.Status = visitor.request().MessageID, 0
        message = C_STORE_RSP()
        message.primitive_to_message(response)
        del message.command_set.Status
        visitor.say(message)
        visitor.ended.wait()

    for behaviour in (echoes, says_no_status):
        with linked(behaviour) as (link, _):
            answered = send(link, result())
        assert (answered.verdict, answered.code) == (Verdict.RETRY, "association_lost")


def test_lane_that_was_stopped_for_longer_than_its_lease_sends_nothing_more() -> None:
    seen: list[Any] = []

    def vanishes(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        seen.append(visitor.request())

    with linked(vanishes) as (link, scp):
        assert send(link, result()).code == "success"
        over = StorageScu(link).send(result(), SC, "2.25.7", until=time.monotonic())
        assert (over.verdict, over.code, scp.connections, seen) == (Verdict.RETRY, "no_response", 1, [])
        assert StorageScu(link).send(result(), SC, "2.25.7", until=time.monotonic()).code == "no_association"
        assert scp.connections == 1


def test_commitment_is_never_asked_for_twice_with_one_transaction() -> None:
    asked: list[Any] = []

    def vanishes(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        asked.append(visitor.request())

    commits = {"commitment": "storage_commitment"}
    with RawScp(vanishes) as scp:
        link = DestinationLink(destination(scp.port).model_copy(update=commits), SETTINGS, CircuitBreaker(failures=3, seconds=1))
        assert send(link, result()).code == "success"
        assert CommitmentScu(link).ask("2.25.9", SC, "2.25.7").code == "association_lost"
        link.close()
        assert (scp.connections, len(asked)) == (1, 1)


def test_class_that_is_not_taken_costs_only_its_own_results() -> None:
    def no_reports(visitor: Visitor) -> None:
        visitor.accept(only={SC})
        while True:
            visitor.answer(visitor.request(), 0)

    with linked(no_reports) as (link, scp):
        refused = StorageScu(link).send(result(), SR, "2.25.7")
        assert (refused.verdict, refused.code) == (Verdict.DEAD, "context_refused")
        assert send(link, result()).code == "success"
        assert scp.connections == 1


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x02\x00\x00\x00\x00\x10" + b"\xff" * 16, b"\x04\x00\xff\xff\xff\xff"]
)
def test_what_is_no_dicom_is_an_association_that_was_lost(garbage: bytes) -> None:
    def talks_nonsense(visitor: Visitor) -> None:
        visitor.read()
        visitor.socket.sendall(garbage)
        visitor.ended.wait()

    with linked(talks_nonsense) as (link, _):
        assert send(link, result()).verdict is Verdict.RETRY


def test_breaker_leaves_a_dead_destination_alone_and_tells_of_its_recovery() -> None:
    recovered: list[bool] = []
    alive = threading.Event()

    def sometimes(visitor: Visitor) -> None:
        if alive.is_set():
            stores_everything(visitor)

    with RawScp(sometimes) as scp:
        breaker = CircuitBreaker(failures=2, seconds=60)
        link = DestinationLink(destination(scp.port), SETTINGS, breaker, on_recovered=lambda: recovered.append(True))
        assert send(link, result()).code == "association_lost"
        assert link.pause() == 0
        send(link, result())
        assert 0 < link.pause() <= 1
        send(link, result())
        assert 1 < link.pause() <= 2
        alive.set()
        assert send(link, result()).code == "success"
        assert (link.pause(), recovered) == (0, [True])
        link.close()
