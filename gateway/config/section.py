"""What every section of the configuration is: frozen, and refusing keys it does not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every table in config.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")
