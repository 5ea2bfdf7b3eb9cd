"""OpenCV reports a lack of memory as its own error: callers that watch the memory must see Python's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_INSUFFICIENT_MEMORY = -4
"""StsNoMem of OpenCV's error codes."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises MemoryError where OpenCV could not allocate; any other error of it goes through. Also a decorator."""
    try:
        yield
    except cv2.error as error:
        if getattr(error, "code", None) == _INSUFFICIENT_MEMORY:
            raise MemoryError("OpenCV") from error
        raise
