"""Reconciliation against a real PACS: what it holds and we never got, what we sent and it does not show; and peers that answer too much."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from sqlalchemy import update
from structlog.testing import capture_logs
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.config import DeliverySettings, ReconcileSettings, parse_settings
from gateway.delivery.query_scu import QueryScu, until_in
from gateway.dicom.uids import STUDY_ROOT_FIND
from gateway.domain.operator import Operator
from gateway.domain.reconciliation import Period, Reconciled, SeenSeries, is_knee_series
from gateway.errors import DrainingError
from gateway.inference.phantoms import phantom_instance, phantom_parameters
from gateway.ops.nightly import NightlyReconciliation, is_due
from gateway.ops.reconcile import Reconciliation
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.queries import Queries
from gateway.store.reconciliations import EarlierRun, Reconciliations
from gateway.store.resending import Resending
from gateway.store.tables import ResultRow
from tests.integration.bench import Bench, patient
from tests.integration.sending import sections, sender, stories, until
from tests.integration.test_sender import destination
from tests.peers.orthanc import Orthanc

SETTINGS = DeliverySettings(connect_seconds=3, response_seconds=3)
TODAY = datetime.now(UTC).date()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    pacs = Orthanc(changes={"DicomAlwaysAllowFind": True, "OverwriteInstances": True})
    pacs.start()
    yield pacs
    pacs.stop()


def image(study: int, **changes: str) -> bytes:
    found = phantom_instance(patient(study), phantom_parameters(side="R", rows=300, columns=220), instance_number=1)
    for keyword, value in {"StudyDate": f"{TODAY:%Y%m%d}", **changes}.items():
        setattr(found, keyword, value)
    buffer = BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Site:
    """A gateway that has reported study 1, and a PACS that holds it, its results, and what a test puts there."""

    def __init__(self, bench: Callable[..., Bench], database: Database, pacs: Orthanc) -> None:
        for one in pacs.get("/instances"):
            delete(pacs, one)
        self.database, self.pacs = database, pacs
        self.here = bench(**sections(pacs=pacs.dicom_port), serve={"development": True})
        self.uid = self.here.receive(StudyDate=f"{TODAY:%Y%m%d}")
        self.here.work()
        with sender(self.here.settings, self.here):
            assert until(lambda: {story.state for story in stories(database, self.uid)} == {"sent"})
        pacs.upload(image(1))

    def reconcile(self, settings: Any = SETTINGS, **changes: Any) -> Reconciled:
        one = Reconciliation(
            destination="pacs",
            settings=self.here.settings,
            store=Reconciliations(self.database),
            alarms=Alarms(self.database, "test"),
            actor="test",
            now=lambda: datetime.now(UTC) + timedelta(minutes=5),
        )
        to = destination(self.pacs.dicom_port).model_copy(update=changes)
        return one.run(QueryScu(to, settings, until=until_in(60)), Period(first=TODAY, last=TODAY))

    def alarms(self) -> list[tuple[str, str]]:
        return [(alarm.code.value, alarm.subject) for alarm in Alarms(self.database, "test").standing()]

    def events(self, name: str) -> list[dict[str, object]]:
        return [entry.detail for entry in Queries(self.database).timeline(self.uid) if entry.event == name]


def delete(pacs: Orthanc, instance: str) -> None:
    url = f"http://127.0.0.1:{pacs.http_port}/instances/{instance}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()


@pytest.fixture
def site(bench: Callable[..., Bench], database: Database, orthanc: Orthanc) -> Site:
    return Site(bench, database, orthanc)


def test_pacs_that_holds_what_we_know_has_nothing_missing(site: Site) -> None:
    found = site.reconcile()
    assert (found.code, found.complete, found.not_received, found.not_found) == (None, True, (), ())
    assert (found.studies, found.knee_series, found.results) == (1, 1, 3)
    assert site.alarms() == []


def test_study_that_never_came_here_is_named_by_its_uids(site: Site) -> None:
    site.pacs.upload(image(2))
    site.pacs.upload(image(3, BodyPartExamined="CHEST"))
    site.pacs.upload(image(4, BodyPartExamined="", SeriesDescription="Knie a.p. links"))
    site.pacs.upload(image(5, StudyDate="20200101"))
    found = site.reconcile()
    held = site.pacs.instances()
    missing = {uid for series in found.not_received for uid in series.sop_instance_uids}
    assert {held[uid]["PatientID"] for uid in missing} == {"P2", "P4"}
    assert found.studies == 4
    assert found.not_found == ()
    assert not found.is_good


def test_second_image_of_a_series_that_is_known_is_missing_too(site: Site) -> None:
    site.pacs.upload(image(1, SOPInstanceUID="2.25.4711"))
    found = site.reconcile()
    assert [series.sop_instance_uids for series in found.not_received] == [("2.25.4711",)]


def test_image_that_never_came_is_named_also_where_as_many_of_its_series_came(site: Site) -> None:
    """The PACS has lost one that came here and has one that did not: counting them would show nothing."""
    (received,) = [one for one in site.pacs.instances().values() if one["Modality"] == "DX"]
    delete(site.pacs, received["orthanc"])
    site.pacs.upload(image(1, SOPInstanceUID="2.25.4712"))
    found = site.reconcile()
    assert [series.sop_instance_uids for series in found.not_received] == [("2.25.4712",)]


def test_result_that_is_missing_there_is_sent_again_at_a_persons_word(site: Site, tmp_path: Path) -> None:
    (sr,) = [one for one in site.pacs.instances().values() if one["Modality"] == "SR"]
    delete(site.pacs, sr["orthanc"])
    (missing,) = site.reconcile().not_found
    by = Operator(name="anna", reason="INC-1")
    assert Resending(site.database).send_again(missing.delivery_id, by)
    assert not Resending(site.database).send_again(missing.delivery_id, by)
    with sender(site.here.settings, site.here):
        assert until(lambda: {story.state for story in stories(site.database, site.uid)} == {"sent"})
    assert site.reconcile().not_found == ()
    assert site.alarms() == []
    assert [event["reason"] for event in site.events("delivery:released")] == ["INC-1"]


def test_result_that_was_taken_back_is_not_sent_again(site: Site) -> None:
    (sr,) = [one for one in site.pacs.instances().values() if one["Modality"] == "SR"]
    delete(site.pacs, sr["orthanc"])
    (missing,) = site.reconcile().not_found
    with site.database.transaction() as session:
        session.execute(update(ResultRow).where(ResultRow.sop_instance_uid == sr["SOPInstanceUID"]).values(retracted_at=datetime.now(UTC)))
    assert not Resending(site.database).send_again(missing.delivery_id, Operator(name="anna", reason="INC-1"))


def test_result_that_was_deleted_there_is_an_alarm_until_it_is_back(site: Site) -> None:
    (sr,) = [one for one in site.pacs.instances().values() if one["Modality"] == "SR"]
    content = site.pacs.file(sr["orthanc"])
    delete(site.pacs, sr["orthanc"])
    found = site.reconcile()
    assert [result.sop_instance_uid for result in found.not_found] == [sr["SOPInstanceUID"]]
    assert site.alarms() == [("results_missing", "pacs")]
    site.reconcile()
    told = site.events("reconcile:not_found")
    assert [event["sop_instance_uid"] for event in told] == [sr["SOPInstanceUID"]]
    site.pacs.upload(content)
    assert site.reconcile().not_found == ()
    assert site.alarms() == []


def test_missing_result_is_asked_about_again_whatever_the_period(site: Site) -> None:
    (sr,) = [one for one in site.pacs.instances().values() if one["Modality"] == "SR"]
    delete(site.pacs, sr["orthanc"])
    site.reconcile()
    long_after = Reconciliation(
        destination="pacs",
        settings=site.here.settings,
        store=Reconciliations(site.database),
        alarms=Alarms(site.database, "test"),
        actor="test",
    )
    day = TODAY + timedelta(days=30)
    found = long_after.run(QueryScu(destination(site.pacs.dicom_port), SETTINGS, until=until_in(60)), Period(first=day, last=day))
    assert [result.sop_instance_uid for result in found.not_found] == [sr["SOPInstanceUID"]]
    assert site.alarms() == [("results_missing", "pacs")]


def test_pacs_that_cannot_be_asked_is_a_recorded_failure_that_ends_no_alarm(site: Site) -> None:
    (sr,) = [one for one in site.pacs.instances().values() if one["Modality"] == "SR"]
    delete(site.pacs, sr["orthanc"])
    site.reconcile()
    found = site.reconcile(port=1)
    assert (found.code, found.complete) == ("no_association", False)
    assert [result.sop_instance_uid for result in found.not_found] == [sr["SOPInstanceUID"]]
    assert site.alarms() == [("results_missing", "pacs")]


def test_command_lists_the_same_and_its_exit_code_says_so(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
[database]
url = "sqlite:///{tmp_path / "store.db"}"
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {site.pacs.dicom_port}
class = "test"
"""
    )
    arguments = ["reconcile", "pacs", "--date", f"{TODAY:%Y-%m-%d}", "--config", str(config)]
    # the entry point turns the log to standard error
    with capture_logs():
        good = CliRunner().invoke(app, [*arguments, "--json"])
        assert good.exit_code == 0
        site.pacs.upload(image(2))
        bad = CliRunner().invoke(app, [*arguments, "--json"])
    assert bad.exit_code == 1
    (found,) = json.loads(bad.stdout)
    assert len(found["not_received"]) == 1
    assert "P2" not in bad.stdout
    words = CliRunner().invoke(app, arguments).stdout
    assert "1 image(s) not received" in words
    assert CliRunner().invoke(app, ["reconcile", "elsewhere", "--config", str(config)]).exit_code == 2
    assert CliRunner().invoke(app, [*arguments, "--send-missing"]).exit_code == 2


