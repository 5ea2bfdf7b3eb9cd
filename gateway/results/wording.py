"""What a result says of its values, in one language: the catalogue's sentences with their gaps filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.finding import KneeFinding, Laterality, ModelIdentity, NotAssessed, StudyReport, UnassessedKnee
from gateway.domain.outcome import InstanceOutcome, KneeDecision
from gateway.results.printed_score import printed_score, printed_threshold, rounded
from gateway.results.texts import Texts
from gateway.results.texts.catalogue import KneeNames


@dataclass(frozen=True, slots=True)
class Wording:
    """Pure: values in, sentences out. `texts` decides the language."""

    texts: Texts

    def decision(self, knee: KneeFinding) -> str:
        decisions = self.texts.decisions
        return decisions.flagged if _is_flagged(knee) else decisions.not_flagged

    def headline(self, report: StudyReport) -> str:
        if not report.knees:
            return self.texts.not_processed
        return self.texts.decisions.flagged if report.flagged else self.texts.decisions.not_flagged

    def side(self, knee: KneeFinding, number: int) -> str:
        """ "Right knee", "Left knee", or "Knee 2, side unknown": `number` is the knee's own when the side is not known."""
        return _knee_name(self.texts.knees, knee.laterality, number)

    def score_alone(self, knee: KneeFinding, model: ModelIdentity) -> str:
        """For a place where the threshold stands beside it as a drawing."""
        return self.texts.numbers.score.format(score=printed_score(knee, model.screening_threshold).score)

    def threshold(self, model: ModelIdentity) -> str:
        return self.texts.numbers.threshold.format(threshold=printed_threshold(model.screening_threshold))

    def knee_sentence(self, name: str, knee: KneeFinding, model: ModelIdentity) -> str:
        decisions = self.texts.decisions
        return _about_knee(decisions.flagged_sentence if _is_flagged(knee) else decisions.not_flagged_sentence, name, knee, model)

    def severity(self, score: float) -> str:
        return self.texts.numbers.severity.format(value=rounded(score, 0))

    def t_score(self, t_score: float) -> str:
        return self.texts.numbers.t_score.format(value=rounded(t_score, 1))

    def network(self, model: ModelIdentity) -> str:
        """Figures of other weights must never be borrowed: the weights are part of the name."""
        return self.texts.descriptions.network.format(name=model.name, weights=model.weights_sha256[:12])

    def label(self, model: ModelIdentity) -> str:
        """What every page and every disclaimer is headed with; empty only for clinical use."""
        labels = self.texts.labels
        return {"clinical": "", "demonstration": labels.demonstration}.get(model.intended_use, labels.research)

    def report_series(self, model: ModelIdentity) -> str:
        descriptions = self.texts.descriptions
        return self._series(model, descriptions.report_series, descriptions.report_series_labelled)

    def pages_series(self, model: ModelIdentity) -> str:
        descriptions = self.texts.descriptions
        return self._series(model, descriptions.pages_series, descriptions.pages_series_labelled)

    def _series(self, model: ModelIdentity, plain: str, labelled: str) -> str:
        """At most 64 characters (PS3.5 6.2, LO)."""
        labels = self.texts.labels
        if model.intended_use == "clinical":
            return plain
        short = labels.demonstration_short if model.intended_use == "demonstration" else labels.research_short
        return labelled.format(label=short)

    def evidence(self, model: ModelIdentity) -> str:
        return model.evidence.strip() or self.texts.performance_unknown

    def reason(self, outcome: str) -> str:
        """The outcome in words, with its code, so that a reader and `explain` speak of the same thing."""
        words = self.texts.outcomes.get(InstanceOutcome(outcome)) if outcome in set(InstanceOutcome) else None
        return self.texts.reason.format(words=words, code=outcome) if words else self.texts.unnamed_reason.format(code=outcome)

    def quality_flag(self, flag: str) -> str:
        return self.texts.flags.get(flag) or flag.replace("_", " ").replace("-", " ").strip()

    def unassessed_title(self, knee: UnassessedKnee) -> str:
        return _knee_name(self.texts.unassessed_knees, knee.laterality, knee.position)

    def unassessed_knee(self, knee: UnassessedKnee) -> str:
        """ "right knee", "left knee", or "knee 1 from the image's left"."""
        return _knee_name(self.texts.unassessed_knees_in_sentence, knee.laterality, knee.position)

    def inputs(self, name: str, knee: KneeFinding) -> str:
        texts = self.texts.findings
        age = texts.age.format(years=knee.age_years) if knee.age_years is not None else texts.age_unknown
        sex = texts.sex.format(sex=self.texts.sexes.get(knee.sex, knee.sex)) if knee.sex else texts.sex_unknown
        known = texts.inputs.format(age=age, sex=sex)
        return self.of_knee(name, known if knee.bmi is None else texts.with_bmi.format(inputs=known, value=rounded(knee.bmi, 1)))

    def of_knee(self, name: str, text: str) -> str:
        return self.texts.findings.of_knee.format(knee=name, text=text)

    def listed(self, items: Iterable[str]) -> str:
        return self.texts.list_gap.join(items)

    def summary(self, report: StudyReport, names: Sequence[str]) -> str:
        """The narrative of the report; `names` are the knees' in their order."""
        texts = self.texts.summaries
        if not report.knees:
            reasons = self.listed(dict.fromkeys(self.reason(item.outcome) for item in report.not_assessed)) or texts.no_image
            return texts.not_processed.format(network=report.model.name, reasons=reasons)
        sentences = [texts.headline_flagged if report.flagged else texts.headline_not_flagged]
        sentences += [self._in_summary(name, knee, report.model) for name, knee in zip(names, report.knees, strict=True)]
        sentences += [
            texts.unassessed_knee.format(knee=self.unassessed_knee(item.knee), reason=self.reason(item.outcome))
            for item in report.not_assessed
            if item.knee is not None
        ]
        images = sum(item.knee is None for item in report.not_assessed)
        if images:
            sentences.append(texts.unassessed_images.format(count=images))
        return self.texts.sentence_gap.join(sentences)

    def _in_summary(self, name: str, knee: KneeFinding, model: ModelIdentity) -> str:
        decisions = self.texts.decisions
        return _about_knee(decisions.flagged_in_summary if _is_flagged(knee) else decisions.not_flagged_in_summary, name, knee, model)

    def not_assessed_finding(self, item: NotAssessed) -> str:
        texts, reason = self.texts.findings, self.reason(item.outcome)
        if item.knee is None:
            return texts.image_not_assessed.format(reason=reason, uid=item.sop_instance_uid)
        return texts.knee_not_assessed.format(reason=reason, uid=item.sop_instance_uid, knee=self.unassessed_knee(item.knee))

    def limits(self, *, t_score: bool) -> tuple[str, ...]:
        """t_score: whether an estimate is shown."""
        return (*self.texts.limits, self.texts.t_score_limit) if t_score else self.texts.limits

    def disclaimer(self, model: ModelIdentity, *, t_score: bool) -> str:
        stamp = self.label(model)
        head = (self.texts.labels.sentence.format(label=stamp),) if stamp else ()
        return self.texts.sentence_gap.join((*head, *self.limits(t_score=t_score), self.evidence(model)))

    def map_note(self, rows: int, columns: int) -> str:
        overlay = self.texts.overlay
        return (overlay.map_square if rows == columns else overlay.map_oblong).format(rows=rows, columns=columns)


def _is_flagged(knee: KneeFinding) -> bool:
    return knee.decision is KneeDecision.FLAGGED


def _about_knee(sentence: str, name: str, knee: KneeFinding, model: ModelIdentity) -> str:
    shown = printed_score(knee, model.screening_threshold)
    return sentence.format(knee=name, score=shown.score, threshold=shown.threshold)


def _knee_name(names: KneeNames, side: Laterality, number: int) -> str:
    if side is Laterality.UNKNOWN:
        return names.numbered.format(number=number)
    return names.right if side is Laterality.RIGHT else names.left
