"""Who acts on the queue, and why: what the audit store keeps of an operator's act."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_REASON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """ValueError for what could be a free text: a sentence typed in a hurry may name a patient, and the audit is append-only."""

    name: str
    reason: str
    """A word or a ticket number, such as `pacs_replaced` or `INC-4711`."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("who: one word of letters, digits and . _ @ -, at most 64 characters")
        if not _REASON.fullmatch(self.reason):
            raise ValueError(
                "the reason: one word or ticket number of letters, digits and . _ : / # -, at most 64 characters; no patient data"
            )

    @property
    def actor(self) -> str:
        return f"operator:{self.name}"
