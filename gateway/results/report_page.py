"""Page 1 of the Secondary Capture series: the report card. No name, no identifier, no date of birth is ever drawn."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.domain.outcome import KneeDecision
from gateway.results.canvas import (
    BODY_SIZE,
    FLAG,
    LARGE_SIZE,
    LINE,
    MARGIN,
    NEUTRAL,
    PANEL,
    QUIET,
    SMALL_SIZE,
    TEXT,
    TITLE_SIZE,
    WIDTH,
    Canvas,
    Colour,
    length,
    line_height,
    stamp,
)
from gateway.results.plan import Plan, ReportedKnee
from gateway.results.printed_score import printed_score, printed_threshold
from gateway.results.typeface import can_draw
from gateway.results.wrapping import wrapped

_INNER: Final = WIDTH - 2 * MARGIN
_GAP: Final = 20
_CARD: Final = (_INNER - _GAP) // 2
_PADDING: Final = 20
_DECISION_SIZE: Final = 22
_NAMED: Final = 4


def report_page(plan: Plan) -> npt.NDArray[np.uint8]:
    """uint8 (rows, 1024, 3), RGB."""
    return _drawn(plan).pixels()


def page_texts(plan: Plan) -> tuple[str, ...]:
    """Every text of the page, for the checks that read it."""
    return tuple(_drawn(plan).texts)


def _drawn(plan: Plan) -> Canvas:
    canvas, texts = Canvas(), plan.wording.texts.card
    stamp(canvas, plan.wording.label(plan.report.model))
    _heading(canvas, plan)
    _headline(canvas, plan)
    _cards(canvas, plan)
    _section(canvas, texts.not_assessed, _not_assessed(plan))
    _section(canvas, texts.limits, plan.limits)
    _section(canvas, texts.network, _network(plan))
    canvas.y += 4
    return canvas


def _heading(canvas: Canvas, plan: Plan) -> None:
    canvas.y = canvas.paragraph(MARGIN, canvas.y, _INNER, plan.wording.texts.card.title, size=TITLE_SIZE)
    canvas.y = canvas.paragraph(MARGIN, canvas.y, _INNER, plan.wording.network(plan.report.model), colour=QUIET) + 16


def _headline(canvas: Canvas, plan: Plan) -> None:
    top, report = canvas.y, plan.report
    height = 96
    colour = FLAG if report.flagged else NEUTRAL
    canvas.draw.rectangle((MARGIN, top, WIDTH - MARGIN, top + height), fill=PANEL)
    canvas.draw.rectangle((MARGIN, top, MARGIN + 8, top + height), fill=colour)
    canvas.paragraph(MARGIN + 28, top + 14, _INNER - 40, plan.wording.headline(report), size=TITLE_SIZE, colour=colour)
    texts = plan.wording.texts
    rule = texts.card.headline_rule if report.knees else texts.not_processed_meaning
    canvas.paragraph(MARGIN + 28, top + 60, _INNER - 40, rule, size=BODY_SIZE, colour=QUIET)
    canvas.y = top + height + 20


def _cards(canvas: Canvas, plan: Plan) -> None:
    """Two in a row. A right knee before a left one, as a film is hung."""
    knees = sorted(plan.knees, key=lambda knee: knee.code_suffix == "L")
    for start in range(0, len(knees), 2):
        row = knees[start : start + 2]
        lines = max(len(wrapped(plan.wording.decision(knee.finding), size=_DECISION_SIZE, width=_CARD - 2 * _PADDING)) for knee in row)
        height = lines * line_height(_DECISION_SIZE)
        bottom = max(_card(canvas, plan, knee, MARGIN + index * (_CARD + _GAP), height) for index, knee in enumerate(row))
        for index in range(len(row)):
            left = MARGIN + index * (_CARD + _GAP)
            canvas.draw.rectangle((left, canvas.y, left + _CARD, bottom), outline=LINE)
        canvas.y = bottom + _GAP


def _card(canvas: Canvas, plan: Plan, knee: ReportedKnee, left: int, decision_height: int) -> int:
    """Draw one knee; the y below it. decision_height: that of the row, so that its scales stand side by side."""
    colour = FLAG if knee.finding.decision is KneeDecision.FLAGGED else NEUTRAL
    canvas.draw.rectangle((left, canvas.y, left + _CARD, canvas.y + 6), fill=colour)
    y = canvas.paragraph(left + _PADDING, canvas.y + 20, _CARD - 2 * _PADDING, knee.name, size=LARGE_SIZE)
    lines = _card_lines(plan, knee)
    canvas.paragraph(left + _PADDING, y + 2, _CARD - 2 * _PADDING, lines[0][0], size=_DECISION_SIZE, colour=colour)
    y = _scale(canvas, plan, knee, left + _PADDING, y + decision_height + 12)
    for text, size, line_colour in lines[1:]:
        y = canvas.paragraph(left + _PADDING, y, _CARD - 2 * _PADDING, text, size=size, colour=line_colour)
    return y + 14


def _card_lines(plan: Plan, knee: ReportedKnee) -> list[tuple[str, int, Colour]]:
    finding, report, wording = knee.finding, plan.report, plan.wording
    texts = wording.texts
    lines = [
        (wording.decision(finding), _DECISION_SIZE, TEXT),
        (wording.score_alone(finding, report.model), BODY_SIZE, TEXT),
    ]
    if plan.shows_severity and finding.severity_score is not None:
        lines.append((wording.severity(finding.severity_score), BODY_SIZE, TEXT))
    if plan.shows_t_score and finding.t_score is not None:
        lines.append((wording.t_score(finding.t_score), BODY_SIZE, TEXT))
    image = next(image for image in plan.images if knee in image.knees)
    side = texts.card.side_of_image.format(image=image.title, side=texts.side_sources[finding.laterality_source])
    lines.append((side, SMALL_SIZE, QUIET))
    lines += [(texts.card.note.format(flag=wording.quality_flag(flag)), SMALL_SIZE, QUIET) for flag in finding.quality_flags]
    return lines


def _scale(canvas: Canvas, plan: Plan, knee: ReportedKnee, left: int, top: int) -> int:
    """0 to 100 with the threshold as a line across and the score as a marker; its numbers are the printed ones."""
    shown = printed_score(knee.finding, plan.report.model.screening_threshold)
    width = _CARD - 2 * _PADDING
    colour = FLAG if knee.finding.decision is KneeDecision.FLAGGED else NEUTRAL
    bar = top + 30
    threshold_x = left + round(width * float(shown.threshold) / 100)
    score_x = left + round(width * float(shown.score) / 100)
    canvas.draw.rectangle((left, bar, left + width, bar + 8), fill=LINE)
    canvas.draw.line((threshold_x, bar - 10, threshold_x, bar + 18), fill=TEXT, width=2)
    canvas.draw.polygon(((score_x, bar + 4), (score_x - 9, bar - 12), (score_x + 9, bar - 12)), fill=colour)
    score = str(shown.score)
    canvas.text((_centred(score_x, score, left, width), top - 4), score, colour=colour)
    label = plan.wording.threshold(plan.report.model)
    canvas.text((_centred(threshold_x, label, left + 16, width - 48, SMALL_SIZE), bar + 20), label, size=SMALL_SIZE, colour=QUIET)
    canvas.text((left, bar + 20), "0", size=SMALL_SIZE, colour=QUIET)
    canvas.text((left + width - 28, bar + 20), "100", size=SMALL_SIZE, colour=QUIET)
    return bar + 50


def _centred(x: int, text: str, left: int, width: int, size: int = BODY_SIZE) -> int:
    taken = length(text, size)
    return round(min(max(x - taken / 2, left), left + width - taken))


def _not_assessed(plan: Plan) -> tuple[str, ...]:
    """One line per reason, so that a misrouted series of hundreds does not push the limits off the page; the SR names each."""
    wording, names = plan.wording, dict[str, list[str]]()
    for name, item in plan.not_assessed:
        names.setdefault(item.outcome, []).append(name)
    lines = []
    for outcome, of_reason in names.items():
        more = len(of_reason) - _NAMED
        listed = wording.listed(of_reason[:_NAMED])
        if more > 0:
            listed = wording.texts.images.more.format(names=listed, count=more)
        lines.append(wording.texts.card.unassessed.format(names=listed, reason=wording.reason(outcome)))
    return tuple(lines)


def _network(plan: Plan) -> tuple[str, ...]:
    model, texts = plan.report.model, plan.wording.texts.card
    weights = texts.weights.format(name=model.name, version=model.version, weights=model.weights_sha256[:16], bundle=model.bundle_hash[:16])
    threshold = texts.threshold_bound.format(threshold=printed_threshold(model.screening_threshold)) if plan.knees else ""
    revision = texts.revision.format(number=plan.report.revision) if plan.report.predecessor else ""
    evidence = plan.wording.evidence(model)
    lines = (weights, threshold, evidence if can_draw(evidence) else texts.evidence_elsewhere, _computed(plan), revision)
    return tuple(line for line in lines if line)


def _computed(plan: Plan) -> str:
    engines = plan.wording.listed(dict.fromkeys(knee.finding.engine_profile for knee in plan.knees))
    texts = plan.wording.texts.card
    return (texts.computed_with if engines else texts.computed).format(moment=plan.moment.for_reading, engines=engines)


def _section(canvas: Canvas, title: str, lines: tuple[str, ...]) -> None:
    if not lines:
        return
    canvas.draw.line((MARGIN, canvas.y, WIDTH - MARGIN, canvas.y), fill=LINE)
    canvas.y += 10
    column = MARGIN + 160
    canvas.text((MARGIN, canvas.y), title, colour=QUIET)
    for line in lines:
        canvas.y = canvas.paragraph(column, canvas.y, WIDTH - MARGIN - column, line) + 3
    canvas.y += 10
