"""Names of the points in the commit protocol at which a test may stop the world. Nothing in the product acts on them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """In the order in which an instance passes them."""

    AFTER_BYTES = "after_bytes"
    """The partial file has all bytes; none of them need be on the disk."""
    AFTER_FSYNC = "after_fsync"
    AFTER_RENAME = "after_rename"
    AFTER_FOLDER_FSYNC = "after_folder_fsync"
    """The file is durable under its name; no row knows it."""
    AFTER_COMMIT = "after_commit"
    """The rows are durable; the answer has not been sent."""


class PurgeStep(StrEnum):
    """Likewise of retention, for every batch."""

    AFTER_MARKING = "after_marking"
    """The rows say purged; every file is still there."""
    AFTER_REMOVAL = "after_removal"
    """The files are gone; they are still listed as to be removed."""


OnStep = Callable[[Step], None]


def nothing(_step: Step) -> None:
    """What happens at a step by default."""
