"""Conditions of `[[routes]]`: a closed set of operators over DICOM keywords; no code in configuration.

    { keyword = "Modality", equals = "DX" }          any value equals, letter case ignored
    { keyword = "Modality", in = ["DX", "CR"] }
    { keyword = "StationName", regex = "^XR-[0-9]+$" }    Python regular expression, searched in each value
    { keyword = "ViewPosition", exists = true }
    { keyword = "KVP", range = [50, 90] }            any value is a number within, ends included
    { any_of = [...] }  { all_of = [...] }  { not = {...} }
    keyword = "ViewCodeSequence.CodeValue"           through sequences, all items

An empty condition holds for everything. Several operators in one table must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydicom.datadict import tag_for_keyword

from gateway.errors import ConfigurationError

Lookup = Callable[[str], tuple[str, ...]]
"""From a keyword or a path of keywords to all values found there."""

_MAX_VALUE: Final = 256
"""Characters of a value that a regular expression gets to see: header texts come from outside."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `text` is what an explanation shows: the rule, never the values it met."""

    text: str
    holds: Callable[[Lookup], bool]


def compile_condition(table: Mapping[str, Any], place: str) -> Condition:
    """Checks and compiles one condition. ConfigurationError names the place and what is wrong with it."""
    if not table:
        return Condition("always", lambda _lookup: True)
    for name, combine in (("all_of", all), ("any_of", any)):
        if name in table:
            return _combination(table, name, combine, place)
    if "not" in table:
        _only(table, {"not"}, place)
        inner = compile_condition(_table(table["not"], f"{place}.not"), f"{place}.not")
        return Condition(f"not ({inner.text})", lambda lookup: not inner.holds(lookup))
    return _leaf(table, place)


def _combination(table: Mapping[str, Any], name: str, combine: Callable[[list[bool]], bool], place: str) -> Condition:
    _only(table, {name}, place)
    if not isinstance(table[name], list) or not table[name]:
        raise ConfigurationError(f"{place}.{name}: a list of conditions is expected")
    parts = [compile_condition(_table(part, f"{place}.{name}.{n}"), f"{place}.{name}.{n}") for n, part in enumerate(table[name])]
    joined = (" and " if name == "all_of" else " or ").join(part.text for part in parts)
    return Condition(f"({joined})", lambda lookup: combine([part.holds(lookup) for part in parts]))


def _leaf(table: Mapping[str, Any], place: str) -> Condition:
    _only(table, {"keyword", *_OPERATORS}, place)
    path = table.get("keyword")
    if not isinstance(path, str) or any(tag_for_keyword(part) is None for part in path.split(".")):
        raise ConfigurationError(f"{place}.keyword: {path!r} is no DICOM keyword (or path of them)")
    operators = [name for name in table if name != "keyword"]
    if not operators:
        raise ConfigurationError(f"{place}: an operator is missing, one of {sorted(_OPERATORS)}")
    tests = [_OPERATORS[name](table[name], f"{place}.{name}") for name in operators]
    shown = " and ".join(f"{path} {name} {table[name]!r}" for name in operators)
    return Condition(shown, lambda lookup: all(test(lookup(path)) for test in tests))


_Test = Callable[[tuple[str, ...]], bool]


def _equals(operand: object, place: str) -> _Test:
    wanted = _string(operand, place).casefold()
    return lambda values: any(value.casefold() == wanted for value in values)


def _in(operand: object, place: str) -> _Test:
    if not isinstance(operand, list) or not operand:
        raise ConfigurationError(f"{place}: a list of texts is expected")
    wanted = {_string(item, place).casefold() for item in operand}
    return lambda values: any(value.casefold() in wanted for value in values)


def _regex(operand: object, place: str) -> _Test:
    try:
        pattern = re.compile(_string(operand, place), re.IGNORECASE)
    except re.error as error:
        raise ConfigurationError(f"{place}: not a regular expression: {error}") from error
    return lambda values: any(pattern.search(value[:_MAX_VALUE]) for value in values)


def _exists(operand: object, place: str) -> _Test:
    if not isinstance(operand, bool):
        raise ConfigurationError(f"{place}: true or false is expected")
    return lambda values: bool(values) == operand


def _range(operand: object, place: str) -> _Test:
    if not isinstance(operand, list) or len(operand) != 2 or not all(isinstance(end, int | float) for end in operand):  # noqa: PLR2004
        raise ConfigurationError(f"{place}: [lowest, highest] is expected")
    low, high = operand
    return lambda values: any(number is not None and low <= number <= high for number in map(_number, values))


_OPERATORS: Final[dict[str, Callable[[object, str], _Test]]] = {
    "equals": _equals,
    "in": _in,
    "regex": _regex,
    "exists": _exists,
    "range": _range,
}


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _string(operand: object, place: str) -> str:
    if not isinstance(operand, str | int | float) or isinstance(operand, bool):
        raise ConfigurationError(f"{place}: a text is expected")
    return str(operand)


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{place}: a condition {{...}} is expected")
    return value


def _only(table: Mapping[str, Any], allowed: set[str], place: str) -> None:
    foreign = set(table) - allowed
    if foreign:
        raise ConfigurationError(f"{place}: unknown key {min(foreign)!r}")
