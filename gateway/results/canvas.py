"""A page to draw on: dark as a reading room wants it, one font, no green."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from gateway.results.typeface import drawn, font
from gateway.results.wrapping import wrapped

Colour = tuple[int, int, int]

WIDTH: Final = 1024
MARGIN: Final = 32

BACKGROUND: Final[Colour] = (16, 18, 22)
PANEL: Final[Colour] = (30, 34, 41)
LINE: Final[Colour] = (84, 92, 104)
TEXT: Final[Colour] = (232, 235, 240)
QUIET: Final[Colour] = (168, 176, 188)
FLAG: Final[Colour] = (255, 176, 32)
NEUTRAL: Final[Colour] = (138, 170, 214)
STAMP: Final[Colour] = (122, 36, 36)

TITLE_SIZE: Final = 30
LARGE_SIZE: Final = 26
BODY_SIZE: Final = 19
SMALL_SIZE: Final = 16

_TALLEST: Final = 8192
_LEADING: Final = 1.42
_BASELINE: Final = 1.0
"""Of a line, in parts of the size, below its top."""


class Canvas:
    """Draws from the top down; the page ends where the drawing ended. `texts` keeps all that was written, for the checks that read it."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, _TALLEST), BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)
        self.y = 0
        self.texts: list[str] = []

    def text(self, position: tuple[int, int], text: str, *, size: int = BODY_SIZE, colour: Colour = TEXT) -> None:
        """One line; position is its top left corner."""
        self.texts.append(text)
        self._line(position, drawn(text), size=size, colour=colour)

    def paragraph(self, left: int, top: int, width: int, text: str, *, size: int = BODY_SIZE, colour: Colour = TEXT) -> int:
        """Write wrapped text; the y below it."""
        self.texts.append(text)
        for line in wrapped(drawn(text), size=size, width=width):
            self._line((left, top), line, size=size, colour=colour)
            top += line_height(size)
        return top

    def _line(self, position: tuple[int, int], text: str, *, size: int, colour: Colour) -> None:
        left, top = position
        self.draw.text((left, top + round(size * _BASELINE)), text, font=font(size), fill=colour, anchor="ls")

    def pixels(self) -> npt.NDArray[np.uint8]:
        """uint8 (rows, 1024, 3), RGB."""
        height = min(max(self.y, 64), _TALLEST)
        return np.asarray(self.image.crop((0, 0, WIDTH, height + height % 2)), dtype=np.uint8)


def line_height(size: int) -> int:
    return round(size * _LEADING)


def length(text: str, size: int) -> float:
    """Pixels that a line takes."""
    return font(size).getlength(drawn(text))


def stamp(canvas: Canvas, text: str) -> None:
    """The band on top that says what this must not be used for."""
    if text:
        canvas.draw.rectangle((0, canvas.y, WIDTH, canvas.y + 44), fill=STAMP)
        canvas.text((round((WIDTH - length(text, BODY_SIZE)) / 2), canvas.y + 10), text)
        canvas.y += 44
    canvas.y += 20
