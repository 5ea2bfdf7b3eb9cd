"""The whole evaluation: baselines, subgroups, report."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kruskal
from sklearn.metrics import average_precision_score, roc_auc_score

from strnet_core.evaluation import EvaluationSettings, Source, evaluate, write_report
from strnet_core.evaluation.baselines import AGE_AND_BMI, FAMILY, SIZE, baselines
from strnet_core.evaluation.bootstrap import Resampling
from strnet_core.evaluation.characteristics import characteristics
from strnet_core.evaluation.cohort import cohort_of
from strnet_core.evaluation.comparison import compare, spreads
from strnet_core.evaluation.document import document
from strnet_core.evaluation.evaluation import screening_question
from strnet_core.evaluation.subgroups import subgroups
from tests.unit.strnet_core.evaluation_cases import planted

QUICK = EvaluationSettings(resampling=Resampling(replicates=200))
SOURCE = Source(name="p<1>.csv", sha256="0" * 64)


@pytest.fixture(scope="module")
def found():
    return evaluate(planted(), QUICK)


@pytest.fixture(scope="module")
def compared():
    return compare([("a", planted()), ("b", planted(seed=6))], QUICK)


@pytest.fixture(scope="module")
def written(found, compared, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report") / "new" / "folder", found, SOURCE, compared)


def baselines_of(rows):
    cohort = cohort_of(rows, "patient")
    return {each.name: each for each in baselines(cohort.cases, screening_question(cohort), QUICK.resampling)}


def test_areas_are_those_of_scikit_learn_over_patients(found):
    cohort = cohort_of(planted(), "patient")
    assert found.screening.areas.auroc.value == roc_auc_score(cohort.truth, cohort.logits)
    assert (found.screening.positives, found.screening.negatives) == (80, 40)
    assert found.per_image is not None
    assert (found.per_image.positives, found.per_image.negatives) == (160, 80)


def test_every_operating_point_sums_to_the_cohort(found):
    assert [point.name for point in found.screening.points] == ["searched", "paper", "cross-fitted"]
    assert all(point.counts.n == 120 for point in found.screening.points)
    assert found.screening.points[0].threshold == found.search.found.threshold
    given = evaluate(planted(), replace(QUICK, threshold=0.3, threshold_origin="a ward round"))
    assert [point.name for point in given.screening.points] == ["given", "searched", "paper", "cross-fitted"]
    assert given.screening.points[0].origin == "a ward round"
    assert not any("no threshold was given" in note for note in given.notes)


def test_severity_is_asked_within_bone_loss_only(found):
    assert (found.severity.positives, found.severity.negatives) == (40, 40)
    cohort = [case for case in cohort_of(planted(), "patient").cases if case.label_cls]
    expected = roc_auc_score([case.label_cls == 2 for case in cohort], [case.severity_logit for case in cohort])
    assert found.severity.areas.auroc.value == expected
    without = evaluate([replace(case, severity_logit=None, t_score_pred=None) for case in planted()], QUICK)
    assert without.severity == "severity cannot be measured: no severity logits"
    assert "only 0 pairs" in without.t_score


def test_a_baseline_that_tells_nothing_is_beaten_and_one_that_tells_all_is_not(found):
    by_name = {each.name: each for each in found.baselines}
    assert by_name[AGE_AND_BMI].n == 120
    assert by_name[AGE_AND_BMI].folds == "folds of the table"
    assert by_name[AGE_AND_BMI].areas.auroc.high < found.screening.areas.auroc.low
    assert by_name[AGE_AND_BMI].difference.low > 0.0
    aged = evaluate([replace(case, age=40.0 + 10 * case.label_cls + len(case.image) / 10, fold=None) for case in planted()], QUICK)
    by_age = next(each for each in aged.baselines if each.name == AGE_AND_BMI)
    assert by_age.areas.auroc.value > 0.99
    assert by_age.folds.startswith("5 folds made here")
    assert any("not shown to be better than age and BMI alone" in note for note in aged.notes)


def test_a_baseline_without_its_covariate_says_so():
    bare = [replace(case, age=None, size=None) for case in planted()]
    assert {name: each.missing for name, each in baselines_of(bare).items()} == dict.fromkeys((AGE_AND_BMI, FAMILY, SIZE), "no case has it")
    same = [replace(case, age=None, size=(9, 9)) for case in planted()]
    assert baselines_of(same)[SIZE].missing == "it is the same for all cases"


def test_the_baseline_is_judged_on_the_cases_that_have_it_and_so_is_the_network():
    some = [replace(case, age=None) if int(case.patient_id[1:]) < 60 else case for case in planted()]
    by_age = baselines_of(some)[AGE_AND_BMI]
    assert by_age.n == 60
    half = cohort_of(some, "patient").cases[60:]
    expected = roc_auc_score([case.has_bone_loss for case in half], [case.logit for case in half])
    assert by_age.network.auroc.value == expected


def test_what_a_subgroup_cannot_show_is_said():
    rows = [replace(case, age=60.0 if case.label_cls else 40.0) for case in planted()]
    measured = evaluate(rows, QUICK)
    groups = {(group.dimension, group.name): group for group in measured.subgroups}
    over = groups["age", "50 and over"]
    assert over.specificity.missing == "no normal patient"
    assert over.notes == ("AUROC cannot be measured: no normal patient", "specificity cannot be measured: no normal patient")
    assert "age 50 and over: specificity cannot be measured: no normal patient" in measured.notes
    assert over.sensitivity.denominator == 80
    assert groups["age", "under 50"].sensitivity.missing == "no bone-loss patient"
    for dimension in ("age", "sex", "BMI", "family"):
        assert sum(group.counts.n for name, group in groups.items() if name[0] == dimension) == 120


def test_unknown_is_a_group_of_its_own_and_a_dimension_without_values_is_none():
    rows = [replace(case, sex=None if case.fold == "0" else case.sex, bmi=None) for case in planted()]
    cohort = cohort_of(rows, "patient")
    groups = subgroups(cohort.cases, screening_question(cohort), cohort.logits > 0.0, None, QUICK.resampling)
    names = [(group.dimension, group.name) for group in groups]
    assert ("sex", "unknown") in names
    assert not any(dimension == "BMI" for dimension, _ in names)
    assert groups[0].baseline_auroc.missing == "no age and BMI"


def test_characteristics_by_class_against_scipy():
    cases = cohort_of(planted(), "patient").cases
    made = characteristics(cases)
    assert made.classes == {"normal": 40, "osteopenia": 40, "osteoporosis": 40}
    age = next(line for line in made.lines if line.name == "age, years")
    parts = [[case.age for case in cases if case.label_cls == label] for label in (0, 1, 2)]
    assert age.p == pytest.approx(kruskal(*parts).pvalue)
    assert age.by_class["normal"].sd == pytest.approx(np.std(parts[0], ddof=1))
    female = next(line for line in made.lines if line.name == "female")
    assert female.p == pytest.approx(1.0)
    assert sum(part.count for part in female.by_class.values()) == female.overall.count


def test_the_report_is_one_page_that_fetches_nothing_and_the_same_as_json(found, written):
    html, values = written
    page = html.read_text(encoding="utf-8")
    assert "p&lt;1&gt;.csv" in page
    assert page.count("<img ") == 10
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'<img src="([^"]*)"', page))
    assert not re.findall(r"<(?:script|link|iframe)|https?://", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    told = json.loads(values.read_text(encoding="utf-8"))
    assert told["screening"]["areas"]["auroc"]["value"] == found.screening.areas.auroc.value
    assert (told["schema"], told["cohort"]["n"], len(told["compared"])) == (1, 120, 2)


def test_the_same_table_and_seed_give_the_same_bytes(compared, written, tmp_path):
    again = write_report(tmp_path, evaluate(planted(), QUICK), SOURCE, compared)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_a_report_holds_no_single_patient(found):
    told = json.dumps(document(found))
    assert not re.search(r'"p\d+"', told)
    assert "f7#1" not in told


def test_sets_are_compared_over_the_cases_that_both_have():
    better = [replace(case, logit=case.logit + case.label_cls) for case in planted()][:160]
    first, second = compare([("plain", planted()), ("better", better)], QUICK)
    assert (first.n, second.n, second.common) == (120, 80, 80)
    assert second.difference.low > 0.0
    assert first.difference.missing
    assert second.counts.n == 80
    spread = spreads((first, second))
    assert spread["auroc"].mean == pytest.approx((first.auroc.value + second.auroc.value) / 2)
    assert spreads((first,)) == {}


def test_without_a_feasible_threshold_the_report_says_so():
    low = [replace(case, logit=case.logit - 30.0) for case in planted()]
    assert any("no threshold of the grid" in note for note in evaluate(low, QUICK).notes)


def test_figures_within_folds_are_those_of_scikit_learn_fold_by_fold(found):
    cohort = cohort_of(planted(), "patient")
    by_fold = [[case for case in cohort.cases if case.fold == str(fold)] for fold in range(5)]
    truths, logits = ([[value(case) for case in cases] for cases in by_fold] for value in (lambda c: c.has_bone_loss, lambda c: c.logit))
    expected = [roc_auc_score(*pair) for pair in zip(truths, logits, strict=True)]
    precisions = [average_precision_score(*pair) for pair in zip(truths, logits, strict=True)]
    within = found.within_folds
    assert [each.auroc.value for each in within.folds] == expected
    assert within.auroc.value == pytest.approx(np.mean(expected))
    assert within.auprc.value == pytest.approx(np.mean(precisions))
    assert within.auroc.low < within.auroc.value < within.auroc.high
    assert within.differences[AGE_AND_BMI].low > 0.0
    assert not any("within folds" in note for note in found.notes)
    assert evaluate([replace(case, fold=None) for case in planted()], QUICK).within_folds is None


def test_folds_whose_logits_lie_at_different_levels_are_told():
    shifted = evaluate([replace(case, logit=case.logit + 4.0 * int(case.fold)) for case in planted()], QUICK)
    straight = evaluate(planted(), QUICK)
    assert shifted.within_folds.auroc == straight.within_folds.auroc
    assert shifted.within_folds.differences == straight.within_folds.differences
    assert shifted.within_folds.disagreement < -0.1
    assert "different levels" in shifted.notes[-1]
