"""Headers of any hospital in each kind of database: PostgreSQL limits what an index may hold, SQLite does not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.results import Results
from gateway.store.spool import Spool
from tests.headers.hospital import ORDINARY, header_of
from tests.headers.road import bench_for, journeys, receive
from tests.headers.rows import each_value_once
from tests.integration.test_store import record_test_bundle

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
ROW = {**ORDINARY, "result": "flagged", "report class": "comprehensive", "language": "en", "severity": "off"}
ENDLESS = "".join(random.Random(1).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=30_000)).encode()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_value_of_the_table_is_stored_and_reported(database: Database, tmp_path: Path) -> None:
    for journey in journeys(each_value_once(), tmp_path, database):
        assert journey.outcome
        assert "sr" in journey.files


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "Manufacturer"])
def test_value_of_any_length_is_stored_and_reported(database: Database, spool: Spool, keyword: str) -> None:
    record_test_bundle(database)
    bench = bench_for(ROW, database, spool)
    header = header_of(ROW, study="2.25.3001")
    header.values[keyword] = ENDLESS
    receive(bench, header)
    bench.work(rounds=4)
    assert [instance.outcome for instance in Instances(database).of_study("2.25.3001")] == ["assessed"]
    assert {result.kind for result in Results(database).of_study("2.25.3001")} == {"sr", "sc_report_page", "sc_overlay_1"}
