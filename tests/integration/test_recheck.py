"""What was stored, made again: result files from what they were made of, assessments from the images in the spool."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.config import parse_settings
from gateway.domain.outcome import KneeDecision
from gateway.results.inputs import ReportInputs
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.queries import Queries
from gateway.store.rejections import Rejections
from gateway.store.results import Results
from gateway.workers.rebuild_results import Comparison, RebuildResults, RebuiltResult
from gateway.workers.recompute_assessments import RecomputeAssessments, RecomputedInstance
from tests.integration.bench import Bench


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def rebuilt(here: Bench) -> list[RebuiltResult]:
    again = RebuildResults(
        instances=Instances(here.database),
        spool=here.spool,
        decoder=here.decoder,  # type: ignore[arg-type]
        audit=AuditLog(here.database, "test"),
        rejections=Rejections(here.database),
    )
    return [answer for kept in Results(here.database).kept_reports(None) for answer in again.run(kept)]


def recomputed(here: Bench) -> list[RecomputedInstance | None]:
    instances = Instances(here.database)
    analyze = replace(here.analyze, keep_map=lambda _content: "")
    again = RecomputeAssessments(instances=instances, audit=AuditLog(here.database, "test"), analyze=analyze)
    return [again.run(instances.get(one)) for one in instances.looked_at(None)]


def events(database: Database, name: str) -> Sequence[str]:
    with database.reading() as session:
        return session.scalars(text("SELECT event FROM audit_event WHERE event = :name"), {"name": name}).all()


def with_siblings(here: Bench) -> Bench:
    """Right, then left, then an image that is refused: three revisions at most, each with other inputs."""
    here.receive(1)
    here.work()
    here.receive(2)
    here.work()
    here.decoder.measures = {"blank": 1e9}
    here.receive(3, SOPInstanceUID="1.2.3.9")
    here.work()
    return here


def test_every_revision_made_again_has_the_same_bytes(bench: Callable[..., Bench]) -> None:
    answers = rebuilt(with_siblings(bench()))
    assert {answer.revision for answer in answers} == {1, 2, 3}
    assert {answer.comparison for answer in answers} == {Comparison.EQUAL}
    assert all(hashlib.sha256(answer.content).hexdigest() == answer.sha256 for answer in answers)


@pytest.mark.parametrize("policy", ["shadow", "positive_only", "all"])
@pytest.mark.parametrize("results", [{}, {"language": "zh", "sr_class": "enhanced", "colormap": "jet"}])
def test_results_made_again_do_not_depend_on_the_settings_of_today(
    bench: Callable[..., Bench], policy: str, results: dict[str, str]
) -> None:
    here = with_siblings(bench(policy, results=results))
    here.settings = parse_settings({"results": {"language": "en", "timezone": "Asia/Shanghai", "sr_series_number": 7}})
    assert {answer.comparison for answer in rebuilt(here)} == {Comparison.EQUAL}


def test_result_of_which_nothing_was_assessed_is_made_again(bench: Callable[..., Bench]) -> None:
    here = bench(results={"report_not_assessed": True})
    here.decoder.measures = {"blank": 1e9}
    here.receive()
    here.work()
    assert {answer.comparison for answer in rebuilt(here)} == {Comparison.EQUAL}


def test_kept_inputs_that_were_changed_are_found_and_an_alarm(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive()
    here.work()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE report SET inputs = replace(inputs, '73.1', '12.5')")
    answers = rebuilt(here)
    assert {answer.kind for answer in answers if answer.comparison is Comparison.DIFFERS} >= {"sr", "sc_report_page"}
    assert events(database, "result:differs")


def test_another_release_may_build_other_files_and_that_is_no_alarm(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive()
    here.work()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE report SET inputs = replace(replace(inputs, '73.1', '12.5'), '"0.1.0"', '"0.0.9"')""")
    assert Comparison.OTHER_RELEASE in {answer.comparison for answer in rebuilt(here)}
    assert not events(database, "result:differs")


