"""The child's side of decoding. Answers are JSON and raw bytes: what a subverted decoder sends back is never unpickled."""

from __future__ import annotations

import json
import resource
import signal
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from strnet_core.bundle import PreprocessingSettings
from strnet_core.errors import StrnetError
from strnet_core.knees import count_knees
from strnet_core.preprocessing import preprocess
from strnet_core.quality import blank, polarity_suspect, raised
from strnet_core.radiograph import Radiograph, ReadLimits, read_dicom, to_8bit
from strnet_core.small_image import small_image


def serve(connection: Connection, memory_mb: int, preprocessing: PreprocessingSettings) -> None:
    """Answers until the worker closes the pipe. Runs in the child."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    # pydicom warns of odd values, with the values in the text
    warnings.simplefilter("ignore")
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send_bytes(b"ready")
    # the pipe's end, at whatever moment the worker dies, is the end
    with suppress(EOFError, OSError):
        while True:
            header, content = _answer(json.loads(connection.recv_bytes()), preprocessing)
            connection.send_bytes(json.dumps(header).encode())
            if content is not None:
                connection.send_bytes(content)


def _answer(request: dict[str, Any], preprocessing: PreprocessingSettings) -> tuple[dict[str, Any], bytes | None]:
    try:
        radiograph = read_dicom(Path(request["path"]), ReadLimits(**request["limits"]), preprocessing)
        return _prepared(radiograph, preprocessing) if request["what"] == "prepare" else _presented(radiograph)
    except MemoryError:
        return {"error": "oom"}, None
    except StrnetError as error:
        # a decoder library may have met the limit first and been translated to a plain decode error
        return {"error": "oom" if isinstance(error.__cause__, MemoryError) else error.code}, None
    except Exception as error:  # noqa: BLE001  decoders raise anything; the class's name is the code, never the message
        return {"error": type(error).__name__}, None


def _prepared(radiograph: Radiograph, preprocessing: PreprocessingSettings) -> tuple[dict[str, Any], bytes]:
    made = preprocess(radiograph, preprocessing)
    small = small_image(radiograph)
    suspicious = raised({"polarity_suspect": polarity_suspect(small), "blank": blank(small)})
    flags = list(radiograph.notes)
    if made.fallback:
        flags.append("crop_fallback")
    if "polarity_suspect" in suspicious:
        flags.append("polarity_suspect")
    header = {
        "shape": list(made.image.shape),
        "image_sha256": made.sha256,
        "pixel_digest": radiograph.pixel_digest,
        "rows": radiograph.rows,
        "columns": radiograph.columns,
        "left": made.left,
        "top": made.top,
        "right": made.right,
        "bottom": made.bottom,
        "knees": count_knees(small).knees,
        "blank": "blank" in suspicious,
        "flags": flags,
    }
    return header, np.ascontiguousarray(made.image).tobytes()


def _presented(radiograph: Radiograph) -> tuple[dict[str, Any], bytes]:
    image = to_8bit(radiograph)
    return {"shape": list(image.shape)}, np.ascontiguousarray(image).tobytes()
