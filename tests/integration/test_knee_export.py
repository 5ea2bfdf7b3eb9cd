"""`audit export` on both databases: what stands in the file, what does not, and what the audit says of it."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.app.knee_table import COLUMNS, IDENTIFYING, Pseudonyms, write_knees
from gateway.domain.operator import Operator
from gateway.domain.outcome import SET_ASIDE
from gateway.store.database import Database
from gateway.store.knee_export import KneeExport
from gateway.store.phantom_studies import PhantomStudies
from gateway.store.tables import AssessmentRow, AuditEventRow, InstanceRow
from strnet_core.evaluation.dxa import subject_number
from strnet_core.evaluation.site_export import read_site_export
from tests.integration.bench import MODEL, Bench

ANNA = Operator(name="anna", reason="STUDY-7")


@pytest.fixture
def here(bench: Callable[..., Bench]) -> Bench:
    """Two patients: one with two knees of which one is not flagged, one with a flagged one; and an image that the header refuses."""
    made = bench("shadow")
    made.decoder.knees = 2
    made.analyzer.flagged = [True, False, True]
    made.receive(1, Manufacturer="=ACME", ManufacturerModelName="X1", StationName="ROOM")
    made.analyze_all()
    made.decoder.knees = 1
    made.receive(1, study=2, IssuerOfPatientID="WARD")
    made.receive(2, study=3, Modality="CT")
    made.analyze_all()
    return made


def export(
    database: Database, out: Path, *, key: bytes | None = None, with_identifiers: bool = False, **wanted: object
) -> list[dict[str, str]]:
    found = KneeExport(database, **wanted)  # type: ignore[arg-type]
    written = write_knees(database, found.knees(), out, ANNA, pseudonyms=Pseudonyms(key), with_identifiers=with_identifiers)
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == written
    return rows


def test_a_row_is_a_knee_without_any_identifier(here: Bench, tmp_path: Path) -> None:
    out = tmp_path / "knees.csv"
    rows = export(here.database, out)
    assert tuple(rows[0]) == COLUMNS
    assert [(row["decision"], row["logit"]) for row in rows] == [("flagged", "1.0"), ("not_flagged", "-1.0"), ("flagged", "1.0")]
    assert rows[0]["subject"] == rows[1]["subject"] != rows[2]["subject"]
    assert {row["study_date"] for row in rows} == {"2026-01-01"}
    assert (rows[0]["manufacturer"], rows[0]["model"], rows[0]["station"]) == ("'=ACME", "X1", "ROOM")
    assert (rows[0]["age"], rows[0]["sex"], rows[0]["bundle_hash"]) == ("76", "F", MODEL.bundle_hash)
    text = out.read_text(encoding="utf-8")
    with here.database.reading() as session:
        for instance in session.scalars(select(InstanceRow)):
            for secret in (instance.patient_id, instance.accession_number, instance.study_instance_uid, instance.sop_instance_uid):
                assert secret not in text
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*.part"))


def test_subjects_are_random_without_a_key_and_the_same_with_one(here: Bench, tmp_path: Path) -> None:
    plain = [export(here.database, tmp_path / name)[0]["subject"] for name in ("a", "b")]
    assert plain[0] != plain[1]
    key = b"a secret of 16 b"
    keyed = [[row["subject"] for row in export(here.database, tmp_path / name, key=key)] for name in ("c", "d")]
    assert keyed[0] == keyed[1] == [subject_number(key, "P1", "")] * 2 + [subject_number(key, "P2", "WARD")]


def test_identifiers_come_only_when_asked_for_and_the_audit_says_so(here: Bench, tmp_path: Path) -> None:
    export(here.database, tmp_path / "a")
    rows = export(here.database, tmp_path / "b", with_identifiers=True)
    assert tuple(rows[0]) == (*COLUMNS, *IDENTIFYING)
    assert [(row["patient_id"], row["issuer_of_patient_id"], row["accession_number"]) for row in rows[1:]] == [
        ("P1", "", "ACC1"),
        ("P2", "WARD", "ACC2"),
    ]
    with here.database.reading() as session:
        told = session.scalars(select(AuditEventRow).where(AuditEventRow.event == "knees:exported").order_by(AuditEventRow.seq)).all()
    assert [event.detail for event in told] == [
        {"count": 3, "code": code, "reason": "STUDY-7"} for code in ("pseudonymous", "with_identifiers")
    ]
    assert {event.actor for event in told} == {"operator:anna"}


def test_time_and_bundle_narrow_it_down_and_the_newest_of_a_knees_settings_stands(here: Bench, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert export(here.database, tmp_path / "a", since=now + timedelta(hours=1)) == []
    assert len(export(here.database, tmp_path / "b", until=now + timedelta(hours=1), bundle="bbb")) == 3
    assert export(here.database, tmp_path / "c", bundle="%") == []
    with here.database.transaction() as session:
        # the same knee once more, under other settings, later
        row = session.scalars(select(AssessmentRow).where(AssessmentRow.position == 2)).one()
        columns = {column.name: getattr(row, column.name) for column in AssessmentRow.__table__.columns}
        later = {"id": "x" * 32, "shaping_hash": "d" * 64, "created_at": row.created_at + timedelta(seconds=1)}
        session.add(AssessmentRow(**{**columns, **later}))
    rows = export(here.database, tmp_path / "d")
    assert [row["shaping_hash"] == "d" * 64 for row in rows] == [False, True, False]
    assert KneeExport(here.database).count() == 4


def test_an_image_in_doubt_is_left_out(here: Bench, tmp_path: Path) -> None:
    doubts = [("conflict", "conflict"), ("lost", "lost"), *(("not_assessed", outcome.value) for outcome in SET_ASIDE)]
    for number, (state, outcome) in enumerate(doubts):
        with here.database.transaction() as session:
            session.execute(update(InstanceRow).where(InstanceRow.patient_id == "P1").values(state=state, outcome=outcome))
        assert len(export(here.database, tmp_path / str(number))) == 1


def test_a_phantom_of_check_is_nobodys_knee(here: Bench, tmp_path: Path) -> None:
    PhantomStudies(here.database).announce("2.25.99", actor="test")
    here.receive(1, study=9, StudyInstanceUID="2.25.99")
    here.analyze_all()
    assert len(export(here.database, tmp_path / "a")) == 3 == KneeExport(here.database).count()


def test_what_fails_on_its_way_leaves_no_file_and_what_is_there_is_kept(here: Bench, tmp_path: Path) -> None:
    def breaks() -> object:
        yield from list(KneeExport(here.database).knees())[:1]
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        write_knees(here.database, breaks(), tmp_path / "a", ANNA, pseudonyms=Pseudonyms(), with_identifiers=False)  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()
    assert list(tmp_path.glob(".a*")) == []
    (tmp_path / "b").write_text("mine")
    with pytest.raises(FileExistsError):
        export(here.database, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_refused_knees_stand_there_with_their_reason_and_the_research_side_reads_it(bench: Callable[..., Bench], tmp_path: Path) -> None:
    made = bench("shadow")
    made.decoder.knees, made.decoder.knee_measures = 2, ({"metal": 0.9}, {})
    made.receive(1)
    made.analyze_all()
    rows = export(made.database, tmp_path / "a")
    assert [(row["decision"], row["logit"]) for row in rows] == [("excluded_metal", ""), ("flagged", "1.0")]
    read = read_site_export(tmp_path / "a")
    assert [knee.logit for knee in read.knees] == [None, 1.0]
    assert (read.bundle_hash, read.threshold, read.has_identifiers) == (MODEL.bundle_hash, 0.44, False)
