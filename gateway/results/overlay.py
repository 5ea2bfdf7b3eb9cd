"""Overlay pages: the source beside the same source under its Grad-CAM."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.domain.finding import Region
from gateway.domain.outcome import KneeDecision
from gateway.results import wording
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
    font,
    stamp,
)
from gateway.results.plan import Plan, ReportedImage

Rgb = npt.NDArray[np.uint8]

_GAP: Final = 16
_PANEL_WIDTH: Final = (WIDTH - 2 * MARGIN - _GAP) // 2
_PANEL_HEIGHT: Final = 840
_LAST_COLOUR: Final = 224
"""Of 255: the lightest yellows of the map turn greenish over grey, and green would say "well"."""
_STRONGEST: Final = 0.65
"""Opacity at the map's maximum: bone stays visible under it."""


def overlay_page(plan: Plan, image: ReportedImage) -> Rgb:
    """uint8 (rows, 1024, 3), RGB."""
    canvas = Canvas()
    stamp(canvas, wording.label(plan.report.model))
    canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, image.title, size=LARGE_SIZE)
    for knee in image.knees:
        flagged = knee.finding.decision is KneeDecision.FLAGGED
        text = wording.knee_sentence(knee.name, knee.finding, plan.report.model)
        canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, text, colour=FLAG if flagged else NEUTRAL)
    canvas.y += 10
    _panels(canvas, image)
    _legend(canvas, image)
    return canvas.pixels()


def page_texts(plan: Plan, image: ReportedImage) -> tuple[str, ...]:
    """Every text of the page, for the checks that read it."""
    texts = [wording.label(plan.report.model), image.title, *_captions(image), *_notes(image)]
    texts += [wording.knee_sentence(knee.name, knee.finding, plan.report.model) for knee in image.knees]
    texts += [f"{_capitalised(wording.unassessed_knee(knee))}: {wording.NOT_ASSESSED}" for knee in image.unassessed]
    return tuple(texts)


def normalised_map(saliency: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.float32] | None:
    """Map divided by its maximum, float32 in 0..1 (rows, columns); None when it holds no positive value."""
    values = np.asarray(saliency, dtype=np.float32)
    if values.ndim != 2 or values.size == 0:  # noqa: PLR2004 - rows and columns
        return None
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    peak = float(values.max())
    return values / peak if peak > 0 else None


def blend(grey: npt.NDArray[np.uint8], saliency: npt.NDArray[np.float32]) -> Rgb:
    """Colour over grey (rows, columns), opaque in proportion to the map; uint8 RGB."""
    rows, columns = grey.shape
    smooth = cv2.resize(saliency, (columns, rows), interpolation=cv2.INTER_LINEAR)
    colours = _coloured(smooth).astype(np.float32)
    weight = (smooth * _STRONGEST)[..., None]
    return np.asarray(np.round(colours * weight + grey[..., None].astype(np.float32) * (1 - weight)), dtype=np.uint8)


def _coloured(values: npt.NDArray[np.float32]) -> Rgb:
    """Perceptual colours, dark to light, for values in 0..1 (rows, columns); uint8 RGB."""
    return np.ascontiguousarray(cv2.applyColorMap(np.round(values * _LAST_COLOUR).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1])


