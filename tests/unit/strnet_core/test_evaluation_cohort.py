"""From a table to cases: what is read, what is refused, and one score per patient."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strnet_core.errors import CountsError, OneClassError, PredictionsError, TooFewCasesError
from strnet_core.evaluation import PREDICTION_COLUMNS, Case, read_labels, read_predictions, write_predictions
from strnet_core.evaluation.cohort import Cohort, Step, cohort_of, with_family
from strnet_core.training.films import family_of
from tests.unit.strnet_core.evaluation_cases import planted


def table(path, *rows, columns=PREDICTION_COLUMNS):
    path.write_text("\n".join((",".join(columns), *rows)) + "\n")
    return path


def test_what_is_written_is_read_to_the_bit(tmp_path):
    cases = (*planted(6), Case(image="x.jpg", patient_id="p", label_cls=1, refused="quality: metal, not_a_knee"))
    write_predictions(tmp_path / "p.csv", cases)
    assert read_predictions(tmp_path / "p.csv") == cases


def test_empty_cells_are_unknown_and_other_columns_are_passed_over(tmp_path):
    columns = ("image", "patient_id", "label_cls", "logit", "sex", "ward")
    (case,) = read_predictions(table(tmp_path / "p.csv", "a.jpg,7,2.0,-0.25,f,B4", columns=columns))
    assert case == Case(image="a.jpg", patient_id="7", label_cls=2, logit=-0.25, sex="F")
    assert case.cluster == "7"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,1,,,3,,,,,0.1,,,", "row 2, label_cls"),
        ("a,1,,,1,,200,,,0.1,,,", "row 2, age: out of range"),
        ("a,1,,,1,,,X,,0.1,,,", "row 2, sex"),
        ("a,1,,,1,,,,,nan,,,", "row 2, logit: out of range"),
        ("a,1,,,1,,,,,many,,,", "row 2, logit: no number"),
        (",1,,,1,,,,,0.1,,,", "row 2 lacks image"),
        ("a,1,,,1", "row 2 has more or fewer cells"),
        ("a,1,,,1,,,,,0.1,,,\na,2,,,1,,,,,0.1,,,", "rows 2 and 3 name the same image"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column_without_its_value(tmp_path, row, told):
    with pytest.raises(PredictionsError, match=told) as error:
        read_predictions(table(tmp_path / "p.csv", row))
    assert "many" not in str(error.value)
    assert "200" not in str(error.value)


def test_a_table_without_rows_or_columns_is_refused(tmp_path):
    with pytest.raises(PredictionsError, match="no rows"):
        read_predictions(table(tmp_path / "p.csv"))
    with pytest.raises(PredictionsError, match="no column logit"):
        read_predictions(table(tmp_path / "p.csv", "a,1,1", columns=("image", "patient_id", "label_cls")))
    assert read_labels(tmp_path / "p.csv")[0].label_cls == 1
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PredictionsError, match="UnicodeDecodeError"):
        read_predictions(tmp_path / "p.csv")


def test_a_patients_score_is_that_of_the_worst_image():
    rows = list(planted(30))
    rows[0] = replace(rows[0], logit=9.0, severity_logit=-1.0, t_score_pred=-2.0)
    rows[1] = replace(rows[1], logit=1.0, severity_logit=4.0, t_score_pred=-1.0)
    first = cohort_of(rows, "patient").cases[0]
    assert (first.logit, first.severity_logit, first.t_score_pred) == (9.0, 4.0, -1.5)
    assert len(cohort_of(rows, "image").cases) == 60


def test_a_patient_with_two_labels_is_refused_by_patient_and_taken_by_image():
    rows = list(planted(30))
    rows[1] = replace(rows[1], label_cls=2)
    with pytest.raises(PredictionsError, match="--unit image"):
        cohort_of(rows, "patient")
    assert cohort_of(rows, "image").images == 60


def test_what_is_left_out_is_counted_by_reason():
    rows = list(planted(30))
    rows[0] = replace(rows[0], logit=None, refused="quality: metal")
    rows[1] = replace(rows[1], logit=None, refused="quality: metal")
    rows[2] = replace(rows[2], logit=None)
    rows[4] = replace(rows[4], label_cls=None)
    cohort = cohort_of(rows, "patient")
    assert [(step.reason, step.left_out) for step in cohort.flow] == [
        ("without a label", 1),
        ("quality: metal", 2),
        ("without a prediction", 1),
    ]
    assert (cohort.rows, cohort.images, cohort.patients, cohort.patients_named) == (60, 56, 29, 30)


def test_one_class_and_too_few_are_refused():
    rows = planted(30)
    with pytest.raises(OneClassError, match="40 with bone loss, 0 normal"):
        cohort_of([case for case in rows if case.label_cls], "image")
    with pytest.raises(TooFewCasesError, match="4 normal; at least 5"):
        cohort_of([*[case for case in rows if case.label_cls], *[case for case in rows if not case.label_cls][:4]], "image")
    with pytest.raises(TooFewCasesError, match="no case"):
        cohort_of([replace(case, logit=None) for case in rows], "image")


def test_a_flow_that_does_not_sum_is_refused():
    good = cohort_of(planted(30), "image")
    with pytest.raises(CountsError, match="60 rows less"):
        Cohort(unit="image", rows=60, flow=(Step(reason="x", left_out=1),), images=60, patients_named=30, cases=good.cases)


def test_the_shape_is_the_family_where_none_is_named():
    families = {case.family for case in cohort_of(planted(30), "image").cases}
    assert families == {"square", "tall"}
    named = cohort_of([replace(case, family="vendor A") for case in planted(30)], "image")
    assert {case.family for case in named.cases} == {"vendor A"}


def test_where_no_patient_is_known_group_or_film_stands_in(tmp_path):
    columns = ("image", "label_cls", "logit", "group")
    cases = read_predictions(table(tmp_path / "p.csv", "a#1,0,0.5,", "a#2,0,0.5,", "b,0,0.5,g1", "c,0,0.5,g1", columns=columns))
    assert [case.patient_id for case in cases] == ["film a", "film a", "group g1", "group g1"]
    assert not any(case.is_patient_known for case in cases)
    write_predictions(tmp_path / "again.csv", cases)
    assert read_predictions(tmp_path / "again.csv") == cases


@pytest.mark.parametrize(("tie", "told"), [({"patient_id": "p0"}, "1 patients"), ({"group": "p0"}, "1 groups")])
def test_a_patient_or_a_group_in_two_folds_is_refused(tie, told):
    rows = list(planted(30))
    rows[6] = replace(rows[6], **tie)
    assert rows[0].fold != rows[6].fold
    with pytest.raises(PredictionsError, match=told):
        cohort_of(rows, "image")
    assert cohort_of([replace(case, fold=None) for case in rows], "image").images == 60


@pytest.mark.parametrize(
    ("size", "family"), [((100, 105), "square"), ((100, 106), "tall"), ((1052, 1000), "wide"), ((1050, 1000), "square")]
)
def test_a_family_is_told_by_one_rule(size, family):
    assert family_of(*size) == with_family(Case(image="a", patient_id="1", size=size)).family == family
