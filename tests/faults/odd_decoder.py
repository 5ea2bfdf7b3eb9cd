"""The decoder child with an image that it hangs on and one that it dies of, as a defect of a codec would have it."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from gateway.inference import decoder_child
from strnet_core.bundle import PreprocessingSettings

HANGS, DIES = b"CODEC HANGS", b"CODEC DIES"
"""Stand in the file."""
_HANGING_SECONDS: Final = 3600


def serve(connection: Connection, memory_mb: int, preprocessing: PreprocessingSettings) -> None:
    answer = decoder_child._answer

    def odd(request: dict[str, Any], settings: PreprocessingSettings) -> tuple[dict[str, Any], bytes | None]:
        content = Path(request["path"]).read_bytes()
        if HANGS in content:
            time.sleep(_HANGING_SECONDS)
        if DIES in content:
            os.kill(os.getpid(), signal.SIGSEGV)
        return answer(request, settings)

    decoder_child._answer = odd
    decoder_child.serve(connection, memory_mb, preprocessing)
