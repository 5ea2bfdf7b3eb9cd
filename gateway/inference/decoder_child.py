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
from strnet_core.radiograph import Radiograph, ReadLimits, read_dicom, to_8bit
from strnet_core.survey import SurveyedKnee, survey


def serve(connection: Connection, memory_mb: int, preprocessing: PreprocessingSettings) -> None:
    """Answers until the worker closes the pipe. Runs in the child."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    # pydicom warns of odd values, with the values in the text
    warnings.simplefilter("ignore")
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # the pipe's end, at whatever moment the worker dies, is the end
    with suppress(EOFError, OSError):
        connection.send_bytes(b"ready")
        while True:
            request = json.loads(connection.recv_bytes())
            header, content = _answer(request, preprocessing)
            connection.send_bytes(json.dumps({**header, "number": request["number"]}).encode())
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
    found = survey(radiograph, preprocessing)
    images = np.stack([knee.image for knee in found.knees])
    header = {
        "shape": list(images.shape),
        "pixel_digest": radiograph.pixel_digest,
        "rows": radiograph.rows,
        "columns": radiograph.columns,
        "notes": list(radiograph.notes),
        "measures": dict(found.measures),
        "knees": [_knee(knee) for knee in found.knees],
    }
    return header, images.tobytes()


def _knee(knee: SurveyedKnee) -> dict[str, Any]:
    return {
        "position": knee.position,
        "region": {"left": knee.left, "top": knee.top, "right": knee.right, "bottom": knee.bottom},
        "image_sha256": knee.sha256,
        "measures": dict(knee.measures),
    }


def _presented(radiograph: Radiograph) -> tuple[dict[str, Any], bytes]:
    image = to_8bit(radiograph)
    return {"shape": list(image.shape)}, np.ascontiguousarray(image).tobytes()
