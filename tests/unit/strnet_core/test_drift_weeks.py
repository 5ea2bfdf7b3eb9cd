"""Weeks of devices: quiet where nothing changes, loud where one device's processing does, silent where there is too little."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.cli.main import app
from strnet_core.evaluation.drift import is_persistent
from strnet_core.evaluation.drift_weeks import DriftSettings, drift
from strnet_core.evaluation.site_export import read_site_export
from tests.unit.strnet_core.site_tables import knee, refused, write_export

FIRST = date(2026, 1, 5)


def weeks(count, *, per_week=50, station="A", seed=1, shift=None, refusing=None):
    """Studies of a device over weeks; shift and refusing: by week, what is added to logits, and the share of refused ones."""
    random, rows = np.random.default_rng(seed), []
    for week in range(count):
        for number in range(per_week):
            name = f"{station}{week}-{number}"
            of_study = {
                "image": name,
                "study": name,
                "subject": name,
                "patient_id": "",
                "station": station,
                "study_date": (FIRST + timedelta(weeks=week, days=number % 7)).isoformat(),
            }
            logit = float(random.normal(-0.3) + (shift(week) if shift else 0.0))
            is_refused = random.random() < (refusing(week) if refusing else 0.05)
            rows.append(refused(1, **of_study) if is_refused else knee(1, logit=logit, **of_study))
    return rows


@pytest.fixture
def found(tmp_path):
    def run(rows, **settings):
        return drift(read_site_export(write_export(tmp_path / "e.csv", rows)).knees, DriftSettings(**settings))

    return run


def test_a_stationary_year_of_three_devices_has_no_persistent_alarm(found):
    rows = [row for place, name in enumerate("ABC") for row in weeks(60, station=name, seed=place)]
    told = found(rows, weeks=52).weeks
    for name in "ABC":
        loud = [bool(week.alarms) for week in told if week.station == name]
        assert len(loud) == 52
        assert not any(is_persistent(loud[: end + 1]) for end in range(52))


def test_one_devices_changed_processing_is_caught_and_named_and_the_others_stay_quiet(found):
    rows = [*weeks(20, station="A", seed=1), *weeks(20, station="B", seed=2, shift=lambda week: 1.2 if week >= 18 else 0.0)]
    told = found(rows, weeks=4)
    assert {one[2] for one in told.persistent} == {"B"}
    assert {one[3] for one in told.persistent} >= {"scores"}
    quiet = [week for week in told.weeks if week.station == "A" or week.monday < FIRST + timedelta(weeks=18)]
    assert [week.alarms for week in quiet] == [()] * 6


def test_more_refusals_are_a_stream_of_their_own(found):
    told = found(weeks(20, refusing=lambda week: 0.5 if week >= 18 else 0.05), weeks=4)
    assert ("ACME", "X1", "A", "refused") in told.persistent


def test_one_odd_week_alarms_and_does_not_persist(found):
    told = found(weeks(20, shift=lambda week: 1.5 if week == 19 else 0.0), weeks=4)
    assert told.weeks[-1].alarms
    assert told.persistent == ()


@pytest.mark.parametrize(("per_week", "untested"), [(19, "week of 19 studies"), (20, "")])
def test_a_small_week_is_shown_and_never_alarms(found, per_week, untested):
    told = found([*weeks(16), *(row for row in weeks(18, per_week=per_week, seed=9, shift=lambda _: 4.0) if row["study_date"] >= "2026-04-27")],
                 weeks=2)  # fmt: skip
    assert {week.untested for week in told.weeks} == {untested}
    assert bool(told.persistent) == (untested == "")
    assert all(bool(week.alarms) == (untested == "") for week in told.weeks)


def test_a_device_without_a_past_is_shown_and_never_alarms(found):
    told = found(
        [*weeks(16), *(row for row in weeks(16, station="NEW", shift=lambda _: 4.0) if row["study_date"] >= "2026-04-13")], weeks=2
    )
    assert [(week.untested, week.alarms) for week in told.weeks if week.station == "NEW"] == [("reference of 0 assessed studies", ())] * 2


def test_both_knees_of_a_study_are_one_case(found):
    rows = weeks(12)
    told = found(rows, weeks=1)
    # the second knee of every study, not flagged
    others = [{**knee(1, logit=-5.0), **{name: row[name] for name in ("study", "subject", "study_date", "station", "patient_id")}, "image": f"{row['image']}b"} for row in rows]  # fmt: skip
    both = found([*rows, *others], weeks=1)
    assert (both.weeks[0].studies.n, both.weeks[0].studies.flagged) == (told.weeks[0].studies.n, told.weeks[0].studies.flagged)


def test_the_reference_can_end_earlier_and_studies_without_a_date_are_counted(found):
    told = found([*weeks(12), knee(999, study_date="")], weeks=2, reference_until=date(2026, 2, 2))
    assert (told.reference_until, told.without_date) == (date(2026, 2, 2), 1)
    assert {week.reference.n for week in told.weeks} == {200}


def test_on_the_command_line_a_persistent_drift_ends_with_1_and_no_single_score_is_told(tmp_path):
    def run(rows, *words):
        path = write_export(tmp_path / "e.csv", rows)
        return CliRunner().invoke(app, ["drift", str(path), *words], env={"COLUMNS": "200"})

    good = run(weeks(14), "--weeks", "3")
    assert good.exit_code == 0, good.output
    assert "ACME X1 A" in good.stdout
    bad = run(weeks(14, shift=lambda week: 1.5 if week >= 12 else 0.0), "--weeks", "3", "--json")
    assert bad.exit_code == 1
    told = json.loads(bad.stdout)
    assert {one["stream"] for one in told["persistent"]} >= {"scores"}
    assert "logits" not in bad.stdout
    assert len(told["weeks"][0]["studies"]["score_quantiles"]) == 3
    assert run([knee(1, study_date="")]).exit_code == 1
