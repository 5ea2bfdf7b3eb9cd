"""Every destination has lanes of its own, keeps its order, and holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.app.unknown_lane import OnceAllAgree
from gateway.config import SpoolSettings, parse_settings
from gateway.domain.job import JobAction, JobKind
from gateway.domain.operator import Operator
from gateway.domain.readiness import SupervisorStory
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries
from gateway.store.results import Results
from gateway.store.supervisors import Supervisors
from gateway.workers.deliver_result import DeliverResult
from tests.integration.bench import Bench
from tests.integration.sending import RawScp, Shelf, sections, sender, stories, until
from tests.peers.postgresql import free_port
from tests.peers.raw_scp import Visitor

SOMEONE = Operator(name="someone", reason="T-1")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def freezes(visitor: Visitor) -> None:
    visitor.accept()
    visitor.ended.wait()


def test_frozen_destination_keeps_no_result_from_another_one(bench: Callable[..., Bench], database: Database) -> None:
    shelf = Shelf()
    with RawScp(freezes) as frozen, RawScp(shelf) as good:
        here = bench(**sections(frozen=frozen.port, good=good.port))
        uids = [here.receive(study=study) for study in (1, 2)]
        here.work()
        with sender(here.settings, here):
            assert shelf.holds(6)
            assert until(lambda: all(d.state == "sent" for uid in uids for d in stories(database, uid) if d.destination == "good"))
        found = {(d.destination, d.state) for uid in uids for d in stories(database, uid)}
    assert found == {("frozen", "pending"), ("good", "sent")}


def test_results_of_a_destination_go_over_one_association(bench: Callable[..., Bench], database: Database) -> None:
    shelf = Shelf()
    with RawScp(shelf) as good:
        here = bench(**sections(good=good.port))
        here.receive()
        here.work()
        with sender(here.settings, here):
            assert shelf.holds(3)
        assert good.connections == 1


def test_everything_goes_as_soon_as_a_destination_is_back_whatever_its_next_attempt(
    bench: Callable[..., Bench], database: Database
) -> None:
    port = free_port()
    patient = sections(pacs=port)
    patient["delivery"].update(retry_first_seconds=3600, retry_max_seconds=3600)
    here = bench(**patient)
    uid = here.receive()
    here.work()
    with sender(here.settings, here):
        assert until(lambda: sum(d.attempts for d in stories(database, uid)) >= 3)
        assert until(lambda: not any(d.state == "sent" for d in stories(database, uid)))
        # the next one opens the way for those that failed
        shelf = Shelf()
        with RawScp(shelf, port=port):
            other = here.receive(study=2)
            here.work()
            assert shelf.holds(6)
            assert until(lambda: {d.state for key in (uid, other) for d in stories(database, key)} == {"sent"})


def test_sender_ends_within_its_grace_while_a_peer_is_frozen_and_says_what_it_broke_off(
    bench: Callable[..., Bench], database: Database
) -> None:
    frozen = threading.Event()

    def freezes_and_tells(visitor: Visitor) -> None:
        visitor.accept()
        visitor.request()
        frozen.set()
        visitor.ended.wait()

    with RawScp(freezes_and_tells) as scp:
        slow = sections(pacs=scp.port)
        slow["delivery"].update(response_seconds=120, message_seconds=100)
        here = bench(**slow, serve={"grace_seconds": 2})
        uid = here.receive()
        here.work()
        started = 0.0
        with sender(here.settings, here):
            assert frozen.wait(10)
            started = time.monotonic()
        assert time.monotonic() - started < 5
    assert ("pending", "interrupted") in {(d.state, d.last_code) for d in stories(database, uid)}


def test_delivery_to_a_destination_that_the_configuration_lost_is_dead_and_says_so(bench: Callable[..., Bench], database: Database) -> None:
    here = bench(**sections(gone=free_port()))
    uid = here.receive()
    here.work()
    without = parse_settings({**sections(other=free_port()), "routes": []})
    with sender(without, here):
        assert until(lambda: {(d.state, d.last_code) for d in stories(database, uid)} == {("dead", "destination_unknown")})


def test_delivery_waits_while_another_supervisor_may_know_its_destination(bench: Callable[..., Bench], database: Database) -> None:
    here = bench(**sections(gone=free_port()))
    uid = here.receive()
    here.work()
    without = parse_settings({**sections(other=free_port()), "routes": []}).model_copy(
        update={"spool": SpoolSettings(folder=here.spool._folder)}
    )
    pace = OnceAllAgree(Supervisors(database), without.config_hash)
    assert pace.pause() == 0
    Supervisors(database).tell(told("elsewhere:supervisor:1", "another"))
    assert pace.pause() > 0
    with sender(without, here) as thread:
        assert not until(lambda: any(d.state == "dead" for d in stories(database, uid)), 2)
        assert thread.is_alive()
        Supervisors(database).tell(told("elsewhere:supervisor:1", without.config_hash))
        assert until(lambda: {(d.state, d.last_code) for d in stories(database, uid)} == {("dead", "destination_unknown")})


def told(name: str, config_hash: str) -> SupervisorStory:
    now = datetime.now(UTC)
    return SupervisorStory(
        name=name, host=name.partition(":")[0], roles=("sender",), config_hash=config_hash, started_at=now, seen_at=now, hindrances=()
    )


class Recorder:
    """A storage SCU that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, _content: bytes, _sop_class_uid: str, sop_instance_uid: str, **_: float) -> Any:
        from gateway.delivery.link import Answered
        from gateway.domain.delivery import Verdict

        self.sent.append(sop_instance_uid)
        return Answered(verdict=Verdict.SENT, code="success", dimse_status=0)


