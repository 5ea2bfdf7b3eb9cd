"""What holds for every command of both programs: each parameter says what it is, and nothing ends in a traceback."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from gateway.cli import recheck
from gateway.cli.main import app as gateway_app
from gateway.cli.options import watched
from gateway.store import schema
from gateway.store.database import Database
from strnet_core.cli import main as strnet
from strnet_core.cli.main import app as strnet_app

PROGRAMS = {"strnet-gateway": gateway_app, "strnet": strnet_app}


def commands(program: str) -> Iterator[tuple[str, object]]:
    waiting = [(program, get_command(PROGRAMS[program]))]
    while waiting:
        name, command = waiting.pop()
        yield name, command
        waiting += [(f"{name} {sub}", one) for sub, one in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_and_parameter_has_a_help_text(program: str) -> None:
    walked = list(commands(program))
    assert len(walked) > len(getattr(walked[0][1], "commands"))  # noqa: B009  a group's, which typer does not export
    silent = [name for name, command in walked if not getattr(command, "help", None)]
    silent += [
        f"{name} {parameter.name}"
        for name, command in walked
        for parameter in getattr(command, "params", ())
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


@pytest.fixture
def strnet_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Standard error of `strnet`, which ends with exit code 1."""

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["strnet", *words])
        with pytest.raises(SystemExit) as ended:
            strnet.main()
        assert ended.value.code == 1
        return capsys.readouterr().err

    return run


def test_folder_that_cannot_be_made_is_told_in_one_line(strnet_says: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/bundle")

    monkeypatch.setattr("strnet_core.bundle.copy_shipped_bundle", refuse)
    said = strnet_says("bundle", "create-demo", "/var/lib/bundle")
    assert said.strip().splitlines()[-1] == "strnet: /var/lib/bundle: Permission denied; check the folder, its permissions and its disk"
    assert "Traceback" not in said


def test_defect_shows_its_class_and_place_and_no_value(strnet_says: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr("strnet_core.bundle.load_bundle", fail)
    said = strnet_says("bundle", "show", "anywhere")
    assert "strnet: a defect: ValueError at " in said
    assert "DOE" not in said
    assert "Traceback" not in said


def test_strnet_prints_its_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["strnet", "--version"])
    with pytest.raises(SystemExit) as ended:
        typer.main.get_command(strnet_app)()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("strnet ")


def test_commands_that_ask_the_store_load_nothing_of_images_networks_and_models() -> None:
    heavy = {"pydicom", "pynetdicom", "highdicom", "numpy", "cv2", "torch", "strnet_core", "apscheduler"}
    asked = f"import gateway.cli.main, sys; print(*sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.split() == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
@pytest.mark.parametrize(("command", "label"), [("rebuild", "results"), ("recompute", "images")])
def test_what_takes_its_time_is_counted_on_a_terminal_and_stays_off_a_log(
    command: str, label: str, stream: type[io.StringIO], shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[serve]\ndevelopment = true\n[database]\nurl = "sqlite:///store.db"\n')
    with closing(Database(f"sqlite:///{tmp_path / 'store.db'}")) as database:
        schema.ensure(database)
    monkeypatch.setattr(f"gateway.app.recheck.{command}", lambda *_: iter([]))
    monkeypatch.setattr(sys, "stderr", said := stream())
    with pytest.raises(SystemExit):
        getattr(recheck, command)("", config, json=True, **({"into": None} if command == "rebuild" else {}))
    assert (label in said.getvalue()) is shown


def test_bar_counts_what_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", said := Terminal())
    assert list(watched(iter("abc"), "films")) == ["a", "b", "c"]
    assert "films" in said.getvalue()
    assert said.getvalue().rstrip().removesuffix("\x1b[?25h").endswith(" 3")