def _panels(canvas: Canvas, image: ReportedImage) -> None:
    rows, columns = int(image.header.Rows), int(image.header.Columns)
    grey = image.presentation
    if grey is None:
        grey = np.full((rows, columns), 48, dtype=np.uint8)
    rows, columns = grey.shape
    scale = min(_PANEL_WIDTH / columns, _PANEL_HEIGHT / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), dtype=np.uint8)
    plain = np.repeat(small[..., None], 3, axis=2)
    coloured = plain.copy()
    boxes = [_scaled(knee.finding.region, scale, size) for knee in image.knees]
    for knee, (left, top, right, bottom) in zip(image.knees, boxes, strict=True):
        saliency = normalised_map(knee.finding.saliency)
        if saliency is not None:
            coloured[top:bottom, left:right] = blend(small[top:bottom, left:right], saliency)
    for index, (panel, caption) in enumerate(zip((plain, coloured), _captions(image), strict=True)):
        x = MARGIN + index * (_PANEL_WIDTH + _GAP) + (_PANEL_WIDTH - size[0]) // 2
        canvas.text((x, canvas.y), caption, size=SMALL_SIZE, colour=QUIET)
        canvas.image.paste(Image.fromarray(panel), (x, canvas.y + 24))
        for knee, box in zip(image.knees, boxes, strict=True):
            _frame(canvas, knee.name, box, (x, canvas.y + 24), empty=index == 1 and normalised_map(knee.finding.saliency) is None)
        for unassessed in image.unassessed:
            name = f"{_capitalised(wording.unassessed_knee(unassessed))}: {wording.NOT_ASSESSED}"
            _frame(canvas, name, _scaled(unassessed.region, scale, size), (x, canvas.y + 24), empty=False)
    canvas.y += 24 + size[1] + 16


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _scaled(region: Region, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in panel pixels, at least one pixel wide and high, inside the panel."""
    left = min(max(round(region.left * scale), 0), size[0] - 1)
    top = min(max(round(region.top * scale), 0), size[1] - 1)
    right = min(max(round(region.right * scale), left + 1), size[0])
    bottom = min(max(round(region.bottom * scale), top + 1), size[1])
    return left, top, right, bottom


def _frame(canvas: Canvas, name: str, box: tuple[int, int, int, int], origin: tuple[int, int], *, empty: bool) -> None:
    x, y = origin
    left, top, right, bottom = box
    canvas.draw.rectangle((x + left, y + top, x + right - 1, y + bottom - 1), outline=NEUTRAL)
    _tag(canvas, (x + left + 1, y + top + 1), name)
    if empty:
        _tag(canvas, (x + left + 12, y + (top + bottom) // 2), wording.NO_POSITIVE_EVIDENCE)


def _tag(canvas: Canvas, position: tuple[int, int], text: str) -> None:
    """Text on its own dark ground: legible on bone and on air."""
    box = canvas.draw.textbbox(position, text, font=font(SMALL_SIZE))
    canvas.draw.rectangle((box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3), fill=(0, 0, 0))
    canvas.text(position, text, size=SMALL_SIZE)


def _captions(image: ReportedImage) -> tuple[str, str]:
    source = "Source image" if image.presentation is not None else wording.NO_SOURCE_PIXELS
    return source, "Grad-CAM overlay: what raised the AI score"


def _notes(image: ReportedImage) -> tuple[str, ...]:
    shapes = {np.shape(knee.finding.saliency) for knee in image.knees if normalised_map(knee.finding.saliency) is not None}
    notes = [wording.map_note(*shape) for shape in sorted(shapes)]
    notes += [
        f"{knee.name}: {wording.NO_POSITIVE_EVIDENCE_MEANING}" for knee in image.knees if normalised_map(knee.finding.saliency) is None
    ]
    return (*notes, "Frames: the regions that were assessed. This page is not for measuring.")


def _legend(canvas: Canvas, image: ReportedImage) -> None:
    width, height = 320, 16
    bar = _coloured(np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1)))
    canvas.text((MARGIN, canvas.y - 3), "none", size=SMALL_SIZE, colour=QUIET)
    canvas.image.paste(Image.fromarray(bar), (MARGIN + 56, canvas.y))
    canvas.draw.rectangle((MARGIN + 55, canvas.y - 1, MARGIN + 56 + width, canvas.y + height), outline=LINE)
    canvas.text((MARGIN + 56 + width + 12, canvas.y - 3), "most, within this knee", size=SMALL_SIZE, colour=QUIET)
    canvas.y += height + 14
    for note in _notes(image):
        canvas.y = canvas.paragraph(MARGIN, canvas.y, WIDTH - 2 * MARGIN, note, size=BODY_SIZE, colour=QUIET)
    canvas.y += 16
