"""How large an image may be, checked against the header before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass

from strnet_core.errors import EmptyImageError, MultiFrameError, TooLargeError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """The largest image that is read; the defaults hold a 43 x 43 cm film at 0.05 mm."""

    max_rows: int = 8192
    max_columns: int = 8192
    max_frames: int = 1

    def check(self, rows: int, columns: int, frames: int = 1) -> None:
        """Raises EmptyImageError, TooLargeError or MultiFrameError."""
        if rows < 1 or columns < 1 or frames < 1:
            raise EmptyImageError(f"{frames} frames of {rows} x {columns}")
        if rows > self.max_rows or columns > self.max_columns:
            raise TooLargeError(f"{rows} x {columns}, allowed {self.max_rows} x {self.max_columns}")
        if frames > self.max_frames:
            raise MultiFrameError(f"{frames} frames, allowed {self.max_frames}")
