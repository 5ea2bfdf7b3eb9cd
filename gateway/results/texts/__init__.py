"""Everything that a result says, once per language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Final

from gateway.config import Language
from gateway.results.texts.catalogue import Texts
from gateway.results.texts.chinese import CHINESE
from gateway.results.texts.english import ENGLISH

__all__ = ["CATALOGUES", "Texts", "sentences", "texts_for"]

CATALOGUES: Final[dict[Language, Texts]] = {"en": ENGLISH, "zh": CHINESE}


def texts_for(language: Language) -> Texts:
    return CATALOGUES[language]


def sentences(texts: object, path: str = "") -> Iterator[tuple[str, str]]:
    """(where it stands, template) of every text of a catalogue, e.g. ("knees.right", "Right knee")."""
    if isinstance(texts, str):
        yield path, texts
    elif isinstance(texts, tuple):
        for number, text in enumerate(texts):
            yield from sentences(text, f"{path}[{number}]")
    elif isinstance(texts, dict):
        for key, text in texts.items():
            yield from sentences(text, f"{path}[{key}]")
    elif is_dataclass(texts):
        for field in fields(texts):
            yield from sentences(getattr(texts, field.name), f"{path}.{field.name}".lstrip("."))
