"""Analysis and report jobs over a real store and spool; the network and the decoder are doubles with known answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.dicom.part10 import split_file
from gateway.domain.answered import AdmittedBy, OpenedAssociation
from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.domain.story import Explanation
from gateway.errors import DecodeError, DecodeTimeoutError, EngineFailedError, ImplausibleOutputError, SpoolError
from gateway.receive.storage_scp import StorageScp, StoreRequest
from gateway.store.conflicts import Conflicts
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.inventory import Inventory
from gateway.store.queries import Queries
from gateway.store.receipts import Receipts
from gateway.store.results import Results
from gateway.store.spool import Spool
from tests.integration.bench import Bench, DecoderDouble


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def kinds(story: Explanation) -> list[tuple[str, int, str]]:
    return sorted((r.kind, r.revision, r.release) for r in story.results)


def test_knee_becomes_one_report_and_its_pages(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    story = here.story(uid)
    assert kinds(story) == [("sc_overlay_1", 1, "sent"), ("sc_report_page", 1, "sent"), ("sr", 1, "sent")]
    assert {d.state for r in story.results for d in r.deliveries} == {"pending"}


def test_right_and_left_in_any_order_end_in_one_report_that_names_both(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive(2)
    uid = here.receive(1)
    here.work()
    assert [kind for kind, _, _ in kinds(here.story(uid))].count("sr") == 1
    assert "Right" in here.report_texts(uid)
    assert "Left" in here.report_texts(uid)


def test_rebuilding_from_the_store_gives_the_same_bytes(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    study = here.story(uid).instances[0].study_instance_uid
    before = {r.sop_instance_uid: r.sha256 for r in Results(database).of_study(study)}
    with database.engine.begin() as connection:
        for statement in (
            "DELETE FROM delivery",
            "DELETE FROM result",
            "DELETE FROM report",
            "UPDATE job SET state = 'queued' WHERE kind = 'report_study'",
        ):
            connection.exec_driver_sql(statement)
    here.work()
    assert {r.sop_instance_uid: r.sha256 for r in Results(database).of_study(study)} == before


def test_report_job_that_runs_again_builds_nothing_new(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    before = kinds(here.story(uid))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE job SET state = 'queued' WHERE kind = 'report_study'")
    here.work()
    assert kinds(here.story(uid)) == before
    assert here.story(uid).study_jobs[-1].last_code == "exists"


def test_same_pixels_under_another_uid_of_the_study_give_no_second_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(1, SOPInstanceUID="1.2.3.4.5")
    here.work()
    assert [revision for kind, revision, _ in kinds(here.story(uid)) if kind == "sr"] == [1]


def test_positive_only_names_the_flagged_knee_and_says_nothing_of_the_other(bench: Callable[..., Bench]) -> None:
    here = bench("positive_only")
    here.analyzer.flagged = [True, False]
    uid = here.receive(1)
    here.receive(2)
    here.work()
    text = here.report_texts(uid)
    assert "Right" in text
    assert "Left" not in text
    assert "Not flagged" not in text


@pytest.mark.parametrize(
    ("policy", "flagged", "release"),
    [
        ("shadow", True, "withheld_shadow"),
        ("silent", True, "withheld_silent"),
        ("positive_only", False, "withheld_not_flagged"),
        ("all", False, "sent"),
    ],
)
def test_policy_decides_what_is_released(bench: Callable[..., Bench], policy: str, flagged: bool, release: str) -> None:
    here = bench(policy)
    here.analyzer.flagged = [flagged]
    uid = here.receive()
    here.work()
    story = here.story(uid)
    assert {result.release for result in story.results} == {release}
    assert bool([d for r in story.results for d in r.deliveries]) == (release == "sent")


def test_old_study_is_withheld_as_late(bench: Callable[..., Bench]) -> None:
    here = bench(results={"late_after_hours": 24})
    uid = here.receive(StudyDate="20240101", PatientBirthDate="19500101")
    here.work()
    assert {result.release for result in here.story(uid).results} == {"withheld_late"}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"measures": {"blank": 1e9}}, "quality_blank"),
        ({"measures": {"polarity_suspect": 1e9}}, "quality_polarity_suspect"),
        ({"measures": {"polarity_suspect": float("nan")}}, "quality_polarity_suspect"),
        ({"knee_measures": ({"not_a_knee": 1e9},)}, "ineligible_not_a_knee"),
        ({"knee_measures": ({"metal": 1e9},)}, "excluded_metal"),
        ({"knees": 2, "knee_measures": ({"metal": 1e9}, {"underexposed": 1e9})}, "excluded_metal"),
    ],
)
def test_image_that_does_not_qualify_gets_its_code_and_no_result(
    bench: Callable[..., Bench], changes: dict[str, Any], outcome: str
) -> None:
    here = bench()
    here.decoder = DecoderDouble(**changes)
    uid = here.receive()
    here.work()
    assert here.outcome(uid) == outcome
    assert here.story(uid).results == ()


def test_not_assessed_knee_is_reported_when_the_policy_asks_and_a_chest_is_not(bench: Callable[..., Bench]) -> None:
    here = bench(results={"report_not_assessed": True})
    lateral = here.receive(1, study=1, ViewCodeSequence=[], ViewPosition="LL")
    chest = here.receive(1, study=2, AnatomicRegionSequence=[], BodyPartExamined="CHEST")
    here.work()
    assert [kind for kind, _, _ in kinds(here.story(lateral))] == ["sc_report_page", "sr"]
    assert "NOT PROCESSED" in here.report_texts(lateral).upper()
    assert here.story(chest).results == ()


def test_damaged_image_is_dead_with_its_code_and_its_neighbour_is_assessed(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.error = DecodeError("broken")
    poison = here.receive(1, study=1)
    here.work()
    here.decoder.error = None
    good = here.receive(1, study=2)
    here.work()
    assert (here.outcome(poison), here.outcome(good)) == ("failed_decode", "assessed")
    assert here.story(poison).instances[0].jobs[0].state == "dead"


@pytest.mark.parametrize(
    ("error", "outcome", "attempts"),
    [(DecodeTimeoutError(), "failed_timeout", 3), (KeyError("CANARY"), "failed_internal", 3), (RecursionError(), "failed_internal", 3)],
)
def test_passing_trouble_is_tried_again_and_ends_with_its_code(
    bench: Callable[..., Bench], error: Exception, outcome: str, attempts: int
) -> None:
    here = bench()
    here.decoder.error = error
    uid = here.receive()
    here.work()
    (job,) = here.story(uid).instances[0].jobs
    assert (here.outcome(uid), job.state, job.attempts) == (outcome, "dead", attempts)


def test_output_that_is_not_a_number_gives_no_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.analyzer.error = ImplausibleOutputError("not finite")
    uid = here.receive()
    here.work()
    assert here.outcome(uid) == "failed_implausible"
    assert here.story(uid).results == ()
    assert "output:implausible" in [entry.event for entry in Queries(here.database).timeline(uid)]


@pytest.mark.parametrize(("damage", "outcome"), [("remove", "lost"), ("flip", "corrupt")])
def test_file_that_changed_in_the_spool_gives_no_result(bench: Callable[..., Bench], spool: Spool, damage: str, outcome: str) -> None:
    here = bench()
    uid = here.receive()
    (path,) = spool.path("instance").rglob("*.dcm")
    if damage == "remove":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    here.work()
    assert here.outcome(uid) == outcome
    assert here.story(uid).results == ()


def test_lost_instance_that_was_assessed_and_comes_again_keeps_its_assessment(bench: Callable[..., Bench], spool: Spool) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    before = kinds(here.story(uid))
    (path,) = spool.path("instance").rglob("*.dcm")
    path.unlink()
    instance = Instances(here.database).get(here.story(uid).instances[0].instance_id)
    assert Inventory(here.database, "test").mark_lost(instance.instance_id, instance.file)
    here.receive()
    here.work()
    assert here.outcome(uid) == "assessed"
    assert kinds(here.story(uid)) == before


def test_same_pixels_with_two_sides_give_no_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.receive(1, SOPInstanceUID="1.2.3.4.5", ImageLaterality="L")
    here.work()
    assert here.story(uid).results == ()
    assert here.story(uid).study_jobs[-1].last_code == "conflict_laterality"


@pytest.mark.parametrize("changes", [{"ImageLaterality": "L"}, {"PatientID": ""}, {"StudyInstanceUID": "1.2.3.4"}])
def test_same_uid_with_another_side_or_study_or_without_its_patient_is_a_conflict(
    bench: Callable[..., Bench], changes: dict[str, str]
) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(1, **changes)
    here.work()
    assert sorted(str(instance.outcome) for instance in here.story(uid).instances) == ["assessed", "conflict"]


def test_study_with_an_open_conflict_gets_no_further_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(1, ImageLaterality="L")
    here.receive(2)
    here.work()
    assert [revision for kind, revision, _ in kinds(here.story(uid)) if kind == "sr"] == [1]
    assert here.story(str(here.story(uid).instances[0].study_instance_uid)).study_jobs[-1].last_code == "conflict_open"


def test_report_that_was_held_for_an_open_conflict_goes_on_once_a_person_has_decided(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    here.receive(1, ImageLaterality="L")
    here.receive(2)
    here.work()
    assert here.story(uid).study_jobs[-1].state == "held"
    (conflict,) = Conflicts(here.database).open()
    Conflicts(here.database).decide(
        conflict.instance_id, ConflictDecision.KEEP_FIRST, ConflictReason.SENT_BY_MISTAKE, actor="operator:anna"
    )
    here.work()
    assert [revision for kind, revision, _ in kinds(here.story(uid)) if kind == "sr"] == [1, 2]
    assert {job.state for job in here.story(uid).study_jobs} == {"done"}


def test_two_people_without_an_id_in_one_study_get_no_result(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1, PatientID="")
    here.receive(2, PatientID="", PatientName="C^D")
    here.work()
    assert here.story(uid).results == ()
    assert here.story(uid).study_jobs[-1].last_code == "conflict_patient"


def test_corrected_header_after_a_refusal_is_reported_once_and_not_as_refused(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive(1, PatientBirthDate="", PatientAge="")
    here.work()
    uid = here.receive(1)
    here.work()
    assert sorted(str(instance.outcome) for instance in here.story(uid).instances) == ["assessed", "ineligible_age_missing"]
    assert "ineligible_age_missing" not in here.report_texts(uid)


def test_route_that_is_no_longer_configured_sends_nothing(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE instance SET route = 'gone'")
    here.receive(2)
    here.work()
    assert [(kind, revision, release) for kind, revision, release in kinds(here.story(uid)) if kind == "sr"] == [
        ("sr", 1, "sent"),
        ("sr", 2, "withheld_shadow"),
    ]


def test_full_disk_never_uses_up_the_attempts(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.error = SpoolError("No space left on device")
    uid = here.receive()
    here.work(rounds=12)
    (job,) = here.story(uid).instances[0].jobs
    assert (job.state, job.attempts > 3) == ("retry", True)
    here.decoder.error = None
    here.work()
    assert here.outcome(uid) == "assessed"


def test_evidence_that_changed_in_the_spool_is_not_shown_in_a_revision(bench: Callable[..., Bench], spool: Spool) -> None:
    here = bench()
    uid = here.receive(1)
    here.work()
    (path,) = spool.path("instance").rglob("*.dcm")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    here.receive(2)
    here.work()
    assert [revision for kind, revision, _ in kinds(here.story(uid)) if kind == "sr"] == [1]
    assert here.story(uid).study_jobs[-1].last_code == "corrupt"


def test_our_own_result_that_comes_back_is_not_ingested(bench: Callable[..., Bench], database: Database, spool: Spool) -> None:
    here = bench()
    uid = here.receive()
    here.work()
    page = next(r for r in Results(database).of_study(here.story(uid).instances[0].study_instance_uid) if r.kind == "sc_report_page")
    syntax, content = split_file(spool.path(page.file), max_bytes=1 << 30)
    answer = StorageScp(Receipts(database, "test", spool), spool).answer(
        StoreRequest(
            affected_sop_class_uid=page.sop_class_uid,
            affected_sop_instance_uid=page.sop_instance_uid,
            negotiated_sop_class_uid=page.sop_class_uid,
            transfer_syntax_uid=syntax,
            content=content,
            association_id=None,
        )
    )
    assert (answer.status, answer.reason) == (0, "own_result")
    assert len(list(spool.path("instance").rglob("*.dcm"))) == 1


def test_failed_sibling_is_named_in_the_report_of_the_assessed_knee(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    here.receive(2, ViewCodeSequence=[], ViewPosition="LL")
    here.work()
    assert "ineligible_view_lateral" in here.report_texts(uid)


BOTH = {"ImageLaterality": "B", "PatientOrientation": ["L", "F"]}


def test_bilateral_film_gives_each_knee_its_own_decision_and_side(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.knees = 2
    here.analyzer.flagged = [True, False]
    uid = here.receive(**BOTH)
    here.work()
    knees = here.story(uid).instances[0].knees
    assert [(k.position, k.laterality, k.laterality_source, k.decision) for k in knees] == [
        (1, "R", "convention", "flagged"),
        (2, "L", "convention", "not_flagged"),
    ]
    text = here.report_texts(uid)
    assert text.count("125007") == 2 or text.count("Measurement Group") == 2
    assert "Right knee" in text
    assert "Left knee" in text
    assert kinds(here.story(uid)) == [("sc_overlay_1", 1, "sent"), ("sc_report_page", 1, "sent"), ("sr", 1, "sent")]


def test_knee_with_metal_is_excluded_and_its_neighbour_is_assessed(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder = DecoderDouble(knees=2, knee_measures=({"metal": 1e9}, {"metal": 0.0}))
    here.analyzer.flagged = [True]
    uid = here.receive(ImageLaterality="B", PatientOrientation=None)
    here.work()
    first, second = here.story(uid).instances[0].knees
    assert (here.outcome(uid), first.decision, first.score, second.decision) == ("assessed", "excluded_metal", None, "flagged")
    text = here.report_texts(uid)
    assert "Knee 2, side unknown: possible low bone density" in text
    assert "Not assessed: knee 1 from the image's left, metal in the image" in text
    assert "[excluded_metal]" in text


def test_positive_only_says_nothing_of_a_knee_that_was_not_assessed(bench: Callable[..., Bench]) -> None:
    here = bench("positive_only")
    here.decoder = DecoderDouble(knees=2, knee_measures=({"metal": 1e9}, {}))
    uid = here.receive(ImageLaterality="B")
    here.work()
    assert "metal" not in here.report_texts(uid).casefold()


@pytest.mark.parametrize("orientation", [None, ["L", "F"]])
def test_header_that_names_one_side_of_two_knees_gives_neither_a_side_and_says_so(
    bench: Callable[..., Bench], orientation: list[str] | None
) -> None:
    here = bench()
    here.decoder.knees = 2
    uid = here.receive(1, PatientOrientation=orientation)
    here.work()
    knees = here.story(uid).instances[0].knees
    assert [(k.laterality, k.laterality_source) for k in knees] == [("U", "unknown"), ("U", "unknown")]
    assert all("side_contradicted" in k.quality_flags for k in knees)
    assert "the header names one side" in here.report_texts(uid)


def test_header_that_names_both_sides_of_one_found_knee_is_refused(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(ImageLaterality="B")
    here.work()
    assert here.outcome(uid) == "ineligible_bilateral"
    assert here.story(uid).results == ()


def test_one_value_of_patient_orientation_gives_no_side(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.knees = 2
    uid = here.receive(ImageLaterality="B", PatientOrientation=["", "L"])
    here.work()
    assert {k.laterality for k in here.story(uid).instances[0].knees} == {"U"}


def test_same_bilateral_film_with_its_sides_swapped_is_a_conflict(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.knees = 2
    uid = here.receive(**BOTH)
    here.work()
    here.receive(ImageLaterality="B", PatientOrientation=["R", "F"])
    here.work()
    assert sorted(i.outcome or "" for i in here.story(uid).instances) == ["assessed", "conflict"]


def test_flag_that_only_warns_stands_in_the_report_and_is_kept_with_its_value(bench: Callable[..., Bench]) -> None:
    here = bench(quality={"metal": {"action": "warn"}})
    here.decoder.knee_measures = ({"metal": 1e9},)
    uid = here.receive()
    here.work()
    (knee,) = here.story(uid).instances[0].knees
    assert (knee.decision, knee.quality_flags, knee.measures["metal"]) == ("flagged", ("metal",), 1e9)
    assert "Right knee: metal suspected" in here.report_texts(uid)


def test_refused_image_keeps_what_was_measured_of_its_knees(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.knee_measures = ({"metal": 1e9},)
    uid = here.receive()
    here.work()
    (knee,) = here.story(uid).instances[0].knees
    assert (here.outcome(uid), knee.decision, knee.measures) == ("excluded_metal", "excluded_metal", {"metal": 1e9})


def test_same_pixels_under_another_window_are_another_image_and_a_flag_is_never_lost(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder.digests = ["1" * 64, "2" * 64]
    here.analyzer.flagged = [False, True]
    uid = here.receive(1)
    here.work()
    here.receive(1, SOPInstanceUID="1.2.3.4.5", WindowWidth="100")
    here.work()
    assert [r.flagged for r in here.story(uid).results if r.kind == "sr"] == [False, True]
    assert "Study headline: Possible low bone density" in here.report_texts(uid)


def test_knee_of_unknown_side_keeps_its_number_and_names_its_image_among_several(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.decoder = DecoderDouble(knees=2, knee_measures=({"metal": 1e9}, {}))
    here.analyzer.flagged = [True]
    uid = here.receive(1, ImageLaterality="B", PatientOrientation=None)
    here.receive(2, ImageLaterality="B", PatientOrientation=None)
    here.work()
    text = here.report_texts(uid)
    assert "Knee 2, side unknown (image 1): possible low bone density" in text
    assert "Knee 2, side unknown (image 2): possible low bone density" in text
    assert "Knee 1, side unknown" not in text


@pytest.mark.parametrize(("size", "weight"), [("170", "70"), ("1.7", "70000"), ("0.0001", "70")])
def test_size_or_weight_in_other_units_does_not_cost_the_screening(bench: Callable[..., Bench], size: str, weight: str) -> None:
    here = bench()
    uid = here.receive(PatientSize=size, PatientWeight=weight)
    here.work()
    assert here.outcome(uid) == "assessed"


def test_quality_is_judged_anew_when_the_settings_change_and_again_when_they_are_restored(bench: Callable[..., Bench]) -> None:
    loose, strict = ({"quality": {"metal": {"threshold": limit}}} for limit in (0.5, 0.1))
    here = bench(**loose)
    here.decoder.knee_measures = ({"metal": 0.2},)
    first = here.receive(1)
    here.work()
    assert here.outcome(first) == "assessed"
    here.decoder.knee_measures = ({"metal": 0.0},)
    tight = bench(**strict)
    tight.decoder.knee_measures = ({"metal": 0.2},)
    tight.receive(2)
    tight.work()
    assert here.outcome(first) == "excluded_metal"
    restored = bench(**loose)
    restored.receive(3)
    restored.work()
    last = max((r for r in here.story(first).results if r.kind == "sr"), key=lambda r: r.revision)
    assert "excluded_metal" not in here.sr_text(last.sop_instance_uid)
    waiting = [job for job in here.story(first).study_jobs if job.state not in ("done", "dead")]
    assert waiting == []


def test_failed_engine_is_coded_and_tried_again(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.analyzer.error = EngineFailedError("RuntimeError")
    uid = here.receive()
    here.work()
    (job,) = here.story(uid).instances[0].jobs
    assert (here.outcome(uid), job.attempts) == ("failed_engine", 3)


def test_what_a_peer_sends_goes_by_the_routes_of_that_peer(bench: Callable[..., Bench], database: Database, spool: Spool) -> None:
    routes = [{"name": "sent", "policy": "all", "destinations": ["pacs"]}, {"name": "kept"}]
    here = bench(routes=routes, peers=[{"name": "room1", "ae_title": "XRAY1", "routes": ["kept"]}])
    receipts = Receipts(database, "test", spool)
    association = receipts.open_association(
        OpenedAssociation(
            calling_ae_title="XRAY1",
            called_ae_title="STRNET",
            peer_address="192.0.2.1",
            way="c_store",
            admitted_by=AdmittedBy(peer="room1"),
        )
    )
    ingest = receipts.open_association(
        OpenedAssociation(calling_ae_title="INGEST", called_ae_title="STRNET", peer_address="local", way="ingest")
    )
    uids = [here.receive(number, study=number, association=sender) for number, sender in enumerate((association, ingest, None), 1)]
    here.work()
    # a file that was ingested is bound to no peer; one that nobody is known to have sent goes by no route
    assert [here.story(uid).instances[0].route for uid in uids] == ["kept", "sent", None]
