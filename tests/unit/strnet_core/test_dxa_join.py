"""Whose DXA belongs to which knee: people, windows, doubles, sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from strnet_core.errors import DxaTableError, ExportTableError
from strnet_core.evaluation import dxa_join
from strnet_core.evaluation.dxa import read_dxa, subject_number
from strnet_core.evaluation.dxa_join import join
from strnet_core.evaluation.site_export import read_site_export
from tests.unit.strnet_core.site_tables import knee, measured, refused, write_dxa, write_export

SITES = ("lumbar_spine", "total_hip", "femoral_neck")


@pytest.fixture
def joined(tmp_path: Path):
    def run(knees, dxa, *, window=30, rule="lowest", sites=SITES, issuer="", key=None):
        export = read_site_export(write_export(tmp_path / "export.csv", knees))
        table = read_dxa(write_dxa(tmp_path / "dxa.csv", dxa), sites, rule, issuer=issuer)
        return join(export, table, window_days=window, key=key)

    return run


def left_out(found) -> dict[str, int]:
    return {step.reason: step.left_out for step in found.flow if step.left_out}


@pytest.mark.parametrize(("t_score", "label"), [(-1.0, 0), (-1.01, 1), (-2.49, 1), (-2.5, 2), (0.3, 0)])
def test_classes_are_those_of_who(joined, t_score, label):
    assert [case.label_cls for case in joined([knee(1)], [measured(1, t_score)]).cases] == [label]


def test_the_lowest_of_the_named_sites_counts_and_other_sites_do_not(joined):
    rows = [measured(1, -0.5), measured(1, -1.7, site="Lumbar Spine"), measured(1, -3.0, site="forearm")]
    (case,) = joined([knee(1)], rows).cases
    assert (case.t_score, case.label_cls) == (-1.7, 1)
    (case,) = joined([knee(1)], rows, sites=("forearm",)).cases
    assert case.label_cls == 2


def test_complete_wants_all_sites_of_one_day(joined):
    rows = [measured(1, -0.5), measured(1, -1.7, site="lumbar_spine"), measured(1, -1.2, site="femoral_neck", date="2026-06-11")]
    assert left_out(joined([knee(1)], rows, rule="complete")) == {dxa_join.NOT_THERE: 1}


def test_the_nearest_counts_and_of_two_equally_near_the_earlier(joined):
    near = [measured(1, -0.5, date="2026-06-20"), measured(1, -1.5, date="20260603"), measured(1, -2.6, date="2026-05-01")]
    (case,) = joined([knee(1)], near, window=60).cases
    assert case.t_score == -1.5
    tie = [measured(1, -0.5, date="2026-06-11"), measured(1, -1.5, date="2026-05-22")]
    found = joined([knee(1)], tie)
    assert (found.cases[0].t_score, found.days) == (-1.5, (-10,))


@pytest.mark.parametrize(("window", "count"), [(9, 1), (8, 0)])
def test_the_window_includes_its_last_day(joined, window, count):
    found = joined([knee(1)], [measured(1, -1.5)], window=window)
    assert len(found.cases) == count
    assert left_out(found) == ({} if count else {dxa_join.OUT_OF_WINDOW: 1})


def test_one_day_with_two_t_scores_of_one_site_is_used_by_nobody_and_an_exact_double_is_one(joined):
    found = joined([knee(1), knee(2)], [measured(1, -0.5), measured(1, -1.5), measured(2, -0.5), measured(2, -0.5)])
    assert [case.patient_id for case in found.cases] == ["s2"]
    assert left_out(found) == {dxa_join.NOT_THERE: 1}


@pytest.mark.parametrize(
    ("image", "dxa", "outcome"),
    [
        ("A", ("A",), -1.5),
        ("A", ("B",), dxa_join.NOT_THERE),
        ("A", ("", "A"), -2.0),
        ("", ("A",), -1.5),
        ("A", ("",), -1.5),
        ("", ("A", "B"), dxa_join.AMBIGUOUS),
        ("A", ("", "B"), dxa_join.AMBIGUOUS),
    ],
)
def test_a_patient_id_of_another_issuer_is_another_person(joined, image, dxa, outcome):
    rows = [measured(1, -1.5 - 0.5 * place, issuer_of_patient_id=issuer) for place, issuer in enumerate(dxa)]
    found = joined([knee(1, issuer_of_patient_id=image)], rows)
    assert (found.cases[0].t_score if found.cases else next(iter(left_out(found)))) == outcome


def test_an_id_that_two_issuers_use_among_the_images_is_not_joined_by_the_id_alone(joined):
    knees = [knee(1, issuer_of_patient_id="A"), knee(2, patient_id="P1", issuer_of_patient_id="B")]
    assert left_out(joined(knees, [measured(1, -1.5)])) == {dxa_join.AMBIGUOUS: 2}
    found = joined(knees, [measured(1, -1.5)], issuer="B")
    assert [case.patient_id for case in found.cases] == ["s2"]


def test_of_a_patient_the_study_nearest_to_its_dxa_is_taken_with_both_knees(joined):
    knees = [
        knee(1, image="a", study="one", study_date="2026-05-20"),
        knee(1, image="b", study="two"),
        refused(1, image="c", study="two"),
        knee(1, image="d", study="three", study_date="2026-06-25"),
    ]
    found = joined(knees, [measured(1, -1.5, date="2026-06-02")])
    assert [(case.image, case.refused) for case in found.cases] == [("b", ""), ("c", "excluded_metal")]
    assert left_out(found) == {dxa_join.OTHER_STUDY: 2}


def test_an_assessed_study_comes_before_a_nearer_one_that_was_refused(joined):
    knees = [refused(1, image="a", study="one", study_date="2026-06-10"), knee(1, image="b", study="two")]
    assert [case.image for case in joined(knees, [measured(1, -1.5)]).cases] == ["b"]


def test_images_without_patient_or_date_are_counted(joined):
    found = joined([knee(1, subject="", patient_id=""), knee(2, study_date=""), knee(3)], [measured(3, -1.5), measured(2, 0.0)])
    assert left_out(found) == {dxa_join.NO_PATIENT: 1, dxa_join.NO_DATE: 1}
    assert sum(left_out(found).values()) + len(found.cases) == found.knees


def test_a_keyed_export_is_joined_by_the_same_key_and_by_no_other(joined):
    key = b"a secret of 16 b"
    nameless = {"patient_id": "", "issuer_of_patient_id": ""}
    knees = [knee(1, subject=subject_number(key, "P1", ""), **nameless), knee(2, subject=subject_number(key, "P2", "A"), **nameless)]
    rows = [measured(1, -1.5), measured(2, -1.5)]
    assert len(joined(knees, rows, key=key).cases) == 1
    assert len(joined(knees, [measured(1, -1.5), measured(2, -1.5, issuer_of_patient_id="A")], key=key).cases) == 2
    assert joined(knees, rows, key=b"another secret..").cases == ()
    with pytest.raises(ExportTableError, match="--key-file"):
        joined(knees, rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"date": "03/04/2026"}, "row 2, date: no date"),
        ({"date": ""}, "row 2, date: is empty"),
        ({"t_score": "-25"}, "row 2, t_score: out of range"),
        ({"t_score": "low"}, "row 2, t_score: no number"),
        ({"site": ""}, "row 2, site: is empty"),
        ({"site": "wrist"}, "no row of the sites"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column_and_never_by_value(joined, change, told):
    with pytest.raises(DxaTableError) as refusal:
        joined([knee(1)], [{**measured(1, -1.5), **change}])
    assert told in str(refusal.value)
    assert not any(value and value in str(refusal.value) for value in change.values() if value != "wrist")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([knee(1), knee(2, bundle_hash="c" * 64)], "there are 2"),
        ([knee(1), knee(2, threshold=0.5, logit=1.0)], "2 thresholds"),
        ([knee(1, decision="flagged", logit=-1.0) | {"decision": "flagged"}], "is not what logit and threshold say"),
        ([knee(1), knee(1)], "twice"),
        ([refused(1) | {"decision": "flagged"}], "does not go with"),
        ([refused(1)], "0 thresholds"),
    ],
)
def test_an_export_that_contradicts_itself_is_refused(tmp_path, rows, told):
    with pytest.raises(ExportTableError, match=told):
        read_site_export(write_export(tmp_path / "export.csv", rows))


def test_one_bundle_is_chosen_by_its_first_digits(tmp_path):
    path = write_export(tmp_path / "export.csv", [knee(1), knee(2, bundle_hash="c" * 64)])
    assert [one.image for one in read_site_export(path, "CCC").knees] == ["i2#1"]