class Flood:
    """A PACS with more answers than anybody asked for."""

    def __init__(self, count: int, *, heeds: bool = True) -> None:
        self.sent, self.cancelled, self._count, self._heeds = 0, threading.Event(), count, heeds
        ae = AE(ae_title="PACS")
        ae.add_supported_context(STUDY_ROOT_FIND, ExplicitVRLittleEndian)
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)])
        self.port = self._server.server_address[1]

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(self._count):
            if event.is_cancelled:
                self.cancelled.set()
                if self._heeds:
                    yield 0xFE00, None
                    return
            match = Dataset()
            match.QueryRetrieveLevel, match.StudyInstanceUID, match.ModalitiesInStudy = "STUDY", f"1.2.{number + 1}", "DX"
            self.sent += 1
            yield 0xFF00, match

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def floods() -> Iterator[Callable[..., Flood]]:
    started: list[Flood] = []

    def start(count: int, *, heeds: bool = True) -> Flood:
        started.append(Flood(count, heeds=heeds))
        return started[-1]

    yield start
    for flood in started:
        flood.stop()


@pytest.mark.parametrize("heeds", [True, False])
def test_answers_past_the_limit_are_cancelled_and_said_to_be_at_least_so_many(floods: Callable[..., Flood], heeds: bool) -> None:
    flood = floods(3000, heeds=heeds)
    scu = QueryScu(destination(flood.port), SETTINGS, until=until_in(30))
    found = scu.studies(TODAY, "DX", most=10)
    assert (len(found.found), found.complete) == (10, False)
    assert flood.cancelled.wait(10)
    assert len(scu.studies(TODAY, "DX", most=5).found) == 5
    scu.close()
    if heeds:
        assert flood.sent < 3000


