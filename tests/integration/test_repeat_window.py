"""A patient's result that another study has told already, within the site's window, is withheld and names the earlier one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.domain.story import ResultStory
from tests.integration.bench import Bench


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


ONE = {"PatientID": "P1", "IssuerOfPatientID": "H"}


def sent(here: Bench, number: int, study: int, date: str, **changes: object) -> ResultStory:
    """The SR of a study taken on a date."""
    uid = here.receive(number, study=study, StudyDate=date, **{**ONE, **changes})
    here.work()
    arrive(here)
    return [result for result in here.story(uid).results if result.kind == "sr"][-1]


def arrive(here: Bench, state: str = "sent") -> None:
    """What waits for its destination has come there."""
    with here.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE delivery SET state = '{state}' WHERE state = 'pending'")


@pytest.fixture
def window(bench: Callable[..., Bench]) -> Callable[..., Bench]:
    def make(policy: str = "all", *, flagged: tuple[bool, ...] = (True,), days: int = 90) -> Bench:
        here = bench(policy, results={"repeat_days": days})
        here.analyzer.flagged = list(flagged)
        return here

    return make


def test_second_study_within_the_window_is_withheld_and_names_the_first(window: Callable[..., Bench]) -> None:
    here = window()
    first = sent(here, 1, 1, "20260101")
    second = sent(here, 1, 2, "20260301")
    assert (first.release, first.repeats_uid) == ("sent", None)
    assert (second.release, second.repeats_uid) == ("withheld_repeat", first.sop_instance_uid)
    assert second.deliveries == ()


@pytest.mark.parametrize(
    ("date", "changes"),
    [
        ("20260402", {}),
        ("20260301", {"PatientID": "P2"}),
        ("20260301", {"IssuerOfPatientID": "OTHER"}),
        ("20260301", {"IssuerOfPatientID": ""}),
        ("20251231", {}),
    ],
    ids=["after_the_window", "other_patient", "other_issuer", "no_issuer", "taken_before_the_first"],
)
def test_result_that_repeats_nothing_is_sent(window: Callable[..., Bench], date: str, changes: dict[str, str]) -> None:
    here = window()
    sent(here, 1, 1, "20260101")
    assert sent(here, 1, 2, date, **changes).release == "sent"


def test_last_day_of_the_window_counts(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101")
    assert sent(here, 1, 2, "20260401").release == "withheld_repeat"


def test_without_a_window_everything_is_sent(window: Callable[..., Bench]) -> None:
    here = window(days=0)
    sent(here, 1, 1, "20260101")
    assert sent(here, 1, 2, "20260101").release == "sent"


def test_patients_without_an_id_are_never_taken_for_one(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101", PatientID="", IssuerOfPatientID="")
    assert sent(here, 1, 2, "20260101", PatientID="", IssuerOfPatientID="").release == "sent"


def test_knee_that_is_flagged_for_the_first_time_is_news(window: Callable[..., Bench]) -> None:
    here = window(flagged=(False, True))
    assert sent(here, 1, 1, "20260101").release == "sent"
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_other_side_is_news(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101")
    assert sent(here, 2, 2, "20260201").release == "sent"


def test_knee_of_unknown_side_is_news(window: Callable[..., Bench]) -> None:
    here = window()
    unknown = {"ImageLaterality": "", "Laterality": "", "AnatomicRegionSequence": None}
    sent(here, 1, 1, "20260101", **unknown)
    assert sent(here, 1, 2, "20260201", **unknown).release == "sent"


def test_report_of_another_person_under_the_same_image_withholds_nothing(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101", PatientID="P2")
    # the same image, corrected to P1: a conflict that a person has to decide
    here.receive(1, study=1, StudyDate="20260101", **ONE)
    here.work()
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_same_id_with_another_birth_date_is_another_person(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101", PatientBirthDate="19480101")
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_report_that_nothing_was_assessed_tells_nothing(window: Callable[..., Bench], bench: Callable[..., Bench]) -> None:
    here = bench(results={"repeat_days": 90, "report_not_assessed": True})
    here.decoder.measures = {"blank": 1e9}
    assert sent(here, 1, 1, "20260101").release == "sent"
    here.decoder.measures = {}
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_only_the_newest_report_of_a_study_counts(window: Callable[..., Bench]) -> None:
    here = window(flagged=(True, False, True))
    sent(here, 1, 1, "20260101")
    # read again by stricter settings, and not flagged now
    here.settings = here.settings.model_copy(update={"eligibility": here.settings.eligibility.model_copy(update={"min_age_years": 40})})
    here.receive(3, study=1, StudyDate="20260101", **ONE)
    here.analyzer.flagged = [False]
    here.work()
    arrive(here)
    here.analyzer.flagged = [True]
    assert sent(here, 1, 2, "20260201").release == "sent"


@pytest.mark.parametrize("state", ["pending", "dead", "cancelled"])
def test_report_that_has_not_arrived_withholds_nothing(window: Callable[..., Bench], state: str) -> None:
    here = window()
    here.receive(1, study=1, StudyDate="20260101", **ONE)
    here.work()
    arrive(here, state)
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_same_image_in_another_study_of_the_patient_is_a_repeat_without_any_window(window: Callable[..., Bench]) -> None:
    here = window(days=0)
    first = sent(here, 1, 1, "20260101")
    again = sent(here, 1, 1, "20260601", SOPInstanceUID="1.2.3.4", StudyInstanceUID="1.2.3", AccessionNumber="MOVED")
    assert (again.release, again.repeats_uid) == ("withheld_repeat", first.sop_instance_uid)


def test_patient_who_was_flagged_and_is_not_now_is_a_repeat(window: Callable[..., Bench]) -> None:
    here = window(flagged=(True, False))
    first = sent(here, 1, 1, "20260101")
    second = sent(here, 1, 2, "20260201")
    assert (second.release, second.repeats_uid) == ("withheld_repeat", first.sop_instance_uid)


def test_result_that_was_withheld_itself_tells_nobody_anything(window: Callable[..., Bench]) -> None:
    here = window("positive_only", flagged=(False, True))
    assert sent(here, 1, 1, "20260101").release == "withheld_not_flagged"
    assert sent(here, 1, 2, "20260201").release == "sent"


def test_revision_of_a_result_that_was_sent_is_sent_too(window: Callable[..., Bench]) -> None:
    here = window()
    sent(here, 1, 1, "20260101")
    later = sent(here, 1, 2, "20260501")
    # an older study comes in afterwards, and then the sibling of the later one
    sent(here, 1, 3, "20260430")
    revision = sent(here, 2, 2, "20260501")
    assert (later.release, revision.release, revision.revision) == ("sent", "sent", 2)
    assert revision.predecessor_uid == later.sop_instance_uid


def test_sibling_of_a_withheld_repeat_is_withheld_too(window: Callable[..., Bench]) -> None:
    here = window()
    first = sent(here, 1, 1, "20260101")
    sent(here, 1, 2, "20260201")
    revision = sent(here, 3, 2, "20260201")
    assert (revision.revision, revision.release, revision.repeats_uid) == (2, "withheld_repeat", first.sop_instance_uid)
