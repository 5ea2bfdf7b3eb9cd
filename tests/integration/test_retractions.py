"""Reports that are taken back: what is pending goes nowhere, and what is or may be at a destination is rejected there, once and afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from sqlalchemy import text, update

from gateway.app.recall import plan_recall, recall
from gateway.domain.delivery import Verdict
from gateway.domain.job import Claim, JobAction, JobKind
from gateway.domain.operator import Operator
from gateway.domain.recall import RecallScope, RecallTarget
from gateway.domain.retraction import RejectionReason
from gateway.errors import JobActionError, LeaseLostError
from gateway.store.confirmations import Confirmations
from gateway.store.database import Database
from gateway.store.deliveries import Attempt, Deliveries
from gateway.store.job_acts import JobActs
from gateway.store.queries import Queries
from gateway.store.result_sets import ResultSets
from gateway.store.retractions import Retraction, retract, standing_reports
from gateway.store.tables import JobRow, ResultRow
from tests.integration.bench import Bench
from tests.integration.sender_bench import CLASS_REFUSED, LOST, REFUSED, SENDER, STORED, UNREACHABLE, Archive, deliver, queue_of

pytestmark = pytest.mark.usefixtures("plain_pages")

ANNA = Operator(name="anna", reason="T")
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def reported(here: Bench, **changes: object) -> str:
    """A study with its report pending; its UID."""
    uid = here.receive(1, **changes)
    here.work(rounds=5)
    return here.study(uid)


def sent_report(here: Bench, archive: Archive) -> str:
    """A study whose report the archive has; its UID."""
    study = reported(here)
    deliver(here, archive)
    return study


def retracted_report(here: Bench, archive: Archive) -> str:
    """A study whose report the archive has and was taken back; the note is built, and not yet sent."""
    study = sent_report(here, archive)
    take_back(here, study)
    here.work(rounds=5)
    return study


def begun(here: Bench) -> tuple[Claim, int | None]:
    """A sender has begun to send: what it has claimed, and the number of its attempt."""
    (claim,) = queue_of(here).claim((JobKind.DELIVER_RESULT,), SENDER, lane="pacs")
    return claim, Deliveries(here.database).begin(claim)


def lose_sender(here: Bench) -> None:
    """The sender is taken for dead; what it had claimed is free again."""
    queue_of(here).expire_leases(owner=SENDER)


def make_all_due(here: Bench) -> None:
    """What waits for its time waits no longer."""
    with here.database.transaction() as session:
        session.execute(update(JobRow).values(next_at=datetime.now(UTC) - timedelta(seconds=1)))


def take_back(here: Bench, study: str, reason: RejectionReason = RejectionReason.PATIENT_SAFETY) -> list[Retraction]:
    with here.database.transaction() as session:
        return [
            retract(session, assessment_set=one, reason=reason, actor="operator:me", cause="INC-1")
            for one in standing_reports(session, study)
        ]


def again(here: Bench, study: str) -> Retraction:
    with here.database.transaction() as session:
        sets = session.execute(text("SELECT assessment_set FROM result WHERE study_instance_uid = :study"), {"study": study}).scalars()
        return retract(session, assessment_set=sets.all()[0], reason=RejectionReason.QUALITY, actor="operator:me", cause="INC-2")


def jobs(here: Bench, kind: JobKind) -> list[str]:
    with here.database.reading() as session:
        rows = session.execute(text("SELECT state, last_code FROM job WHERE kind = :kind ORDER BY id"), {"kind": kind.value})
        return [f"{row.state} {row.last_code}" for row in rows]


def states(here: Bench, study: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for result in here.story(study).results:
        found.setdefault(result.kind[:2], []).extend(delivery.state for delivery in result.deliveries)
    return found


@only_sqlite
def test_report_that_never_left_is_cancelled_and_no_note_is_made(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    (done,) = take_back(here, study)
    assert (done.already, done.cancelled, done.note_is_due) == (False, 3, False)
    here.work(rounds=5)
    assert deliver(here, archive) == []
    assert archive.held == []
    assert states(here, study) == {"sr": ["cancelled"], "sc": ["cancelled", "cancelled"]}


def test_report_that_was_sent_is_rejected_by_one_note_that_names_all_of_it(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = sent_report(here, archive)
    (done,) = take_back(here, study)
    assert (done.cancelled, done.note_is_due) == (0, True)
    here.work(rounds=5)
    assert deliver(here, archive) == ["stored"]
    assert archive.kinds[-1] == "KO"
    (note,) = archive.notes
    sent = archive.held[:-1]
    named = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in note.ContentSequence if "ReferencedSOPSequence" in item
    }
    assert named == {str(one.SOPInstanceUID) for one in sent}
    assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber"):
        assert {str(one.get(keyword)) for one in archive.held} == {str(sent[0].get(keyword))}
    assert states(here, study) == {"sr": ["sent"], "sc": ["sent", "sent"], "re": ["sent"]}


def test_same_report_taken_back_twice_changes_nothing(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = retracted_report(here, archive)
    deliver(here, archive)
    before = len(archive.held)
    assert again(here, study).already
    here.work(rounds=5)
    assert deliver(here, archive) == []
    assert len(archive.held) == before
    assert {result.rejection_reason for result in here.story(study).results if result.kind != "rejection"} == {"patient_safety"}


@only_sqlite
def test_destination_that_never_got_the_report_gets_no_note(bench: Callable[..., Bench]) -> None:
    here, archive, dark = bench("all", **two_destinations()), Archive(), Archive(answer=UNREACHABLE)
    study = sent_report(here, archive)
    assert set(deliver(here, dark, lane="other")) == {"no_association"}
    take_back(here, study)
    here.work(rounds=5)
    deliver(here, archive)
    dark.answer = STORED
    assert deliver(here, dark, lane="other") == []
    assert (len(archive.notes), dark.held) == (1, [])


def two_destinations() -> dict[str, object]:
    one = {"ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "test"}
    return {
        "routes": [{"name": "r", "policy": "all", "destinations": ["pacs", "other"]}],
        "destinations": [{"name": "pacs", **one}, {"name": "other", **one}],
    }


@only_sqlite
@pytest.mark.parametrize(("answer", "notes"), [(LOST, 1), (REFUSED, 0), (UNREACHABLE, 0)], ids=["lost", "refused", "unreachable"])
def test_note_goes_where_the_report_may_have_arrived(bench: Callable[..., Bench], answer: object, notes: int) -> None:
    here, archive = bench(), Archive(answer=answer)  # type: ignore[arg-type]
    study = reported(here)
    deliver(here, archive)
    take_back(here, study)
    here.work(rounds=5)
    archive.answer = STORED
    deliver(here, archive)
    assert archive.kinds == ["KO"] * notes


def test_two_recalls_at_once_take_a_report_back_once(bench: Callable[..., Bench]) -> None:
    here = bench()
    study = reported(here)
    with here.database.reading() as session:
        (report,) = standing_reports(session, study)
    begin = threading.Barrier(2)

    def one() -> bool:
        begin.wait(10)
        with here.database.transaction() as session:
            return retract(session, assessment_set=report, reason=RejectionReason.QUALITY, actor="operator:me", cause="T").already

    with ThreadPoolExecutor(2) as pool:
        assert sorted(future.result() for future in [pool.submit(one), pool.submit(one)]) == [False, True]
    with here.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM audit_event WHERE event = 'report:retracted'")).scalar() == 1


def test_recall_that_comes_while_a_report_is_made_takes_it_back_or_withholds_it(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench()
    study = here.study(here.receive(1))
    commit = ResultSets.commit

    def commit_after_the_recall(self: ResultSets, *arguments: Any) -> Any:
        recall(here.database, plan_recall(here.database, RecallTarget(scope=RecallScope.STUDY, key=study)), RejectionReason.QUALITY, ANNA)
        return commit(self, *arguments)

    monkeypatch.setattr(ResultSets, "commit", commit_after_the_recall)
    here.work(rounds=4)
    assert {(result.release, result.deliveries) for result in here.story(study).results} == {("withheld_recalled", ())}


def test_success_of_what_was_being_sent_is_awaited_and_rejected_after_it(bench: Callable[..., Bench]) -> None:
    here = bench()
    study = reported(here)

    def retract_and_work() -> None:
        take_back(here, study)
        here.work(rounds=2)
        assert [line for line in jobs(here, JobKind.REJECT_REPORT) if "still_sending" not in line] == ["queued None"]

    archive = Archive(during=retract_and_work)
    deliver(here, archive)
    assert len(archive.held) == 1
    here.work(rounds=5)
    deliver(here, archive)
    assert len(archive.held) == 2
    assert archive.kinds[-1] == "KO"


def test_report_that_is_taken_back_before_its_attempt_begins_is_not_sent(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    begin = Deliveries.begin

    def begin_after_the_recall(self: Deliveries, claim: Claim) -> int | None:
        for done in take_back(here, study):
            assert not done.note_is_due
        return begin(self, claim)

    monkeypatch.setattr(Deliveries, "begin", begin_after_the_recall)
    assert deliver(here, archive) == ["retracted"]
    here.work(rounds=3)
    assert deliver(here, archive) == []
    assert archive.held == []
    assert states(here, study) == {"sr": ["cancelled"], "sc": ["cancelled", "cancelled"]}


@only_sqlite
def test_process_that_died_before_it_asked_anything_leads_to_no_note(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    queue_of(here).claim((JobKind.DELIVER_RESULT,), SENDER, lane="pacs")
    lose_sender(here)
    (done,) = take_back(here, study)
    assert (done.cancelled, done.note_is_due) == (3, False)
    here.work(rounds=3)
    assert deliver(here, archive) == []
    assert archive.held == []


@only_sqlite
def test_trouble_of_what_was_being_sent_is_not_tried_again(bench: Callable[..., Bench]) -> None:
    here = bench()
    study = reported(here)
    archive = Archive(answer=UNREACHABLE, during=lambda: take_back(here, study) and None)
    deliver(here, archive)
    archive.answer = STORED
    here.work(rounds=5)
    make_all_due(here)
    assert deliver(here, archive) == []
    assert archive.held == []
    assert states(here, study)["sr"] == ["cancelled"]


def test_late_success_of_a_lost_job_is_rejected_all_the_same(bench: Callable[..., Bench]) -> None:
    """The sender's process was taken for dead, an operator's recall came, and then it told of its success."""
    here = bench()
    study = reported(here)

    def lose_and_take_back() -> None:
        lose_sender(here)
        take_back(here, study)

    archive = Archive(during=lose_and_take_back)
    with pytest.raises(Exception, match="Another worker"):
        deliver(here, archive)
    here.work(rounds=2)
    deliver(here, archive)
    assert archive.kinds[-1] == "KO"
    assert len(archive.held) == 2


@only_sqlite
def test_success_that_is_told_after_the_note_was_sent_leads_to_the_same_note_again(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    claim, number = begun(here)
    lose_sender(here)
    take_back(here, study)
    here.lease_seconds = 0
    here.work(rounds=3)
    deliver(here, archive)
    assert archive.kinds == ["KO"]
    with pytest.raises(LeaseLostError):
        Deliveries(here.database).record(claim, Attempt(verdict=Verdict.SENT, code="success", dimse_status=0, number=number))
    here.work(rounds=3)
    deliver(here, archive)
    assert [note.SOPInstanceUID for note in archive.notes] == [archive.notes[0].SOPInstanceUID] * 2
    assert sorted(states(here, study)["sr"] + states(here, study)["sc"]) == ["cancelled", "cancelled", "sent"]


@only_sqlite
def test_delivery_whose_sender_died_over_a_retraction_goes_nowhere_any_more(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    begun(here)
    (done,) = take_back(here, study)
    assert (done.cancelled, done.note_is_due) == (2, True)
    lose_sender(here)
    assert deliver(here, archive) == ["retracted"]
    assert states(here, study) == {"sr": ["cancelled"], "sc": ["cancelled", "cancelled"]}
    here.lease_seconds = 0
    make_all_due(here)
    here.work(rounds=3)
    deliver(here, archive)
    assert archive.kinds == ["KO"]


@only_sqlite
def test_held_delivery_is_cancelled_and_cannot_be_released(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    me, acts = Operator(name="me", reason="T"), JobActs(here.database)
    held = [job.job_id for job in Queries(here.database).jobs("queued") if job.kind == JobKind.DELIVER_RESULT]
    for job in held:
        acts.act(job, JobAction.HOLD, me)
    take_back(here, study)
    for job in held:
        with pytest.raises(JobActionError):
            acts.act(job, JobAction.RELEASE, me)
    assert deliver(here, archive) == []


@only_sqlite
def test_delivery_that_a_destination_has_lost_is_not_sent_again_after_a_retraction(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    here.settings = here.settings.model_copy(
        update={"destinations": tuple(one.model_copy(update={"commitment": "find"}) for one in here.settings.destinations)}
    )
    study = sent_report(here, archive)
    (claim, *_) = queue_of(here).claim((JobKind.CONFIRM_DELIVERY,), SENDER, lane="pacs")
    take_back(here, study)
    assert set(jobs(here, JobKind.CONFIRM_DELIVERY)) == {"running None", "cancelled retracted"}
    assert Confirmations(here.database).send_again(claim, code="not_found", seconds=0.0) == "retracted"
    here.work(rounds=3)
    deliver(here, archive)
    assert archive.kinds[3:] == ["KO"]


@only_sqlite
def test_attempt_of_which_nothing_is_known_is_waited_for_as_long_as_its_lease(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = reported(here)
    begun(here)
    lose_sender(here)
    (done,) = take_back(here, study)
    assert done.note_is_due
    here.work(rounds=2)
    assert deliver(here, archive) == []
    here.lease_seconds = 0
    make_all_due(here)
    here.work(rounds=2)
    deliver(here, archive)
    assert archive.kinds == ["KO"]


@only_sqlite
def test_refused_class_leaves_the_note_dead(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = retracted_report(here, archive)
    archive.answer = CLASS_REFUSED
    deliver(here, archive)
    assert states(here, study)["re"] == ["dead"]


@only_sqlite
def test_note_goes_although_the_route_is_closed_by_now(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    retracted_report(here, archive)
    here.settings = bench("shadow").settings
    deliver(here, archive)
    assert archive.kinds[-1] == "KO"


@only_sqlite
def test_same_images_give_the_retracted_report_never_again(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = retracted_report(here, archive)
    deliver(here, archive)
    count = len(here.story(study).results)
    here.receive(1)
    here.receive(1, StudyID="Z")
    here.work(rounds=5)
    assert len(here.story(study).results) == count
    assert deliver(here, archive) == []


@only_sqlite
def test_later_revision_does_not_name_a_retracted_report_and_has_a_number_of_its_own(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = sent_report(here, archive)
    take_back(here, study)
    here.receive(2)
    here.work(rounds=5)
    newest = max((one for one in here.story(study).results if one.kind == "sr"), key=lambda one: one.revision)
    assert (newest.revision, newest.predecessor_uid, newest.release) == (2, None, "sent")
    deliver(here, archive)
    assert sorted(archive.kinds) == ["KO", *["OT"] * 5, *["SR"] * 2]


def test_revision_whose_predecessor_is_taken_back_while_it_is_built_is_built_anew(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, archive = bench(), Archive()
    study = sent_report(here, archive)
    commit = ResultSets.commit

    def commit_after_the_retraction(self: ResultSets, *arguments: Any) -> Any:
        take_back(here, study)
        return commit(self, *arguments)

    here.receive(2)
    monkeypatch.setattr(ResultSets, "commit", commit_after_the_retraction)
    here.work(rounds=5)
    newest = max((one for one in here.story(study).results if one.kind == "sr"), key=lambda one: one.revision)
    assert (newest.revision, newest.predecessor_uid, newest.release) == (2, None, "sent")


@only_sqlite
def test_patients_other_study_is_told_anew_after_a_retraction(bench: Callable[..., Bench]) -> None:
    here, archive = bench(results={"repeat_days": 30}), Archive()
    study = sent_report(here, archive)
    take_back(here, study)
    other = here.receive(1, study=2, PatientID="P1")
    here.work(rounds=5)
    assert {result.release for result in here.story(other).results} == {"sent"}


@pytest.mark.parametrize(("changes", "release"), [({}, "sent"), ({"late_after_hours": 24}, "withheld_late")], ids=["fresh", "late"])
@only_sqlite
def test_report_that_was_withheld_as_a_repeat_is_told_when_what_it_repeats_is_taken_back(
    bench: Callable[..., Bench], changes: dict[str, object], release: str
) -> None:
    here, archive = bench(results={"repeat_days": 30}), Archive()
    study = sent_report(here, archive)
    other = here.receive(1, study=2, PatientID="P1")
    here.work(rounds=5)
    assert {result.release for result in here.story(other).results} == {"withheld_repeat"}
    here.settings = bench(results={"repeat_days": 30, **changes}).settings
    take_back(here, study)
    here.work(rounds=5)
    deliver(here, archive)
    assert {result.release for result in here.story(other).results} == {release}
    assert archive.kinds.count("SR") == (2 if release == "sent" else 1)
    take_back(here, study)
    here.work(rounds=5)
    assert deliver(here, archive) == []


@only_sqlite
def test_report_that_repeats_another_one_that_stands_stays_withheld(bench: Callable[..., Bench]) -> None:
    here, archive = bench(results={"repeat_days": 30}), Archive()
    study = sent_report(here, archive)
    other = here.receive(1, study=2, PatientID="P1")
    here.work(rounds=5)
    here.settings = bench("shadow").settings
    take_back(here, study)
    here.work(rounds=5)
    deliver(here, archive)
    assert {result.release for result in here.story(other).results} == {"withheld_repeat"}


@only_sqlite
def test_note_is_built_again_with_the_same_bytes(bench: Callable[..., Bench]) -> None:
    from tests.integration.test_recheck import rebuilt

    here, archive = bench(), Archive()
    retracted_report(here, archive)
    assert [answer.comparison for answer in rebuilt(here)] == ["equal"] * 4


@only_sqlite
def test_note_is_made_of_rows_when_retention_has_removed_the_files(bench: Callable[..., Bench], database: Database) -> None:
    here, archive = bench(), Archive()
    study = sent_report(here, archive)
    with database.transaction() as session:
        session.execute(update(ResultRow).values(purged_at=datetime.now(UTC)))
    for file in here.spool.path("result").rglob("*.dcm"):
        file.unlink()
    take_back(here, study)
    here.work(rounds=5)
    deliver(here, archive)
    (note,) = archive.notes
    assert (str(note.PatientID), str(note.StudyInstanceUID)) == ("P1", study)
    assert str(note.PatientName) == ""


@only_sqlite
def test_own_note_that_comes_back_is_recognised(bench: Callable[..., Bench]) -> None:
    from gateway.receive.own_results import Sender, own_sign

    here, archive = bench(), Archive()
    retracted_report(here, archive)
    deliver(here, archive)
    (note,) = archive.notes
    assert own_sign(note, str(note.SOPClassUID), Sender(), frozenset()) == "equipment"
    buffer = BytesIO()
    note.save_as(buffer, enforce_file_format=True)
    assert dcmread(BytesIO(buffer.getvalue())).SOPInstanceUID == note.SOPInstanceUID


def two_revisions(here: Bench) -> str:
    """The older one is superseded by the newer before anything left; the study."""
    study = reported(here)
    here.receive(2)
    here.work(rounds=5)
    return study


def take_back_newest(here: Bench, study: str) -> Retraction:
    with here.database.transaction() as session:
        newest = standing_reports(session, study)[-1]
        return retract(session, assessment_set=newest, reason=RejectionReason.WORKLIST, actor="operator:me", cause="INC-1")


def by_revision(here: Bench, study: str) -> set[tuple[int, str, str]]:
    return {(one.revision, one.kind[:2], delivery.state) for one in here.story(study).results for delivery in one.deliveries}


def test_report_that_was_held_back_for_a_newer_one_is_sent_when_that_is_taken_back(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = two_revisions(here)
    deliver(here, archive)
    take_back_newest(here, study)
    here.work(rounds=3)
    deliver(here, archive)
    assert by_revision(here, study) == {(1, "sr", "sent"), (1, "sc", "sent"), (2, "sr", "sent"), (2, "sc", "sent"), (2, "re", "sent")}
    assert sorted(archive.kinds) == ["KO", *["OT"] * 5, *["SR"] * 2]


def test_newer_report_that_is_taken_back_while_the_older_is_set_aside_for_it_loses_neither(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, archive = bench(), Archive()
    study = two_revisions(here)
    supersede = Deliveries.supersede

    def supersede_after(self: Deliveries, claim: Claim) -> bool:
        monkeypatch.setattr(Deliveries, "supersede", supersede)
        take_back_newest(here, study)
        return supersede(self, claim)

    monkeypatch.setattr(Deliveries, "supersede", supersede_after)
    deliver(here, archive)
    here.work(rounds=3)
    deliver(here, archive)
    assert by_revision(here, study) == {(1, "sr", "sent"), (1, "sc", "sent"), (2, "sr", "cancelled"), (2, "sc", "cancelled")}


@only_sqlite
def test_study_that_is_taken_back_as_a_whole_sends_no_older_report(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = two_revisions(here)
    deliver(here, archive)
    held = len(archive.held)
    take_back(here, study)
    here.work(rounds=3)
    deliver(here, archive)
    assert archive.kinds[held:] == ["KO"]
    assert {state for revision, _, state in by_revision(here, study) if revision == 1} == {"cancelled"}
