"""One current report of a study: whatever comes at the same moment, in whatever order, by whichever road and under whichever policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, parse_settings
from gateway.domain.delivery import Verdict
from gateway.domain.job import JobKind
from gateway.domain.story import ResultStory
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_queue import JobQueue
from gateway.store.result_sets import ResultSets
from gateway.store.results import Results
from gateway.workers.deliver_result import DeliverResult
from tests.integration.bench import Bench


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def reports(here: Bench, key: str) -> list[ResultStory]:
    return sorted((result for result in here.story(key).results if result.kind == "sr"), key=lambda report: report.revision)


def newest_text(here: Bench, key: str) -> str:
    return here.sr_text(reports(here, key)[-1].sop_instance_uid)


def test_two_workers_that_report_one_study_at_once_make_one_chain(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    here = bench()
    uid = here.receive(1)
    commit, raced = ResultSets.commit, []

    def commit_after_the_other(self: ResultSets, *arguments: Any) -> bool:
        if not raced:
            raced.append(True)
            here.receive(2)
            here.work()
        return commit(self, *arguments)

    monkeypatch.setattr(ResultSets, "commit", commit_after_the_other)
    here.work()
    here.work()
    assert [(report.revision, report.release) for report in reports(here, uid)] == [(1, "sent")]
    assert {"Right", "Left"} <= set(newest_text(here, uid).replace(":", " ").replace(",", " ").split())
    assert len(list(here.spool.path("result").rglob("*.dcm"))) == len(here.story(uid).results)


def test_positive_only_says_nothing_new_when_an_unflagged_sibling_comes(bench: Callable[..., Bench]) -> None:
    here = bench("positive_only")
    here.analyzer.flagged = [True, False]
    uid = here.receive(1)
    here.work()
    here.receive(2)
    here.work()
    assert [(report.revision, report.release) for report in reports(here, uid)] == [(1, "sent")]


def test_positive_only_has_the_same_result_in_either_order(bench: Callable[..., Bench]) -> None:
    here = bench("positive_only")
    here.analyzer.flagged = [False, True]
    here.receive(2)
    here.work()
    uid = here.receive(1)
    here.work()
    sent = [report for report in reports(here, uid) if report.release == "sent"]
    assert len(sent) == 1
    text = here.sr_text(sent[0].sop_instance_uid)
    assert "Left" not in text


def test_refused_sibling_is_named_whether_it_comes_before_or_after(bench: Callable[..., Bench]) -> None:
    texts = []
    for study, order in enumerate((("knee", "lateral"), ("lateral", "knee")), 1):
        here = bench()
        for name in order:
            uid = here.receive(1, study=study) if name == "knee" else here.receive(3, study=study, ViewPosition="LL", ViewCodeSequence=None)
            here.work()
        texts.append("1 further image" in newest_text(here, uid) or "Not assessed" in newest_text(here, uid))
    assert texts == [True, True]


def test_second_reason_of_a_study_without_an_assessed_knee_is_told(bench: Callable[..., Bench]) -> None:
    here = bench(results={"report_not_assessed": True})
    here.decoder.measures = {"blank": 1e9}
    uid = here.receive(1)
    here.work()
    here.decoder.measures = {"polarity_suspect": 1e9}
    here.receive(3)
    here.work()
    assert [report.revision for report in reports(here, uid)] == [1, 2]
    assert "quality_polarity_suspect" in newest_text(here, uid)


def test_refused_image_that_came_by_two_roads_is_one_image(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    for accession in ("A", "B"):
        here.receive(3, ViewPosition="LL", ViewCodeSequence=None, StudyID=accession)
    here.work()
    assert "2 further image" not in newest_text(here, uid)


@pytest.mark.parametrize(
    "road",
    [{"IssuerOfPatientID": "H"}, {"ImageLaterality": "", "Laterality": "", "PatientOrientation": None}],
    ids=["issuer_added", "side_dropped"],
)
def test_road_that_adds_or_drops_a_header_value_changes_nothing(bench: Callable[..., Bench], road: dict[str, object]) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(1, **road)
    here.work()
    assert sorted(instance.outcome or "" for instance in here.story(uid).instances) == ["assessed", "variant"]
    here.receive(2)
    here.work()
    assert [(report.revision, report.release) for report in reports(here, uid)] == [(1, "sent"), (2, "sent")]


def test_issuer_that_one_image_names_is_the_reports(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive(1)
    uid = here.receive(2, IssuerOfPatientID="H")
    here.work()
    assert [report.revision for report in reports(here, uid)] == [1]


def test_two_issuers_are_two_patients(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive(1, IssuerOfPatientID="G")
    uid = here.receive(2, IssuerOfPatientID="H")
    here.work()
    assert here.story(uid).study_jobs[-1].last_code == "conflict_patient"


def test_two_birth_dates_under_one_patient_id_give_no_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.receive(2, PatientName="C^D", PatientBirthDate="19400101")
    here.work()
    assert here.story(uid).results == ()
    assert here.story(uid).study_jobs[-1].last_code == "conflict_patient"


def test_text_in_a_number_attribute_never_comes_into_pixels(bench: Callable[..., Bench]) -> None:
    from gateway.results.plan import plan_of
    from tests.conformance.cases import case, knee, report
    from tests.conformance.sources import dx_header

    header = dx_header()
    for element, value in (("InstanceNumber", "ANNA LEE"), ("SeriesNumber", "LEE^ANNA")):
        header[element] = header.data_element(element) or header[element]
        header[element]._value = value
    one = case("text", [header], report(knee(str(header.SOPInstanceUID), score=80)))
    plan = plan_of(one.report, one.sources, one.settings)
    assert "ANNA" not in f"{plan.images[0].title} {plan.summary}"


def test_image_seen_in_shadow_is_not_shown_after_the_route_is_opened(bench: Callable[..., Bench]) -> None:
    here = bench("shadow")
    here.receive(1)
    here.work()
    here.settings = bench("all").settings
    uid = here.receive(2)
    here.work()
    assert {report.release for report in reports(here, uid)} == {"withheld_shadow"}


def test_refused_image_of_a_shadow_route_keeps_the_study_in_shadow(bench: Callable[..., Bench]) -> None:
    here = bench("all")
    routes = [
        {"name": "lateral", "policy": "shadow", "when": {"keyword": "ViewPosition", "equals": "LL"}},
        {"name": "r", "policy": "all", "destinations": ["pacs"]},
    ]
    here.settings = parse_settings({**_sections(here.settings), "routes": routes})
    here.receive(3, ViewPosition="LL", ViewCodeSequence=None)
    uid = here.receive(1)
    here.work()
    assert {report.release for report in reports(here, uid)} == {"withheld_shadow"}


def _sections(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", by_alias=True, exclude={"routes", "database"})


@pytest.mark.parametrize(
    ("attributes", "release"),
    [
        ({"StudyDate": "20260101", "StudyTime": ""}, "sent"),
        ({"StudyDate": "20260101", "StudyTime": "2359"}, "sent"),
        ({"StudyDate": "20260101", "StudyTime": "0100"}, "withheld_late"),
        ({"StudyDate": "20260101", "StudyTime": "010000.5"}, "withheld_late"),
        ({"StudyDate": "20260101", "StudyTime": "010000", "TimezoneOffsetFromUTC": "-1200"}, "sent"),
        ({"StudyDate": "", "StudyTime": "010000"}, "sent"),
    ],
    ids=["no_time", "late_in_the_day", "early", "fraction", "own_offset", "no_date"],
)
def test_late_is_counted_from_the_latest_moment_that_the_header_can_mean(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str], release: str
) -> None:
    from datetime import UTC, datetime, tzinfo

    from gateway.workers import study_release

    class LateEvening(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 1, 1, 23, 30, tzinfo=tz or UTC)

    monkeypatch.setattr(study_release, "datetime", LateEvening)
    here = bench(results={"late_after_hours": 20})
    uid = here.receive(1, PatientBirthDate="19500101", PatientAge="075Y", **attributes)
    here.work()
    assert {report.release for report in reports(here, uid)} == {release}


class NoNetwork:
    """A sender that must not be asked."""

    def send(self, *_: object, **_keywords: object) -> None:
        raise AssertionError("something was sent")


@pytest.mark.parametrize("policy", ["shadow", "silent", "positive_only"])
def test_delivery_that_waits_is_not_sent_once_its_route_is_stricter(bench: Callable[..., Bench], database: Database, policy: str) -> None:
    here = bench("all")
    here.analyzer.flagged = [False]
    uid = here.receive(1)
    here.work()
    deliver = DeliverResult(
        deliveries=Deliveries(database),
        spool=here.spool,
        scu=NoNetwork(),  # type: ignore[arg-type]
        settings=bench(policy).settings,
    )
    (claim, *_) = JobQueue(database, lease_seconds=60, max_lease_expiries=3).claim((JobKind.DELIVER_RESULT,), "test:sender:1")
    deliver.run(claim)
    codes = {delivery.last_code for result in here.story(uid).results for delivery in result.deliveries}
    assert "policy_withdrawn" in codes


def test_delivery_asks_every_route_that_brought_an_image(bench: Callable[..., Bench], database: Database) -> None:
    here = bench("all")
    open_routes = [
        {"name": "right", "policy": "all", "destinations": ["pacs"], "when": {"keyword": "ImageLaterality", "equals": "R"}},
        {"name": "left", "policy": "all", "destinations": ["pacs"]},
    ]
    base = _sections(here.settings)
    here.settings = parse_settings({**base, "routes": open_routes})
    here.receive(1)
    uid = here.receive(2)
    here.work()
    for closed in range(2):
        routes = [{**route, "policy": "shadow"} if number == closed else route for number, route in enumerate(open_routes)]
        deliver = DeliverResult(
            deliveries=Deliveries(database),
            spool=here.spool,
            scu=NoNetwork(),  # type: ignore[arg-type]
            settings=parse_settings({**base, "routes": routes}),
        )
        (claim, *_) = JobQueue(database, lease_seconds=60, max_lease_expiries=3).claim((JobKind.DELIVER_RESULT,), "test:sender:1")
        attempt = deliver._attempt(claim, Deliveries(database).get(claim.subject))
        assert (attempt.verdict, attempt.code) == (Verdict.DEAD, "policy_withdrawn")
    assert reports(here, uid)[-1].release == "sent"


def test_tracking_of_a_knee_is_the_same_in_every_revision(bench: Callable[..., Bench], tmp_path: Path) -> None:
    from pydicom import Dataset, dcmread

    def tracking(item: Dataset) -> list[str]:
        own = [str(item.UID)] if item.get("ValueType") == "UIDREF" and item.ConceptNameCodeSequence[0].CodeValue == "112040" else []
        return own + [uid for child in item.get("ContentSequence", ()) for uid in tracking(child)]

    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(2)
    here.work()
    files = [r.file for r in Results(here.database).of_study(here.study(uid)) if r.kind == "sr"]
    first, second = (tracking(dcmread(here.spool.path(file))) for file in files)
    assert len(first) == 1
    assert len(set(second)) == 2
    assert set(first) < set(second)
