"""Recalls by an operator: what they take back, what they leave, and that the same one again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.app.recall import plan_recall, recall
from gateway.cli.main import app
from gateway.domain.operator import Operator
from gateway.domain.recall import RecallScope, RecallTarget
from gateway.domain.retraction import RejectionReason
from gateway.errors import BundleRetiredError, GatewayError, PatientNotUniqueError, RecallTargetError
from gateway.store.database import Database
from gateway.store.versions import check_usable, record_bundle
from tests.integration.bench import MODEL, Bench
from tests.integration.sender_bench import CLASS_REFUSED, Archive, deliver

pytestmark = pytest.mark.usefixtures("plain_pages")

ANNA = Operator(name="anna", reason="INC-7")
SAFETY = RejectionReason.PATIENT_SAFETY


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def sent(here: Bench, archive: Archive, number: int = 1, **changes: object) -> str:
    uid = here.receive(number, **changes)  # type: ignore[arg-type]
    here.work(rounds=4)
    deliver(here, archive)
    return here.study(uid)


def of_study(study: str) -> RecallTarget:
    return RecallTarget(scope=RecallScope.STUDY, key=study)


def run(here: Bench, target: RecallTarget) -> tuple[int, int, int]:
    done = recall(here.database, plan_recall(here.database, target), SAFETY, ANNA)
    return done.taken_back, done.already, done.newly_closed


def releases(here: Bench, study: str) -> list[str]:
    return [result.release for result in here.story(study).results if result.kind == "sr"]


def test_recall_of_a_study_again_changes_nothing(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = sent(here, archive)
    assert run(here, of_study(study)) == (1, 0, 1)
    here.work(rounds=4)
    deliver(here, archive)
    assert len(archive.notes) == 1
    assert run(here, of_study(study)) == (0, 1, 0)
    here.work(rounds=4)
    assert deliver(here, archive) == []


def test_further_image_of_a_recalled_study_waits_for_a_person_who_ends_the_recall(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here, archive = bench(), Archive()
    study = sent(here, archive)
    run(here, of_study(study))
    here.receive(2)
    here.work(rounds=5)
    assert releases(here, study) == ["sent", "withheld_recalled"]
    answer = command(here, tmp_path, "results", "release", study, "--by", "anna", "--reason", "INC-8")
    assert answer.exit_code == 0, answer.output
    deliver(here, archive)
    assert archive.kinds.count("SR") == 2
    here.receive(1, PixelData=bytes(2 * 300 * 220), SOPInstanceUID="2.25.99")
    here.work(rounds=5)
    assert "withheld_recalled" not in releases(here, study)


def test_study_without_a_report_can_be_recalled_before_it_has_one(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    study = here.study(uid)
    assert run(here, of_study(study)) == (0, 0, 1)
    here.work(rounds=4)
    assert releases(here, study) == ["withheld_recalled"]


def test_shadow_stays_shadow_in_a_recalled_study(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here = bench("shadow")
    study = here.study(here.receive(1))
    run(here, of_study(study))
    here.work(rounds=4)
    assert releases(here, study) == ["withheld_shadow"]
    assert command(here, tmp_path, "results", "release", study, "--by", "anna", "--reason", "INC-8").exit_code == 1


def test_recall_of_a_bundle_takes_back_its_reports_and_no_others_and_the_bundle_runs_no_more(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    study = sent(here, archive)
    with here.database.transaction() as session:
        session.execute(text("UPDATE result SET bundle_hash = :other"), {"other": _another_bundle(here.database)})
    other = sent(here, archive, 1, study=2)
    target = RecallTarget(scope=RecallScope.BUNDLE, key=MODEL.bundle_hash[:8])
    assert run(here, target) == (1, 0, 1)
    assert [r.retracted_at is None for r in here.story(study).results if r.kind == "sr"] == [True]
    assert [r.retracted_at is None for r in here.story(other).results if r.kind == "sr"] == [False]
    assert run(here, target) == (0, 1, 0)
    with pytest.raises(BundleRetiredError, match="another one"):
        check_usable(here.database, [MODEL.bundle_hash])


def _another_bundle(database: Database) -> str:
    record_bundle(database, bundle_hash="9" * 64, weights_sha256="", name="", version="", intended_use="demonstration", actor="test")
    return "9" * 64


def test_gateway_that_still_runs_a_recalled_bundle_makes_no_result_by_it(bench: Callable[..., Bench]) -> None:
    here = bench()
    study = here.study(here.receive(1))
    run(here, RecallTarget(scope=RecallScope.BUNDLE, key=MODEL.bundle_hash))
    here.work(rounds=4)
    story = here.story(study)
    assert (story.results, story.study_jobs[-1].state, story.study_jobs[-1].next_at is not None) == ((), "queued", True)
    assert list(here.spool.path("result").rglob("*.dcm")) == []


def test_patient_is_recalled_with_every_study_and_without_a_word_in_the_audit(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here, archive = bench(), Archive()
    first = sent(here, archive, PatientID="SECRET-77")
    sent(here, archive, study=2)
    second = sent(here, archive, study=3, PatientID="SECRET-77")
    answer = command(here, tmp_path, "recall", "--patient", "SECRET-77", "--reason", "worklist", "--by", "anna", "--yes", "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert {report["study_instance_uid"] for report in told["reports"]} == {first, second}
    assert "SECRET-77" not in answer.output
    with here.database.reading() as session:
        rows = session.execute(text("SELECT actor, event, detail FROM audit_event")).all()
    assert not any("SECRET-77" in str(row) for row in rows)
    assert [row for row in rows if row.event == "study:recalled" and row.actor == "operator:anna"]


def test_patient_id_of_two_issuers_needs_the_issuer(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.receive(1, IssuerOfPatientID="G")
    here.receive(1, study=2, PatientID="P1", IssuerOfPatientID="H")
    with pytest.raises(PatientNotUniqueError):
        plan_recall(here.database, RecallTarget(scope=RecallScope.PATIENT, key="P1"))
    plan = plan_recall(here.database, RecallTarget(scope=RecallScope.PATIENT, key="P1", issuer="G"))
    assert len(plan.studies) == 1


@pytest.mark.parametrize("scope", list(RecallScope))
def test_stranger_is_not_found(bench: Callable[..., Bench], scope: RecallScope) -> None:
    with pytest.raises(RecallTargetError) as found:
        plan_recall(bench().database, RecallTarget(scope=scope, key="7777777777"))
    assert "7777777777" not in str(found.value)


def command(here: Bench, folder: Path, *words: str) -> Result:
    """A command over the bench's store, with the configuration that the bench has."""
    destinations = "\n".join(
        f'[[destinations]]\nname = "{one.name}"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {one.port}\nclass = "{one.destination_class}"\n'
        f'honours_rejection = "{one.honours_rejection}"'
        for one in here.settings.destinations
    )
    (route,) = here.settings.routes
    names = ", ".join(f'"{name}"' for name in route.destinations)
    config = folder / "config.toml"
    config.write_text(
        f'[serve]\ndevelopment = true\n[database]\nurl = "sqlite:///{folder / "store.db"}"\n[spool]\nfolder = "{folder / "spool"}"\n'
        f'[[routes]]\nname = "r"\npolicy = "{route.policy}"\ndestinations = [{names}]\n{destinations}\n'
    )
    runner = CliRunner()
    answer = runner.invoke(app, [*words, "--config", str(config)])
    if isinstance(answer.exception, GatewayError):
        # as main() does
        answer.exit_code = 1
    return answer