def test_image_that_is_gone_or_inputs_that_were_never_kept_are_told_apart(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    path = here.spool.path(Instances(database).get(here.story(uid).instances[0].instance_id).file)
    path.unlink()
    assert {answer.comparison for answer in rebuilt(here)} == {Comparison.NO_SOURCE}
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM report")
    assert {answer.comparison for answer in rebuilt(here)} == {Comparison.NO_INPUTS}


def test_stored_file_that_was_overwritten_is_found(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    report = next(r for r in Results(database).of_study(here.study(uid)) if r.kind == "sr")
    here.spool.path(report.file).write_bytes(b"damaged")
    assert {answer.kind for answer in rebuilt(here) if answer.comparison is Comparison.DAMAGED} == {"sr"}
    assert len(events(database, "result:differs")) == 1


def test_inputs_of_another_shape_do_not_end_the_run(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    here.receive(1, study=1)
    here.receive(1, study=2)
    here.work()
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE report SET inputs = replace(inputs, 'uid_parts', 'parts') WHERE rowid = (SELECT min(rowid) FROM report)"
        )
    assert {answer.comparison for answer in rebuilt(here)} == {Comparison.OTHER_RELEASE, Comparison.EQUAL}


def test_inputs_come_back_equal_to_the_last_bit(bench: Callable[..., Bench], database: Database) -> None:
    here = with_siblings(bench())
    for kept in Results(database).kept_reports([here.study("1.2.3.9")]):
        assert kept.inputs is not None
        inputs = ReportInputs.restored(kept.inputs)
        assert inputs.stored() == kept.inputs
        assert inputs.report.knees[0].logit == 1.0
        assert inputs.report.started_at.utcoffset() is not None


def test_images_judged_again_have_the_same_decisions_and_what_differs_is_an_alarm(bench: Callable[..., Bench], database: Database) -> None:
    here = with_siblings(bench())
    here.decoder.measures = {}
    maps = len(list(here.spool.path("saliency").rglob("*.npy")))
    answers = recomputed(here)
    # the third was refused as blank, and is not blank this time
    assert [answer.differences for answer in answers if answer] == [(), (), ("outcome", "decision")]
    assert [answer.largest_score_difference for answer in answers if answer] == [0.0, 0.0, None]
    assert len(list(here.spool.path("saliency").rglob("*.npy"))) == maps
    assert len(events(database, "assessment:differs")) == 1


def test_other_decision_of_the_network_is_an_alarm(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    here.analyzer.flagged = [False]
    (answer,) = recomputed(here)
    assert answer is not None
    assert answer.differences == ("decision",)
    assert events(database, "assessment:differs")
    assert here.story(uid).instances[0].knees[0].decision == KneeDecision.FLAGGED


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"knees": 2}, ("knees",)),
        ({"digests": ["f" * 64]}, ("preprocessed_digest",)),
        ({"measures": {"blank": 1e9}}, ("outcome", "decision")),
    ],
)
def test_other_knees_pixels_or_quality_are_found(bench: Callable[..., Bench], change: dict[str, object], found: tuple[str, ...]) -> None:
    here = bench()
    here.receive()
    here.work()
    for name, value in change.items():
        setattr(here.decoder, name, value)
    (answer,) = recomputed(here)
    assert answer is not None
    assert answer.differences == found


def test_damaged_image_is_an_alarm_by_its_code(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    path = here.spool.path(Instances(database).get(here.story(uid).instances[0].instance_id).file)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    (answer,) = recomputed(here)
    assert answer is not None
    assert answer.differences == ("corrupt",)


def test_image_assessed_under_other_settings_is_left_out(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive()
    here.work()
    here.settings = parse_settings({"eligibility": {"min_age_years": 40}})
    assert recomputed(here) == [None]


def test_studies_of_a_key_are_its_own(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid, other = here.receive(1, study=1), here.receive(1, study=2)
    assert Queries(database).studies(uid) == (here.study(uid),)
    assert Queries(database).studies("ACC2") == (here.study(other),)
