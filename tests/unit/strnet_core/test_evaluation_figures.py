"""Figures against scikit-learn, scipy, known answers and the paper's printed counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, pearsonr
from sklearn.metrics import average_precision_score, brier_score_loss, matthews_corrcoef, roc_auc_score

from strnet_core.errors import CountsError
from strnet_core.evaluation.agreement import Agreement, agreement
from strnet_core.evaluation.bootstrap import Resampling, auprc_resampled, auroc_resampled, draws, interval, rates_resampled
from strnet_core.evaluation.calibration import calibration, probabilities
from strnet_core.evaluation.confusion import Confusion, confusion_of, point_rates, proportion, proportions, why_unmeasured
from strnet_core.evaluation.decision_curve import decision_curve
from strnet_core.evaluation.discrimination import Question, areas, difference, operating_point, specificity_at
from strnet_core.evaluation.prevalence import at_prevalences
from strnet_core.evaluation.published import PUBLISHED, counted, counts_that_round_to, recompute, severity_findings


def counts(tp, fn, tn, fp):
    return Confusion(true_positives=tp, false_negatives=fn, true_negatives=tn, false_positives=fp)


@pytest.fixture(scope="module")
def question():
    random = np.random.default_rng(11)
    truth = random.random(90) < 0.6
    # rounded: ties are what areas go wrong at
    logits = np.round(truth * 1.2 + random.normal(size=90), 1)
    return Question(truth=truth, logits=logits, clusters=np.arange(90))


def test_resampled_areas_and_rates_are_those_of_scikit_learn_on_every_resample(question):
    drawn = draws(question.truth, question.clusters, Resampling(replicates=300, seed=3))
    aurocs = auroc_resampled(question.truth, question.logits, drawn)
    auprcs = auprc_resampled(question.truth, question.logits, drawn)
    decided = question.logits >= 0.4
    rates = rates_resampled(question.truth, decided, drawn)
    for row in (0, 1, 255, 256, 299):
        weight = drawn[row].astype(float)
        taken = np.repeat(np.arange(90), drawn[row])
        assert aurocs[row] == pytest.approx(roc_auc_score(question.truth, question.logits, sample_weight=weight), abs=1e-12)
        assert auprcs[row] == pytest.approx(average_precision_score(question.truth[taken], question.logits[taken]), abs=1e-12)
        assert rates["mcc"][row] == pytest.approx(matthews_corrcoef(question.truth[taken], decided[taken]), abs=1e-12)


def test_the_bootstrap_draws_within_each_class_and_whole_clusters_from_a_seed(question):
    clusters = np.arange(90) // 2
    drawn = draws(question.truth, question.clusters, Resampling(replicates=50))
    assert (drawn[:, question.truth].sum(axis=1) == question.truth.sum()).all()
    assert (drawn[:, ~question.truth].sum(axis=1) == (~question.truth).sum()).all()
    pairs = draws(np.ones(90, bool), clusters, Resampling(replicates=50))
    assert (pairs[:, 0::2] == pairs[:, 1::2]).all()
    assert (draws(question.truth, clusters, Resampling(seed=1)) == draws(question.truth, clusters, Resampling(seed=1))).all()
    assert (draws(question.truth, clusters, Resampling(seed=1)) != draws(question.truth, clusters, Resampling(seed=2))).any()


def test_clusters_widen_the_interval():
    random = np.random.default_rng(2)
    truth = np.repeat(random.random(60) < 0.5, 4)
    logits = np.repeat(random.normal(size=60), 4) + truth
    alone = areas(Question(truth=truth, logits=logits, clusters=np.arange(240))).auroc
    together = areas(Question(truth=truth, logits=logits, clusters=np.arange(240) // 4)).auroc
    assert alone.value == together.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_the_interval_of_an_auroc_is_near_the_analytic_one(question):
    found = areas(question).auroc
    assert found.value == pytest.approx(roc_auc_score(question.truth, question.logits))
    # Hanley and McNeil 1982
    a, p, n = found.value, question.truth.sum(), (~question.truth).sum()
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (p - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (p * n))
    assert (found.low, found.high) == pytest.approx((a - 1.96 * error, a + 1.96 * error), abs=0.03)


def test_an_area_of_too_few_is_said_not_guessed(question):
    few = np.flatnonzero(question.truth)
    chosen = np.zeros(90, bool)
    chosen[few] = True
    assert areas(question.among(chosen)).auroc.missing == "no normal knee"
    chosen[np.flatnonzero(~question.truth)[:3]] = True
    assert areas(question.among(chosen)).auprc.missing == "only 3 normal knees"


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_rates_recompute_from_the_papers_counts(table):
    rates = point_rates(table.counts)
    cells = table.counts
    assert rates["sensitivity"] == cells.true_positives / cells.positives
    assert rates["accuracy"] == (cells.true_positives + cells.true_negatives) / cells.n


def test_the_papers_headline_and_external_counts_fit_and_figure_7_contradicts():
    headline, figure_7, external = (recompute(table) for table in PUBLISHED)
    assert headline.disagreements == external.disagreements == ()
    assert figure_7.disagreements == (
        "sensitivity is 0.901, printed 0.904",
        "specificity is 0.726, printed 0.773",
        "162 with bone loss, elsewhere 136",
        "62 normal, elsewhere 88",
    )
    assert headline.report.counts.n == figure_7.report.counts.n == 224


def test_intervals_of_the_papers_counts():
    headline, _, external = (recompute(table).report for table in PUBLISHED)

    def rounded(estimate):
        return round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)

    # 123/136, 68/88; 24, 6, 9, 3: Wilson
    assert rounded(headline.wilson["sensitivity"]) == (0.904, 0.843, 0.943)
    assert rounded(headline.wilson["specificity"]) == (0.773, 0.675, 0.848)
    assert rounded(external.wilson["sensitivity"]) == (0.800, 0.627, 0.905)
    assert rounded(external.wilson["specificity"]) == (0.750, 0.468, 0.911)
    assert rounded(external.wilson["ppv"])[1:] == (0.719, 0.961)
    # as printed in section 3.7: 0.800 (0.633-0.933), 0.750 (0.500-1.000), by 2,000 stratified resamples
    assert rounded(external.bootstrap["sensitivity"]) == (0.800, 0.633, 0.933)
    assert rounded(external.bootstrap["specificity"]) == (0.750, 0.500, 1.000)
    assert external.notes[1].startswith("only 12 normal")
    # the lower limit does not keep the 0.86 that the search asked for
    assert headline.wilson["sensitivity"].low < 0.86


def test_counted_and_resampled_decisions_have_the_same_intervals():
    truth = np.repeat([True, False], (136, 88))
    decided = np.concatenate((np.arange(136) < 123, np.arange(88) < 20))
    drawn = rates_resampled(truth, decided, draws(truth, np.arange(224), Resampling(replicates=4000)))
    report = counted(confusion_of(truth, decided), resampling=Resampling(replicates=4000))
    for rate in ("sensitivity", "npv", "mcc"):
        low, high = np.quantile(drawn[rate], (0.025, 0.975))
        assert (report.bootstrap[rate].low, report.bootstrap[rate].high) == pytest.approx((low, high), abs=0.012)


def test_printed_severity_rates_that_no_count_gives():
    assert counts_that_round_to(0.904, 136) == (123,)
    assert counts_that_round_to(0.765, 62) == counts_that_round_to(0.862, 74) == ()
    assert counts_that_round_to(0.862, 65) == (56,)
    assert len(severity_findings()) == 4


def test_counts_that_do_not_sum_are_refused():
    table = counts(123, 13, 68, 20)
    table.check_totals(positives=136, negatives=88, n=224)
    with pytest.raises(CountsError, match="136 with the condition, not 137"):
        table.check_totals(positives=137)
    with pytest.raises(CountsError, match="224 in all, not 225"):
        table.check_totals(n=225)
    with pytest.raises(CountsError):
        counts(1, -1, 0, 0)
    with pytest.raises(CountsError):
        counts(0, 0, 0, 0)


def test_proportions_know_wilson_and_clopper_pearson():
    wilson, exact = proportion(0, 10), proportion(0, 10, "Clopper-Pearson")
    z = norm.ppf(0.975)
    assert wilson.low == pytest.approx(0.0, abs=1e-12)
    assert wilson.high == pytest.approx(z * z / (10 + z * z))
    assert exact.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_a_rate_without_cases_says_why():
    only_positive = counts(8, 2, 0, 0)
    assert proportions(only_positive)["specificity"].missing == "no normal knee"
    assert point_rates(only_positive)["specificity"] is None
    assert why_unmeasured("mcc", only_positive) == "no normal knee"
    assert why_unmeasured("ppv", counts(0, 5, 5, 0)) == "no flagged knee"
    assert why_unmeasured("npv", counts(5, 0, 0, 5)) == "every knee is flagged"
    assert why_unmeasured("mcc", counts(5, 0, 0, 5)) == "every knee has the same decision"
    assert why_unmeasured("sensitivity", counts(5, 1, 2, 5)) == ""


def test_a_figure_that_most_resamples_lack_has_no_interval():
    lacking = interval(0.5, np.r_[np.full(20, np.nan), np.linspace(0.4, 0.6, 80)], "bootstrap", "")
    assert (lacking.value, lacking.low) == (0.5, None)
    assert "undefined in 20 of 100" in lacking.method


def test_decisions_are_those_of_the_gateway_at_the_threshold():
    logit = float(np.log(0.44 / 0.56))
    logits = np.array([logit, np.nextafter(logit, -1), 3.0, -3.0])
    asked = Question(truth=np.array([True, True, False, False]), logits=logits, clusters=np.arange(4))
    assert operating_point(asked, 0.44, "x", "").counts == counts(1, 1, 1, 1)


def test_specificity_at_a_sensitivity_is_the_best_cut():
    truth = np.array([True] * 5 + [False] * 5)
    logits = np.array([5.0, 4, 3, 2, 0, 1, -1, -2, -3, -4])
    asked = Question(truth=truth, logits=logits, clusters=np.arange(10))
    assert specificity_at(asked, 0.8).value == 1.0
    assert specificity_at(asked, 0.81).value == pytest.approx(0.8)


def test_the_difference_of_areas_is_paired(question):
    same = difference(question, question.logits)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    worse = difference(question, np.random.default_rng(0).normal(size=90))
    assert worse.low > 0.0


def test_calibration_finds_a_planted_slope_and_shift():
    random = np.random.default_rng(4)
    right = random.normal(0.3, 1.5, 20_000)
    truth = random.random(20_000) < probabilities(right)
    good = calibration(truth, right)
    assert good.slope.low < 1.0 < good.slope.high
    assert good.intercept.low < 0.0 < good.intercept.high
    assert good.brier == pytest.approx(brier_score_loss(truth, probabilities(right)))
    assert sum(each.n for each in good.bins) == 20_000
    assert good.expected_calibration_error < 0.02
    bad = calibration(truth, 2.0 * right + 1.0)
    assert bad.slope.value == pytest.approx(0.5, abs=0.03)
    assert bad.intercept.value < -0.5
    assert bad.expected_over_observed > 1.05
    assert good.brier_scaled > bad.brier_scaled


def test_a_score_that_separates_has_no_slope():
    assert "separated" in calibration(np.arange(20) > 9, np.arange(20.0) - 9.5).slope.missing


def test_agreement_against_scipy_and_known_answers():
    random = np.random.default_rng(6)
    reference = random.normal(-2, 0.7, 60)
    predicted = 0.8 * reference + random.normal(-0.3, 0.3, 60)
    found = agreement(reference, predicted)
    assert isinstance(found, Agreement)
    r = pearsonr(reference, predicted).statistic
    z, half = np.arctanh(r), norm.ppf(0.975) / np.sqrt(57)
    assert (found.pearson.low, found.pearson.high) == pytest.approx((np.tanh(z - half), np.tanh(z + half)))
    away = predicted - reference
    assert found.bias.value == pytest.approx(away.mean())
    assert found.upper_limit.value - found.lower_limit.value == pytest.approx(2 * 1.96 * away.std(ddof=1))
    assert found.rmse**2 == pytest.approx(away.var() + away.mean() ** 2)
    assert found.mae == pytest.approx(np.abs(away).mean())
    exact = agreement(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 4.5]))
    assert isinstance(exact, Agreement)
    assert exact.rmse == pytest.approx(0.25)
    assert "only 3 pairs" in str(agreement(np.arange(3.0), np.arange(3.0)))
    assert "all equal" in str(agreement(np.zeros(9), np.arange(9.0)))


def test_the_papers_interval_of_pearson_by_fisher():
    # r 0.801 of n 31: 0.62 to 0.90
    z, half = np.arctanh(0.801), norm.ppf(0.975) / np.sqrt(28)
    random = np.random.default_rng(1)
    x = random.normal(size=31)
    x = (x - x.mean()) / x.std()
    e = random.normal(size=31)
    e -= e.mean() + (e @ x) / 31 * x
    y = 0.801 * x + np.sqrt(1 - 0.801**2) * e / e.std()
    found = agreement(x, y)
    assert isinstance(found, Agreement)
    assert found.pearson.value == pytest.approx(0.801)
    assert (round(found.pearson.low, 2), round(found.pearson.high, 2)) == (0.62, 0.90)
    assert found.pearson.low == pytest.approx(np.tanh(z - half))


def test_predictive_values_at_a_local_prevalence():
    ten, thirty, half = at_prevalences(counts(904, 96, 773, 227), (0.1, 0.3, 0.5))
    assert [round(each.ppv.value, 2) for each in (ten, thirty, half)] == [0.31, 0.63, 0.80]
    assert [round(each.flagged_per_100.value) for each in (ten, thirty, half)] == [29, 43, 57]
    assert ten.referrals_per_found.value == pytest.approx(1 / ten.ppv.value)
    assert ten.npv.value > half.npv.value
    (perfect,) = at_prevalences(counts(12, 0, 12, 0), (0.2,))
    assert perfect.ppv.value == 1.0
    assert perfect.ppv.low < 0.9
    assert at_prevalences(counts(3, 2, 0, 0), (0.2,))[0].ppv.missing
    assert at_prevalences(counts(0, 9, 9, 0), (0.2,))[0].ppv.missing == "nobody, or everybody, is flagged"
    with pytest.raises(ValueError, match="between 0 and 1"):
        at_prevalences(counts(1, 1, 1, 1), (1.0,))


def test_net_benefit_by_hand():
    truth = np.array([True, True, False, False, False])
    asked = Question(truth=truth, logits=np.array([2.0, -9, 2, -9, -9]), clusters=np.arange(5))
    half = next(row for row in decision_curve(asked) if row.preference == 0.5)
    assert half.score.value == pytest.approx((1 - 1) / 5)
    assert half.everybody == pytest.approx(0.4 - 0.6)
    fifth = next(row for row in decision_curve(asked) if row.preference == 0.2)
    assert fifth.score.value == pytest.approx((1 - 0.25) / 5)
