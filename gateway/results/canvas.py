"""A page to draw on: dark as a reading room wants it, one font, no green."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

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
_LEADING: Final = 1.38


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


class Canvas:
    """Draws from the top down; the page ends where the drawing ended."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, _TALLEST), BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)
        self.y = 0

    def text(self, position: tuple[int, int], text: str, *, size: int = BODY_SIZE, colour: Colour = TEXT) -> None:
        self.draw.text(position, text, font=font(size), fill=colour)

    def paragraph(self, left: int, top: int, width: int, text: str, *, size: int = BODY_SIZE, colour: Colour = TEXT) -> int:
        """Write wrapped text; the y below it."""
        for line in wrapped(text, size=size, width=width):
            self.text((left, top), line, size=size, colour=colour)
            top += line_height(size)
        return top

    def pixels(self) -> npt.NDArray[np.uint8]:
        """uint8 (rows, 1024, 3), RGB."""
        height = min(max(self.y, 64), _TALLEST)
        return np.asarray(self.image.crop((0, 0, WIDTH, height + height % 2)), dtype=np.uint8)


def line_height(size: int) -> int:
    return round(size * _LEADING)


def wrapped(text: str, *, size: int, width: int) -> list[str]:
    """Lines that fit `width` pixels; a word that is too long alone is cut."""
    lines: list[str] = []
    current = ""
    for word in _words(text, size=size, width=width):
        candidate = f"{current} {word}".strip()
        if font(size).getlength(candidate) <= width or not current:
            current = candidate
        else:
            lines.append(current)
            current = word
    return [*lines, current] if current else lines


def _words(text: str, *, size: int, width: int) -> list[str]:
    words: list[str] = []
    for word in text.split():
        rest = word
        while len(rest) > 1 and font(size).getlength(rest) > width:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or font(size).getlength(rest[:n]) <= width)
            words.append(rest[:cut])
            rest = rest[cut:]
        words.append(rest)
    return words


def stamp(canvas: Canvas, text: str) -> None:
    """The band on top that says what this must not be used for."""
    if text:
        canvas.draw.rectangle((0, canvas.y, WIDTH, canvas.y + 44), fill=STAMP)
        width = font(BODY_SIZE).getlength(text)
        canvas.text((round((WIDTH - width) / 2), canvas.y + 10), text)
        canvas.y += 44
    canvas.y += 20
