"""JSON lines on standard output. Libraries' own messages may quote headers: of them only source, level and class are shown."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TextIO

import structlog

_SILENT: Final = ("pynetdicom", "pydicom", "highdicom")
"""They log data sets and texts from headers."""


class _LibraryFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": "library:logged",
            "logger": record.name,
            "level": record.levelname.lower(),
            "error_class": record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        return json.dumps({key: value for key, value in line.items() if value is not None})


def configure_logging(level: str, role: str, stream: TextIO | None = None) -> None:
    """Before anything is logged. stream: standard output unless given. Uncaught exceptions are shown by class only."""
    stream = stream or sys.stdout
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_role(role),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        # a line is one write: the roles share the stream, and where Python does not buffer it print() writes the end of a line apart
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LibraryFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _with_role(role: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = role
        return event

    return add


def log_uncaught(error: BaseException) -> None:
    """An error that nobody expected: its class and its place, never its text."""
    structlog.get_logger("strnet_gateway").error("process:failed", error_class=type(error).__name__, place=place_of(error))


def _log_uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    log_uncaught(error)


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    place = place_of(arguments.exc_value) if arguments.exc_value else ""
    structlog.get_logger("strnet_gateway").error("thread:failed", error_class=arguments.exc_type.__name__, place=place)


def place_of(error: BaseException) -> str:
    """The innermost line of our code or a library's, without any value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
