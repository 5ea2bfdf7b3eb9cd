"""Lines that fit a width: at spaces in Latin text, between characters in Chinese, never with a closing mark at the head of a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.results.typeface import font

_OPENING: Final = "（《「【“‘(["
_CLOSING: Final = "，。、；：？！）》」】”’,.;:?!)]"
_CHINESE: Final = r"\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
_PIECE: Final = re.compile(rf"\s+|[{_CHINESE}]|[^\s{_CHINESE}]+")


def wrapped(text: str, *, size: int, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels at `size` pixels per em; a word that is too long alone is cut."""
    lines: list[str] = []
    current = ""
    for piece in _pieces(text, size=size, width=width):
        if not current:
            current = piece.lstrip()
        elif _length(current + piece.rstrip(), size) <= width:
            current += piece
        else:
            lines.append(current.rstrip())
            current = piece.lstrip()
    return [*lines, current.rstrip()] if current.strip() else lines


def _pieces(text: str, *, size: int, width: int) -> Iterator[str]:
    """What may not be divided, with the spaces before it."""
    for piece in _unbroken(text):
        rest = piece
        while len(rest) > 1 and _length(rest.strip(), size) > width:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or _length(rest[:n].strip(), size) <= width)
            yield rest[:cut]
            rest = rest[cut:]
        yield rest


def _unbroken(text: str) -> Iterator[str]:
    """Words and single Chinese characters, each with its leading space, opening marks before it and closing marks after it."""
    current = ""
    for piece in _PIECE.findall(text):
        stays = not current or piece[0] in _CLOSING or current[-1] in _OPENING or current.isspace()
        if stays:
            current += " " if piece.isspace() else piece
        else:
            yield current
            current = " " if piece.isspace() else piece
    if current:
        yield current


def _length(text: str, size: int) -> float:
    return font(size).getlength(text)
