"""Late and ingested results: never sent by themselves, and let go by a person alone; what a policy withholds is never let go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway.app.result_release import release_result
from gateway.config import parse_settings
from gateway.domain.answered import OpenedAssociation
from gateway.domain.bundle_evidence import BundleEvidence
from gateway.domain.operator import Operator
from gateway.domain.retraction import RejectionReason
from gateway.errors import ReleaseRefusedError, ResultNotFoundError
from gateway.store.bundles import Bundles, Evidence
from gateway.store.receipts import Receipts
from gateway.store.retractions import retract
from tests.integration.bench import MODEL, Bench
from tests.integration.sender_bench import Archive, deliver

pytestmark = pytest.mark.usefixtures("plain_pages")

ANNA = Operator(name="anna", reason="INC-7")
CLINICAL = [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "clinical"}]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def live(here: Bench) -> Bench:
    """Its bundle may speak to clinical destinations."""
    ben, figures = Operator(name="ben", reason="INC-7"), {"with_bone_loss": 60, "normal": 60, "auroc": 0.8, "auroc_low": 0.7}
    evidence = BundleEvidence(bundle_hash=MODEL.bundle_hash, sensitivity=0.9, specificity=0.7, from_years=50, **figures)  # type: ignore[arg-type]
    Bundles(here.database).promote(MODEL.bundle_hash, ANNA, ben, Evidence(figures=evidence, sha256="e" * 64))
    return here


def association(here: Bench, way: str) -> str:
    """An association of files (`ingest`) or of a sender (`c_store`) that has ended."""
    receipts = Receipts(here.database, "test", here.spool)
    opened = OpenedAssociation(calling_ae_title="X", called_ae_title="STRNET", peer_address="local", way=way)
    receipts.open_association(opened)
    receipts.end_association(opened.id, "released")
    return opened.id


def releases(here: Bench, key: str) -> list[str]:
    return [result.release for result in here.story(key).results if result.kind == "sr"]


def deliveries(here: Bench, key: str) -> int:
    return sum(len(result.deliveries) for result in here.story(key).results)


def now(**more: object) -> dict[str, Any]:
    """Attributes of a study of this moment."""
    at = datetime.now(UTC)
    return {"StudyDate": f"{at:%Y%m%d}", "StudyTime": f"{at:%H%M%S}", "PatientBirthDate": "19500101", "PatientAge": None, **more}


def reported(here: Bench, way: str = "c_store", number: int = 1, **changes: object) -> str:
    uid = here.receive(number, association=association(here, way), **changes)  # type: ignore[arg-type]
    here.work(rounds=4)
    return uid


@pytest.mark.parametrize(("way", "release"), [("ingest", "withheld_ingested"), ("c_store", "sent")])
def test_fresh_study_from_files_is_not_sent_to_a_clinical_destination_by_itself(
    bench: Callable[..., Bench], way: str, release: str
) -> None:
    here = live(bench(destinations=CLINICAL, results={"late_after_hours": 24}))
    uid = reported(here, way, **now())
    assert releases(here, uid) == [release]


def test_one_ingested_image_withholds_its_study_and_one_that_was_also_sent_does_not(bench: Callable[..., Bench]) -> None:
    here = live(bench(destinations=CLINICAL))
    here.receive(1, association=association(here, "c_store"))
    mixed = reported(here, "ingest", 2)
    assert releases(here, mixed) == ["withheld_ingested"]
    here.receive(1, study=2, association=association(here, "ingest"))
    both = reported(here, "c_store", 1, study=2)
    assert releases(here, both) == ["sent"]


def test_ingested_study_goes_to_a_test_destination_as_any_other(bench: Callable[..., Bench]) -> None:
    here = bench()
    assert releases(here, reported(here, "ingest")) == ["sent"]


def test_instance_that_nobody_is_known_to_have_sent_is_taken_for_ingested(bench: Callable[..., Bench]) -> None:
    here = live(bench(destinations=CLINICAL))
    uid = here.receive(1)
    with here.database.transaction() as session:
        session.execute(text("DELETE FROM receipt"))
    here.work(rounds=4)
    assert releases(here, uid) == ["withheld_ingested"]


@pytest.mark.parametrize("road", ["late", "ingested"])
def test_release_names_a_person_and_makes_the_deliveries(bench: Callable[..., Bench], road: str) -> None:
    here = bench(results={"late_after_hours": 24}) if road == "late" else live(bench(destinations=CLINICAL))
    uid = reported(here, "c_store" if road == "late" else "ingest")
    assert releases(here, uid) == [f"withheld_{road}"]
    assert deliveries(here, uid) == 0
    done = release_result(here.settings, here.database, here.study(uid), ANNA)
    assert (done.withheld_as, done.results, done.destinations) == (f"withheld_{road}", 3, ("pacs",))
    assert releases(here, uid) == ["sent"]
    assert deliveries(here, uid) == 3
    with here.database.reading() as session:
        (event,) = session.execute(text("SELECT actor, detail FROM audit_event WHERE event = 'result:released'")).all()
    assert event.actor == "operator:anna"
    assert "INC-7" in str(event.detail)
    with pytest.raises(ReleaseRefusedError, match="it is sent"):
        release_result(here.settings, here.database, here.study(uid), ANNA)
    assert deliveries(here, uid) == 3


def test_release_does_not_bring_to_a_clinical_destination_what_was_seen_in_shadow(bench: Callable[..., Bench]) -> None:
    both = [*CLINICAL, {"name": "bench", "ae_title": "BENCH", "host": "127.0.0.1", "port": 1, "class": "test"}]
    routes = [{"name": "r", "policy": "all", "destinations": ["pacs", "bench"]}]
    here = bench(destinations=both, routes=routes, results={"late_after_hours": 24})
    uid = reported(here)
    assert releases(here, uid) == ["withheld_late"]
    live(here)
    assert release_result(here.settings, here.database, here.study(uid), ANNA).destinations == ("bench",)
    assert deliveries(here, uid) == 3


@pytest.mark.parametrize(
    ("policy", "release"), [("shadow", "withheld_shadow"), ("silent", "withheld_silent"), ("positive_only", "withheld_not_flagged")]
)
def test_what_the_policy_withholds_is_never_released(bench: Callable[..., Bench], policy: str, release: str) -> None:
    here = bench(policy, results={"late_after_hours": 24})
    here.analyzer.flagged = [False]
    uid = reported(here)
    assert releases(here, uid) == [release]
    with pytest.raises(ReleaseRefusedError, match=release):
        release_result(bench("all").settings, here.database, here.study(uid), ANNA)
    assert deliveries(here, uid) == 0


@pytest.mark.parametrize("policy", ["shadow", "silent", "positive_only"])
def test_late_result_is_not_released_once_its_route_is_stricter(bench: Callable[..., Bench], policy: str) -> None:
    here = bench(results={"late_after_hours": 24})
    uid = reported(here)
    with pytest.raises(ReleaseRefusedError, match=policy):
        release_result(bench(policy).settings, here.database, here.study(uid), ANNA)
    assert deliveries(here, uid) == 0


def test_result_without_a_destination_today_is_not_released(bench: Callable[..., Bench]) -> None:
    here = bench(results={"late_after_hours": 24})
    uid = reported(here)
    nowhere = parse_settings({"routes": [{"name": "r", "policy": "all", "destinations": []}]})
    with pytest.raises(ReleaseRefusedError, match="no destination"):
        release_result(nowhere, here.database, here.study(uid), ANNA)


def test_superseded_revision_is_not_released_and_the_newest_is(bench: Callable[..., Bench]) -> None:
    here = bench(results={"late_after_hours": 24})
    uid = reported(here)
    first = here.story(uid).results[0].sop_instance_uid
    reported(here, number=2)
    with pytest.raises(ReleaseRefusedError, match="newer revision"):
        release_result(here.settings, here.database, first, ANNA)
    assert release_result(here.settings, here.database, here.study(uid), ANNA).revision == 2


def test_older_report_is_released_and_sent_when_the_newer_one_was_taken_back(bench: Callable[..., Bench]) -> None:
    here, archive = bench(results={"late_after_hours": 24}), Archive()
    uid = reported(here)
    here.settings = bench().settings
    reported(here, number=2)
    deliver(here, archive)
    newest = max((r for r in here.story(uid).results if r.kind == "sr"), key=lambda r: r.revision)
    with here.database.transaction() as session:
        found = session.execute(text("SELECT assessment_set FROM result WHERE sop_instance_uid = :uid"), {"uid": newest.sop_instance_uid})
        retract(session, assessment_set=found.scalar_one(), reason=RejectionReason.QUALITY, actor="operator:anna", cause="T")
    assert release_result(here.settings, here.database, here.study(uid), ANNA).revision == 1
    here.work(rounds=3)
    deliver(here, archive)
    assert archive.kinds.count("SR") == 2
    assert archive.kinds.count("KO") == 1


def test_retracted_report_is_not_released(bench: Callable[..., Bench]) -> None:
    from tests.integration.test_retractions import take_back

    here = bench(results={"late_after_hours": 24})
    uid = reported(here)
    sr = next(r.sop_instance_uid for r in here.story(uid).results if r.kind == "sr")
    take_back(here, here.study(uid))
    with pytest.raises(ReleaseRefusedError, match="taken back"):
        release_result(here.settings, here.database, sr, ANNA)


def test_stranger_is_not_found(bench: Callable[..., Bench]) -> None:
    with pytest.raises(ResultNotFoundError, match="Give the study instance UID"):
        release_result(bench().settings, bench().database, "1.2.3", ANNA)
