"""The quality flags of config.toml: what each does, and from which measured value on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from gateway.config.section import Section


class FlagSettings(Section):
    """What one quality flag does. It is raised when the measured value reaches the threshold; docs/quality.md has the units."""

    action: Literal["refuse", "warn", "ignore"]
    threshold: float = Field(allow_inf_nan=False)


def _refuse(threshold: float) -> FlagSettings:
    return FlagSettings(action="refuse", threshold=threshold)


def _warn(threshold: float) -> FlagSettings:
    return FlagSettings(action="warn", threshold=threshold)


class QualitySettings(Section):
    """One table per flag. The order is that of the reasons: the first flag that refuses is the outcome."""

    blank: FlagSettings = _refuse(0.97)
    metal: FlagSettings = _refuse(0.1)
    not_a_knee: FlagSettings = _refuse(0.42)
    polarity_suspect: FlagSettings = _refuse(0.0)
    small_matrix: FlagSettings = _refuse(4.0)
    underexposed: FlagSettings = _refuse(0.8)
    overexposed: FlagSettings = _refuse(0.97)
    clipped: FlagSettings = _warn(0.05)
    crop_fallback: FlagSettings = _warn(1.0)
    lossy: FlagSettings = _warn(1.0)
    burned_in_text: FlagSettings = _warn(6.0)

    @model_validator(mode="before")
    @classmethod
    def _rest_of_a_flag_keeps_its_default(cls, value: Any) -> Any:
        """`metal = { action = "warn" }` leaves the threshold as it is shipped."""
        if not isinstance(value, Mapping):
            return value
        fields = cls.model_fields
        return {
            name: {**fields[name].default.model_dump(), **given} if name in fields and isinstance(given, Mapping) else given
            for name, given in value.items()
        }

    @property
    def flags(self) -> tuple[tuple[str, FlagSettings], ...]:
        """Every flag with its setting, in the order of the reasons."""
        return tuple((name, getattr(self, name)) for name in type(self).model_fields)
