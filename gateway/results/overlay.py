"""Overlay pages: the source beside the same source under its Grad-CAM."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from PIL import Image

from gateway.domain.finding import Region
from gateway.domain.outcome import KneeDecision
from gateway.results.canvas import (
    BODY_SIZE,
    FLAG,
    LARGE_SIZE,
    LINE,
    MARGIN,
    NEUTRAL,
    QUIET,
    SMALL_SIZE,
    WIDTH,
    Canvas,
    length,
    line_height,
    stamp,
)
from gateway.results.heat import Rgb, blend, coloured, normalised_map
from gateway.results.plan import Plan, ReportedImage
from gateway.results.wrapping import wrapped

_GAP: Final = 16
_PANEL_WIDTH: Final = (WIDTH - 2 * MARGIN - _GAP) // 2
_PANEL_HEIGHT: Final = 840
_NARROWEST_TAG: Final = 60
_CAPTION: Final = 24
_BAR: Final = (320, 16)


def overlay_page(plan: Plan, image: ReportedImage) -> Rgb:
    """uint8 (rows, 1024, 3), RGB."""
    return _drawn(plan, image).pixels()


def page_texts(plan: Plan, image: ReportedImage) -> tuple[str, ...]:
    """Every text of the page, for the checks that read it."""
    return tuple(_drawn(plan, image).texts)


def _drawn(plan: Plan, image: ReportedImage) -> Canvas:
    canvas = Canvas()
    stamp(canvas, plan.wording.label(plan.report.model))
    canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, image.title, size=LARGE_SIZE)
    for knee in image.knees:
        flagged = knee.finding.decision is KneeDecision.FLAGGED
        text = plan.wording.knee_sentence(knee.name, knee.finding, plan.report.model)
        canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, text, colour=FLAG if flagged else NEUTRAL)
    canvas.y += 10
    _panels(canvas, plan, image)
    _legend(canvas, plan, image)
    return canvas


def _panels(canvas: Canvas, plan: Plan, image: ReportedImage) -> None:
    texts = plan.wording.texts.overlay
    rows, columns = int(image.header.Rows), int(image.header.Columns)
    grey = image.presentation
    if grey is None:
        grey = np.full((rows, columns), 48, dtype=np.uint8)
    rows, columns = grey.shape
    scale = min(_PANEL_WIDTH / columns, _PANEL_HEIGHT / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), dtype=np.uint8)
    plain = np.repeat(small[..., None], 3, axis=2)
    overlaid = plain.copy()
    boxes = [_scaled(knee.finding.region, scale, size) for knee in image.knees]
    for knee, (left, top, right, bottom) in zip(image.knees, boxes, strict=True):
        saliency = normalised_map(knee.finding.saliency)
        if saliency is not None:
            overlaid[top:bottom, left:right] = blend(small[top:bottom, left:right], saliency, plan.settings.colormap)
    for index, (panel, caption) in enumerate(zip((plain, overlaid), _captions(plan, image), strict=True)):
        x = MARGIN + index * (_PANEL_WIDTH + _GAP) + (_PANEL_WIDTH - size[0]) // 2
        canvas.text((x, canvas.y), caption, size=SMALL_SIZE, colour=QUIET)
        canvas.image.paste(Image.fromarray(panel), (x, canvas.y + _CAPTION))
        for knee, box in zip(image.knees, boxes, strict=True):
            _frame(canvas, knee.name, box, (x, canvas.y + _CAPTION))
            if index == 1 and normalised_map(knee.finding.saliency) is None:
                _tag(canvas, (x + box[0] + 12, canvas.y + _CAPTION + (box[1] + box[3]) // 2), texts.no_evidence, box[2] - box[0] - 12)
        for unassessed in image.unassessed:
            name = texts.not_assessed.format(knee=plan.wording.unassessed_title(unassessed))
            _frame(canvas, name, _scaled(unassessed.region, scale, size), (x, canvas.y + _CAPTION))
    canvas.y += _CAPTION + size[1] + 16


def _scaled(region: Region, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in panel pixels, at least one pixel wide and high, inside the panel."""
    left = min(max(round(region.left * scale), 0), size[0] - 1)
    top = min(max(round(region.top * scale), 0), size[1] - 1)
    right = min(max(round(region.right * scale), left + 1), size[0])
    bottom = min(max(round(region.bottom * scale), top + 1), size[1])
    return left, top, right, bottom


def _frame(canvas: Canvas, name: str, box: tuple[int, int, int, int], origin: tuple[int, int]) -> None:
    x, y = origin
    left, top, right, bottom = box
    canvas.draw.rectangle((x + left, y + top, x + right - 1, y + bottom - 1), outline=NEUTRAL)
    _tag(canvas, (x + left + 1, y + top + 1), name, right - left - 2)


def _tag(canvas: Canvas, position: tuple[int, int], text: str, width: int) -> None:
    """Text on its own dark ground, legible on bone and on air, in lines that stay inside of its frame."""
    left, top = position
    for line in wrapped(text, size=SMALL_SIZE, width=max(width - 6, _NARROWEST_TAG)):
        canvas.draw.rectangle((left, top, left + round(length(line, SMALL_SIZE)) + 6, top + line_height(SMALL_SIZE)), fill=(0, 0, 0))
        canvas.text((left + 3, top), line, size=SMALL_SIZE)
        top += line_height(SMALL_SIZE)


def _captions(plan: Plan, image: ReportedImage) -> tuple[str, str]:
    texts = plan.wording.texts.overlay
    return texts.source if image.presentation is not None else texts.no_source, texts.caption


def _notes(plan: Plan, image: ReportedImage) -> tuple[str, ...]:
    texts = plan.wording.texts.overlay
    empty = [knee for knee in image.knees if normalised_map(knee.finding.saliency) is None]
    shapes = {np.shape(knee.finding.saliency) for knee in image.knees if knee not in empty}
    notes = [plan.wording.map_note(*shape) for shape in sorted(shapes)]
    notes += [texts.no_evidence_sentence.format(knee=knee.name) for knee in empty]
    return (*notes, texts.frames)


def _legend(canvas: Canvas, plan: Plan, image: ReportedImage) -> None:
    width, height = _BAR
    texts = plan.wording.texts.overlay
    bar = coloured(np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1)), plan.settings.colormap)
    left = MARGIN + round(length(texts.legend_least, SMALL_SIZE)) + 12
    canvas.text((MARGIN, canvas.y - 3), texts.legend_least, size=SMALL_SIZE, colour=QUIET)
    canvas.image.paste(Image.fromarray(bar), (left, canvas.y))
    canvas.draw.rectangle((left - 1, canvas.y - 1, left + width, canvas.y + height), outline=LINE)
    canvas.text((left + width + 12, canvas.y - 3), texts.legend_most, size=SMALL_SIZE, colour=QUIET)
    canvas.y += height + 14
    for note in _notes(plan, image):
        canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, note, size=BODY_SIZE, colour=QUIET)
    canvas.y += 16