def test_dry_run_lists_each_destination_and_changes_nothing(bench: Callable[..., Bench], tmp_path: Path) -> None:
    one = {"ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "test"}
    here, archive = (
        bench(
            routes=[{"name": "r", "policy": "all", "destinations": ["pacs", "dark"]}],
            destinations=[{"name": "pacs", "honours_rejection": "yes", **one}, {"name": "dark", **one}],
        ),
        Archive(),
    )
    study = sent(here, archive)
    words = ("recall", "--study", study, "--reason", "patient_safety", "--by", "anna", "--json")
    answer = command(here, tmp_path, *words, "--dry-run")
    told = json.loads(answer.stdout)
    assert (told["to_do"], told["already"]) == (1, 0)
    by_name = {at["destination"]: (at["effect"], at["honours_rejection"], at["note"]) for at in told["reports"][0]["destinations"]}
    assert by_name == {"pacs": ("reject", "yes", None), "dark": ("cancel", "unknown", None)}
    assert {result.retracted_at for result in here.story(study).results} == {None}
    done = json.loads(command(here, tmp_path, *words, "--yes").stdout)["done"]
    assert done == {"taken_back": 1, "already": 0, "cancelled": 3, "notes_due": 1, "newly_closed": 1}
    here.work(rounds=3)
    deliver(here, archive)
    again = json.loads(command(here, tmp_path, *words, "--dry-run").stdout)
    assert (again["to_do"], again["already"]) == (0, 1)
    assert {at["destination"]: at["note"] for at in again["reports"][0]["destinations"]} == {"pacs": "sent", "dark": None}
    assert "0 taken back, 1 already" in command(here, tmp_path, *[w for w in words if w != "--json"], "--yes").output


def test_archive_that_refuses_the_note_is_told_with_exit_code_1(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here, archive = bench(), Archive()
    study = sent(here, archive)
    run(here, of_study(study))
    here.work(rounds=3)
    archive.answer = CLASS_REFUSED
    deliver(here, archive)
    answer = command(here, tmp_path, "recall", "--study", study, "--reason", "quality", "--by", "anna", "--dry-run")
    assert answer.exit_code == 1
    assert "ALARM: pacs refused the rejection note" in answer.output


@pytest.mark.parametrize(
    "words",
    [
        ("--reason", "quality", "--by", "anna"),
        ("--study", "1.2", "--bundle", "abc", "--reason", "quality", "--by", "anna"),
        ("--study", "1.2", "--issuer", "H", "--reason", "quality", "--by", "anna"),
        ("--study", "1.2", "--reason", "mistake", "--by", "anna"),
        ("--study", "1.2", "--reason", "quality", "--by", "anna lee"),
        ("--study", "1.2", "--reason", "quality"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["recall", *words]).exit_code == 2


def test_recall_without_yes_asks_and_does_nothing_on_no(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here, archive = bench(), Archive()
    study = sent(here, archive)
    answer = command(here, tmp_path, "recall", "--study", study, "--reason", "quality", "--by", "anna")
    assert answer.exit_code == 1
    assert {result.retracted_at for result in here.story(study).results} == {None}
