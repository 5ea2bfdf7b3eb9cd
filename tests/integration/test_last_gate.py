"""Every road by which a result could leave that must not: what counts is what the destinations hold, which is nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.config import Settings, parse_settings
from gateway.domain.delivery import DeliveryState
from gateway.domain.identifiers import new_id
from gateway.domain.job import JobAction, JobKind
from gateway.domain.operator import Operator
from gateway.store.confirmations import Confirmations
from gateway.store.database import Database
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import JobQueue, enqueue
from gateway.store.tables import DeliveryRow, JobRow, ResultRow
from tests.integration.bench import Bench
from tests.integration.sending import RawScp, Shelf, sections, sender, stories, until
from tests.peers.raw_scp import Visitor
from tests.peers.raw_web import answer, read_request

SOMEONE = Operator(name="someone", reason="T-1")


@dataclass
class Site:
    """A gateway with a destination by C-STORE and one by STOW-RS, and all that either was ever sent."""

    here: Bench
    database: Database
    dimse: int
    web: int
    shelf: Shelf
    posted: list[bytes] = field(default_factory=list)

    def settings(self, policy: str, *, destinations: tuple[str, ...] = ("dimse", "web"), classes: str = "test") -> Settings:
        chosen = sections(dimse=self.dimse)
        chosen["destinations"][0]["class"] = classes
        chosen["destinations"].append(
            {"name": "web", "protocol": "stow_rs", "url": f"http://127.0.0.1:{self.web}/web", "class": classes, "breaker_seconds": 0.2}
        )
        chosen["routes"] = [{"name": "r", "policy": policy, "destinations": list(destinations)}]
        return parse_settings({**chosen, "results": {"late_after_hours": 0}})

    def made(self, policy: str, *, flagged: bool = True) -> str:
        """A study's result under that policy; one of its SOP Instance UIDs as received."""
        self.here.settings = self.settings(policy)
        self.here.analyzer.flagged = [flagged]
        uid = self.here.receive()
        self.here.work()
        return uid

    def queue_by_hand(self, uid: str) -> None:
        """Deliveries and jobs as the store would make them."""
        with self.database.transaction() as session:
            for result in session.scalars(select(ResultRow)):
                for name in ("dimse", "web"):
                    row = DeliveryRow(
                        id=new_id(), result_id=result.id, destination=name, state=DeliveryState.PENDING, created_at=result.created_at
                    )
                    session.add(row)
                    session.flush()
                    enqueue(session, JobKind.DELIVER_RESULT, row.id, result.study_instance_uid, actor="hand", lane=name)

    def mark_as_released(self) -> None:
        with self.database.transaction() as session:
            session.execute(update(ResultRow).values(release="sent"))

    def all_end_dead(self, uid: str, settings: Settings, code: str) -> None:
        """A whole sender runs, an operator retries what it gave up, and it runs again."""
        for _ in range(2):
            with sender(settings, self.here):
                assert until(lambda: {d.state for d in stories(self.database, uid)} == {"dead"}), stories(self.database, uid)
            assert {d.last_code for d in stories(self.database, uid)} == {code}
            for number, action in zip(self._dead(), [JobAction.RETRY, JobAction.RELEASE] * 6, strict=False):
                JobActs(self.database).act(number, action, SOMEONE)
        assert (self.shelf.arrived, self.posted) == ([], [])

    def _dead(self) -> list[int]:
        with self.database.reading() as session:
            return [*session.scalars(select(JobRow.id).where(JobRow.state == "dead", JobRow.kind == JobKind.DELIVER_RESULT))]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def site(bench: Callable[..., Bench], database: Database) -> Iterator[Site]:
    shelf, posted = Shelf(), list[bytes]()

    def keeps(visitor: Visitor) -> None:
        while True:
            posted.append(read_request(visitor).body)
            visitor.socket.sendall(answer(500))

    with RawScp(shelf) as dimse, RawScp(keeps) as web:
        yield Site(bench(), database, dimse.port, web.port, shelf, posted)


