"""The documentation against the code: configuration keys, codes, statuses, classes, tables, targets; and its links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydicom.sr.coding import Code

from gateway.config import QualitySettings, Settings
from gateway.dicom.foreign_files import FileDefect
from gateway.dicom.part10 import Defect, DefectiveDatasetError
from gateway.dicom.uids import (
    ACCEPTED_SOP_CLASSES,
    ACCEPTED_TRANSFER_SYNTAXES,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from gateway.domain.alarm import AlarmCode
from gateway.domain.delivery import DeliveryState
from gateway.domain.outcome import KneeDecision, Policy, Release
from gateway.domain.readiness import Cause
from gateway.receive import dimse_status
from gateway.receive.dimse_status import Answer, answer_for
from gateway.results import codes
from gateway.store.tables import Base
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
TARGETS = (
    "help",
    "demo",
    "test",
    "check",
    "conformance",
    "decode-table",
    "test-attacks",
    "test-faults",
    "soak",
    "bench-intake",
    "bench-queue",
    "sequences",
    "viewer",
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """(heading, model) of every section: `[name]`, or `[[name]]` where it may stand several times."""
    for name, field in Settings.model_fields.items():
        inner = [kind for kind in get_args(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield f"[[{name}]]", inner[0]
        else:
            assert isinstance(field.annotation, type)
            assert issubclass(field.annotation, BaseModel)
            yield f"[{name}]", field.annotation


def keys() -> list[tuple[str, str]]:
    return [(heading, field.alias or name) for heading, model in sections() for name, field in model.model_fields.items()]


@pytest.mark.parametrize(("heading", "key"), keys())
def test_configuration_key_stands_in_its_section_of_the_documentation(heading: str, key: str) -> None:
    parts = dict(re.findall(r"^## (\[[^\n]*\])\n(.*?)(?=^## |\Z)", read("docs/configuration.md"), flags=re.MULTILINE | re.DOTALL))
    assert f"| `{key}` |" in parts[heading]


@pytest.mark.parametrize("target", TARGETS)
def test_target_exists_and_is_named_in_the_readme(target: str) -> None:
    assert re.search(rf"^{target}:", read("Makefile"), flags=re.MULTILINE)
    if target != "help":
        assert f"make {target}" in read("README.md")


@pytest.mark.parametrize("code", [*KneeDecision, *Release, *DeliveryState])
def test_code_is_documented(code: str) -> None:
    assert f"| `{code}` |" in read("docs/outcomes.md")


@pytest.mark.parametrize("code", list(AlarmCode))
def test_alarm_is_documented(code: AlarmCode) -> None:
    assert f"| `{code}` |" in read("docs/alarms.md")


@pytest.mark.parametrize("cause", list(Cause))
def test_cause_of_not_being_ready_is_documented(cause: Cause) -> None:
    assert f"| `{cause}` |" in read("docs/operations.md")


@pytest.mark.parametrize("policy", list(Policy))
def test_policy_is_documented(policy: Policy) -> None:
    assert f"| `{policy}` |" in read("docs/routing.md")


@pytest.mark.parametrize("uid", [*ACCEPTED_SOP_CLASSES, *ACCEPTED_TRANSFER_SYNTAXES])
def test_accepted_class_or_syntax_stands_in_the_conformance_statement(uid: str) -> None:
    assert f"| {uid} |" in read("docs/conformance.md")


def test_transfer_syntaxes_stand_in_the_order_in_which_they_are_preferred() -> None:
    text = read("docs/conformance.md")
    places = [text.index(f"| {uid} |") for uid in ACCEPTED_TRANSFER_SYNTAXES]
    assert places == sorted(places)


ANSWERS = [
    *(answer_for(DefectiveDatasetError(defect)) for defect in Defect),
    *(value for value in vars(dimse_status).values() if isinstance(value, Answer)),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.reason)
def test_answer_to_c_store_is_documented(answer: Answer) -> None:
    assert f"| {answer.status:04X} | {answer.comment} |" in read("docs/conformance.md")
    assert f"`{answer.reason}`" in read("docs/outcomes.md")


@pytest.mark.parametrize(
    "code",
    [
        *(code for code in vars(codes).values() if isinstance(code, Code) and code.scheme_designator == codes.PRIVATE_SCHEME),
        *(of_knee(suffix) for of_knee in (codes.score, codes.severity, codes.t_score) for suffix in ("R", "L", "1")),
    ],
)
def test_private_code_stands_in_the_conformance_statement(code: Code) -> None:
    assert f"| {code.value} | {code.meaning} |" in read("docs/conformance.md")


def test_names_of_this_implementation_stand_in_the_conformance_statement() -> None:
    for name in (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME):
        assert f"| {name} |" in read("docs/conformance.md")


@pytest.mark.parametrize("table", sorted(Base.metadata.tables))
def test_table_of_the_audit_store_is_documented(table: str) -> None:
    assert f"| `{table}` |" in read("docs/architecture.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Headings as a forge turns them into anchors."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_no_absolute_path_of_a_development_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|root|home)/", page.read_text(encoding="utf-8"))


def test_quality_page_shows_every_flag_with_what_is_shipped() -> None:
    page = read("docs/quality.md")
    for name, flag in QualitySettings().flags:
        assert re.search(rf"^\| `{name}` \|.*\| {flag.action} at {flag.threshold:g}0* \|$", page, flags=re.MULTILINE), name


@pytest.mark.parametrize("defect", list(FileDefect))
def test_refusal_of_a_file_is_documented(defect: FileDefect) -> None:
    assert f"`{defect.value}`" in read("docs/outcomes.md")