def two_revisions(bench: Callable[..., Bench]) -> tuple[Bench, str, dict[str, int]]:
    """Both with pending deliveries; revision by SOP Instance UID."""
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(2)
    here.work()
    return (
        here,
        uid,
        {r.sop_instance_uid: r.revision for r in Results(here.database).of_study(here.story(uid).instances[0].study_instance_uid)},
    )


def deliver(here: Bench, scu: Recorder, *, limit: int = 1) -> int:
    queue = JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)
    handler = DeliverResult(deliveries=Deliveries(here.database), spool=here.spool, scu=scu, settings=here.settings)  # type: ignore[arg-type]
    claims = queue.claim((JobKind.DELIVER_RESULT,), "test:sender:1", limit=limit)
    for claim in claims:
        handler.run(claim)
    return len(claims)


def test_older_revision_that_still_waits_is_superseded_and_never_sent(bench: Callable[..., Bench]) -> None:
    here, uid, revisions = two_revisions(bench)
    scu = Recorder()
    while deliver(here, scu):
        pass
    assert {revisions[sent] for sent in scu.sent} == {2}
    states = {(r.revision, d.state, d.last_code) for r in here.story(uid).results for d in r.deliveries}
    assert states == {(1, "cancelled", "superseded"), (2, "sent", "success")}


def test_released_delivery_of_an_older_revision_is_superseded(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    held = [job.job_id for job in Queries(database).jobs("") if job.kind == "deliver_result"]
    for job in held:
        JobActs(database).act(job, JobAction.HOLD, SOMEONE)
    here.receive(2)
    here.work()
    scu = Recorder()
    while deliver(here, scu):
        pass
    sent = list(scu.sent)
    for job in held:
        JobActs(database).act(job, JobAction.RELEASE, SOMEONE)
    while deliver(here, scu):
        pass
    assert scu.sent == sent
    assert {d.state for r in here.story(uid).results if r.revision == 1 for d in r.deliveries} == {"cancelled"}


def test_newer_revision_waits_while_an_older_one_is_being_sent(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive(1)
    here.work()
    queue = JobQueue(database, lease_seconds=60, max_lease_expiries=3)
    (under_way, *_) = queue.claim((JobKind.DELIVER_RESULT,), "test:sender:1")
    here.receive(2)
    here.work()
    scu = Recorder()
    while deliver(here, scu):
        pass
    assert scu.sent == []
    assert "older_first" in {job.last_code for job in Queries(database).jobs("queued")}
    queue.finish(under_way)
    assert until(lambda: bool(deliver(here, scu)) or bool(scu.sent))
