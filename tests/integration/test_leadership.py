"""Of several processes exactly one leads; when it is killed, or loses its database, another one does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from gateway.domain.duty import Duty
from gateway.store.database import Database
from gateway.store.leadership import Leadership, leadership

LEADER = """
import sys
from gateway.domain.duty import Duty
from gateway.store.database import Database
from gateway.store.leadership import leadership
candidate = leadership(Database(sys.argv[1]), Duty.STORE)
print(candidate.leads(), flush=True)
sys.stdin.read()
"""


@contextmanager
def process(url: str) -> Iterator[tuple[subprocess.Popen[str], bool]]:
    """A process that stands as a candidate once, and whether it leads."""
    started = subprocess.Popen([sys.executable, "-c", LEADER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    try:
        yield started, started.stdout.readline().strip() == "True"
    finally:
        started.kill()
        started.communicate(timeout=30)


def takes_over(candidate: Leadership, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not candidate.leads():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_one_process_leads_and_another_takes_over_when_it_is_killed(database: Database, database_url: str) -> None:
    with process(database_url) as (first, first_leads), process(database_url) as (_, second_leads):
        ours = leadership(database, Duty.STORE)
        assert (first_leads, second_leads, ours.leads()) == (True, False, False)
        first.kill()
        first.wait(30)
        assert takes_over(ours)
        ours.resign()


def test_duties_have_leaders_of_their_own(database: Database, database_url: str) -> None:
    other = Database(database_url)
    candidates = [leadership(database, Duty.STORE), leadership(other, Duty.DESTINATIONS), leadership(other, Duty.STORE)]
    assert [candidate.leads() for candidate in candidates] == [True, True, False]
    for candidate in candidates:
        candidate.resign()
    other.close()


def test_who_has_resigned_does_not_lead_again(database: Database) -> None:
    candidate = leadership(database, Duty.STORE)
    assert candidate.leads()
    candidate.resign()
    assert not candidate.leads()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_loses_its_connection_leads_no_more(database: Database, database_url: str) -> None:
    other = Database(database_url)
    first, second = leadership(database, Duty.STORE), leadership(other, Duty.STORE)
    assert (first.leads(), second.leads()) == (True, False)
    with other.reading() as session:
        session.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"))
    assert takes_over(second)
    assert not first.leads()
    second.resign()
    assert takes_over(first)
    first.resign()
    other.close()
