"""Phantoms of `check` in the store: counted as nobody's, rejected whatever became of the check that sent them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from gateway.domain.delivery import DeliveryState
from gateway.ops.phantoms import LeftPhantoms
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.phantom_studies import PhantomStudies
from gateway.store.queries import Queries
from gateway.store.tables import PhantomStudyRow
from tests.integration.bench import Bench
from tests.integration.sending import Shelf, sections, sender, until
from tests.peers.raw_scp import RawScp

STUDY = "2.25.99"


def is_rejected(database: Database) -> bool:
    with database.reading() as session:
        return session.scalar(select(PhantomStudyRow.rejected_at)) is not None


def look(database: Database, *, after: timedelta = timedelta(hours=1)) -> None:
    LeftPhantoms(phantoms=PhantomStudies(database), actor="test", now=lambda: datetime.now(UTC) + after).look()


def kinds(database: Database) -> dict[str, set[str]]:
    """States of deliveries by kind of result."""
    results = Queries(database).explain(STUDY).results
    return {result.kind: {delivery.state for delivery in result.deliveries} for result in results}


def test_phantom_is_counted_as_nobodys_and_the_ledgers_close(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    PhantomStudies(database).announce(STUDY, actor="test")
    here.receive(1, study=1)
    here.receive(1, study=2, StudyInstanceUID=STUDY)
    here.work()
    status = Queries(database).status()
    counts = {ledger.name: ledger.counts for ledger in status.ledgers}
    assert (counts["instances"], counts["knees"]) == ({"assessed": 1, "phantom": 1}, {"flagged": 1, "phantom": 1})
    assert all(ledger.closed for ledger in status.ledgers)
    assert status.results == {"phantom sent": 3, "sr sent": 1, "sc_overlay_1 sent": 1, "sc_report_page sent": 1}
    assert dict(read_figures(database).instances) == {("assessed",): 1, ("phantom",): 1}


def test_phantom_that_a_check_left_behind_is_rejected_where_it_arrived(bench: Callable[..., Bench], database: Database) -> None:
    shelf = Shelf()
    with RawScp(shelf) as pacs:
        here = bench(**sections(pacs=pacs.port))
        PhantomStudies(database).announce(STUDY, actor="test")
        here.receive(1, StudyInstanceUID=STUDY)
        here.work()
        with sender(here.settings, here):
            assert until(lambda: all(states == {"sent"} for states in kinds(database).values()))
        look(database, after=timedelta(minutes=1))
        assert not is_rejected(database)
        look(database)
        assert is_rejected(database)
        here.work()
        with sender(here.settings, here):
            assert until(lambda: kinds(database).get("rejection") == {"sent"})
        look(database)
    assert len(shelf.arrived) == 4
    assert len(set(shelf.arrived)) == 4


def test_phantom_whose_results_are_still_pending_never_leaves(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    PhantomStudies(database).announce(STUDY, actor="test")
    here.receive(1, StudyInstanceUID=STUDY)
    here.work()
    look(database)
    here.work()
    assert kinds(database) == {kind: {DeliveryState.CANCELLED} for kind in ("sr", "sc_report_page", "sc_overlay_1")}


def test_phantom_that_is_not_reported_yet_stays_open_until_it_is(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    PhantomStudies(database).announce(STUDY, actor="test")
    here.receive(1, StudyInstanceUID=STUDY)
    look(database)
    assert not is_rejected(database)
    here.work()
    look(database)
    assert is_rejected(database)
    assert set().union(*kinds(database).values()) == {DeliveryState.CANCELLED}


def test_phantom_that_never_came_is_done_with(database: Database) -> None:
    PhantomStudies(database).announce(STUDY, actor="test")
    look(database)
    assert is_rejected(database)
