from __future__ import annotations

import io
import json
import logging

import pytest

from gateway.events import Event, checked, log_event
from gateway.ops.logging import configure_logging
from tests.conftest import ROOT


def test_key_that_could_carry_patient_data_is_refused() -> None:
    with pytest.raises(ValueError, match="patient_name"):
        checked({"patient_name": "X"})


@pytest.mark.parametrize("event", list(Event))
def test_event_is_documented(event: Event) -> None:
    assert f"`{event.value}`" in (ROOT / "docs/events.md").read_text(encoding="utf-8")


def test_line_is_one_json_object_whatever_a_peer_calls_itself(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "test")
    log_event(Event.ASSOCIATION_REJECTED, calling_ae_title="A\nB\x1b[31m")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["calling_ae_title"] == "A\nB\x1b[31m"
    assert "\x1b" not in line


class Written(io.StringIO):
    """A stream that several processes share, as the operating system sees it: each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_line_is_written_at_once_so_that_no_other_process_can_write_into_it() -> None:
    stream = Written()
    configure_logging("info", "test", stream)
    log_event(Event.GATEWAY_STOPPED, exit_code=0)
    logging.getLogger("some.library").error("could not read")
    assert [json.loads(line)["event"] for line in stream.writes] == ["gateway:stopped", "library:logged"]
    assert all(line.endswith("}\n") for line in stream.writes)


def test_library_message_is_logged_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "test")
    logging.getLogger("some.library").error("could not read %s", "CANARY^NAME")
    logging.getLogger("pydicom").error("CANARY^NAME")
    out = capsys.readouterr().out
    assert "some.library" in out
    assert "CANARY" not in out
