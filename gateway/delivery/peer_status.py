"""What a peer's C-STORE status means for a delivery (PS3.4 B.2.3, PS3.7 C; design: section 5). A table."""

from __future__ import annotations

from typing import Final

from gateway.domain.delivery import Verdict

_DUPLICATE_SOP_INSTANCE: Final = 0x0111
_CLASS_NOT_SUPPORTED: Final = 0x0122

_RANGES: Final[tuple[tuple[int, int, Verdict, str], ...]] = (
    (0x0000, 0x0000, Verdict.SENT, "success"),
    (_DUPLICATE_SOP_INSTANCE, _DUPLICATE_SOP_INSTANCE, Verdict.SENT, "already_there"),
    (_CLASS_NOT_SUPPORTED, _CLASS_NOT_SUPPORTED, Verdict.DEAD, "class_not_supported"),
    (0x0100, 0x01FF, Verdict.RETRY, "peer_processing_failure"),
    (0xA700, 0xA7FF, Verdict.RETRY, "peer_out_of_resources"),
    (0xA900, 0xA9FF, Verdict.DEAD, "class_mismatch"),
    (0xB000, 0xBFFF, Verdict.SENT, "warning"),
    (0xC000, 0xCFFF, Verdict.DEAD, "cannot_understand"),
)


def verdict_for(dimse_status: int) -> tuple[Verdict, str]:
    """The verdict and its code. A status that no table of the standard has is tried again: it may be a passing trouble."""
    for low, high, verdict, code in _RANGES:
        if low <= dimse_status <= high:
            return verdict, code
    return Verdict.RETRY, "unknown_status"