@pytest.mark.parametrize("policy", ["shadow", "silent"])
def test_result_of_a_shadow_route_is_not_sent_by_a_job_made_by_hand(site: Site, policy: str) -> None:
    uid = site.made(policy)
    site.queue_by_hand(uid)
    site.all_end_dead(uid, site.settings("all"), "not_released")


@pytest.mark.parametrize("policy", ["shadow", "silent"])
def test_result_of_a_shadow_route_is_not_sent_when_it_is_marked_as_released_and_the_policy_is_open_now(site: Site, policy: str) -> None:
    uid = site.made(policy)
    site.mark_as_released()
    site.queue_by_hand(uid)
    site.all_end_dead(uid, site.settings("all"), "policy_forbids")


def test_unflagged_result_of_a_positive_only_route_is_not_sent_when_it_is_marked_as_released(site: Site) -> None:
    uid = site.made("positive_only", flagged=False)
    site.mark_as_released()
    site.queue_by_hand(uid)
    site.all_end_dead(uid, site.settings("all"), "policy_forbids")


def test_result_of_a_shadow_route_is_not_sent_when_its_image_comes_again_under_an_open_policy(site: Site) -> None:
    uid = site.made("shadow")
    site.here.settings = site.settings("all")
    site.here.receive()
    site.here.work()
    site.here.receive(2)
    site.here.work()
    assert {result.release for result in site.here.story(uid).results} == {"withheld_shadow"}
    with sender(site.settings("all"), site.here):
        assert stories(site.database, uid) == []
    assert (site.shelf.arrived, site.posted) == ([], [])


@pytest.mark.parametrize("policy", ["shadow", "silent", "positive_only"])
def test_waiting_result_is_not_sent_once_its_route_is_stricter(site: Site, policy: str) -> None:
    uid = site.made("all")
    site.all_end_dead(uid, site.settings(policy), "policy_withdrawn")


def test_waiting_result_is_not_sent_once_its_route_has_other_destinations(site: Site) -> None:
    uid = site.made("all")
    site.all_end_dead(uid, site.settings("all", destinations=()), "destination_withdrawn")


@pytest.mark.parametrize("above", ["research", "clinical"])
def test_waiting_result_is_not_sent_once_its_destination_is_of_a_class_above_its_bundle(site: Site, above: str) -> None:
    uid = site.made("all")
    site.all_end_dead(uid, site.settings("all", classes=above), "destination_class")


def test_result_that_a_destination_has_lost_is_not_sent_again_once_its_route_is_shadow(site: Site, database: Database) -> None:
    uid = site.made("all")
    with database.transaction() as session:
        session.execute(update(JobRow).where(JobRow.kind == JobKind.DELIVER_RESULT).values(state="done"))
        session.execute(update(DeliveryRow).values(state=DeliveryState.SENT))
        for row in session.scalars(select(DeliveryRow)).all():
            study = session.scalars(select(ResultRow.study_instance_uid).where(ResultRow.id == row.result_id)).one()
            enqueue(session, JobKind.CONFIRM_DELIVERY, row.id, study, actor="hand", lane=row.destination)
    queue = JobQueue(database, lease_seconds=60, max_lease_expiries=3)
    while claims := queue.claim((JobKind.CONFIRM_DELIVERY,), "test:sender:1"):
        for claim in claims:
            Confirmations(database).send_again(claim, code="commitment_not_there", seconds=0)
    site.all_end_dead(uid, site.settings("shadow"), "policy_withdrawn")


def test_the_same_roads_lead_to_both_destinations_when_nothing_forbids_it(site: Site) -> None:
    """The tests above could not fail otherwise."""
    uid = site.made("all")
    with sender(site.settings("all"), site.here):
        assert site.shelf.holds(3)
        assert until(lambda: len(site.posted) >= 3)
    assert {d.last_code for d in stories(site.database, uid) if d.destination == "web"} == {"http_500"}