def test_exactly_as_many_as_the_limit_are_complete(floods: Callable[..., Flood]) -> None:
    scu = QueryScu(destination(floods(10).port), SETTINGS, until=until_in(30))
    found = scu.studies(TODAY, "DX", most=10)
    scu.close()
    assert (len(found.found), found.complete) == (10, True)


def test_stop_ends_a_comparison_without_a_record(site: Site) -> None:
    scu = QueryScu(destination(site.pacs.dicom_port), SETTINGS, until=until_in(30))
    scu.stop()
    one = Reconciliation(
        destination="pacs",
        settings=site.here.settings,
        store=Reconciliations(site.database),
        alarms=Alarms(site.database, "test"),
        actor="test",
    )
    night = NightlyReconciliation(reconciliation=one, new_scu=lambda: scu)
    assert one.run(scu, Period(first=TODAY, last=TODAY)).code == DrainingError.code
    night.stop()
    night.look()
    assert Reconciliations(site.database).latest("pacs") is None


NIGHT = ReconcileSettings(at="02:30")  # type: ignore[arg-type]


def at(hour: int, minute: int = 0, *, day: int = 2) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def ran(when: datetime, code: str | None = None) -> EarlierRun:
    return EarlierRun(began_at=when, code=code, not_received=frozenset(), not_found=())


@pytest.mark.parametrize(
    ("now", "latest", "due"),
    [
        (at(2, 29), None, False),
        (at(2, 30), None, True),
        (at(2, 31), ran(at(2, 30)), False),
        (at(2, 31), ran(at(2, 30, day=1)), True),
        (at(8, 29), None, True),
        (at(8, 31), None, False),
        (at(14), None, False),
        (at(2, 45), ran(at(2, 30), "no_association"), False),
        (at(3, 1), ran(at(2, 30), "no_association"), True),
        (at(3, 1), ran(at(2, 30), "context_refused"), False),
    ],
)
def test_night_comes_once_and_again_only_after_a_failure(now: datetime, latest: EarlierRun | None, due: bool) -> None:
    assert is_due(NIGHT, "UTC", now, latest) is due


def test_hour_is_that_of_the_modalities_clocks_and_can_be_turned_off() -> None:
    assert is_due(NIGHT, "Asia/Shanghai", datetime(2026, 11, 1, 18, 30, tzinfo=UTC), None)
    assert not is_due(ReconcileSettings(at=""), "UTC", at(2, 30), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("modality", "body_part", "description", "knee"),
    [
        ("DX", "KNEE", "", True),
        ("CR", "knee", "", True),
        ("DX", "BOTH KNEES", "", True),
        ("MR", "KNEE", "", False),
        ("DX", "CHEST", "knee", False),
        ("DX", "", "Knie a.p.", True),
        ("DX", "", "双膝正位", True),
        ("DX", "", "kneecap", False),
        ("DX", "", "", False),
        ("SR", "", "knee", False),
    ],
)
def test_knee_series_by_body_part_or_by_a_word_where_there_is_none(modality: str, body_part: str, description: str, knee: bool) -> None:
    series = SeenSeries(
        study_instance_uid="1.2",
        series_instance_uid="1.3",
        modality=modality,
        body_part=body_part,
        description=description,
    )
    assert is_knee_series(series, parse_settings({}).eligibility.knee_texts) is knee


def test_period_counts_both_its_days() -> None:
    assert Period(first=date(2026, 1, 30), last=date(2026, 2, 1)).days() == (date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1))
