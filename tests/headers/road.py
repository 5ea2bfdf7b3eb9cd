"""The whole road of a header: received, stored, assessed by doubles with known answers, and made into results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config import ResultSettings
from gateway.dicom.part10 import read_header
from gateway.dicom.uids import derived_uid
from gateway.results.evidence import SourceInstance
from gateway.results.study_report import build_results
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.results import Results
from gateway.store.spool import Spool
from tests.conformance.sources import drawn_knee
from tests.integration.bench import MODEL as BENCH_MODEL
from tests.integration.bench import Bench, new_bench
from tests.integration.test_store import record_test_bundle

from .hospital import header_of
from .raw import RawHeader
from .rows import EVIDENCE, report_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What became of one row. files: its results by kind of result, "direct-" before those of an image that was refused."""

    row: Mapping[str, str]
    outcome: str
    files: Mapping[str, Path]


def journeys(rows: Iterable[Mapping[str, str]], folder: Path, database: Database) -> Iterator[Journey]:
    """Each row through a gateway of its own study; results are written to `folder` as <number>-<kind>.dcm.

    An image whose header makes it ineligible ends in "not assessed"; what its assessment would have given is built beside it.
    """
    spool = Spool(folder / "spool")
    spool.prepare()
    record_test_bundle(database)
    for number, row in enumerate(rows):
        yield _journey(bench_for(row, database, spool), row, folder, number)


def bench_for(row: Mapping[str, str], database: Database, spool: Spool) -> Bench:
    """A gateway without processes and sockets that makes what `row` asks for."""
    bench = new_bench(database, spool, results={**_result_settings(row), "report_not_assessed": True, "repeat_days": 0})
    bench.model = replace(BENCH_MODEL, evidence=EVIDENCE)
    bench.analyzer.flagged = [row["result"] == "flagged"]
    bench.decoder.measures = {"blank": 1.0} if row["result"] == "not assessed" else {}
    return bench


def _result_settings(row: Mapping[str, str]) -> dict[str, object]:
    shown = row["severity"] == "on"
    return {"sr_class": row["report class"], "language": row["language"], "show_severity": shown, "show_t_score": shown}


def _journey(bench: Bench, row: Mapping[str, str], folder: Path, number: int) -> Journey:
    study = f"2.25.3000.{number}"
    receive(bench, header_of(row, study=study))
    bench.work(rounds=4)
    (instance,) = Instances(bench.database).of_study(study)
    contents = {one.kind: bench.spool.path(one.file).read_bytes() for one in Results(bench.database).of_study(study)}
    if instance.outcome != "assessed" and row["result"] != "not assessed":
        contents |= direct(row, bench.spool.path(instance.file))
    files = {kind: folder / f"{number:03}-{kind}.dcm" for kind in contents}
    for kind, file in files.items():
        file.write_bytes(contents[kind])
    return Journey(row=row, outcome=instance.outcome or "", files=files)


def receive(bench: Bench, header: RawHeader) -> None:
    sop_class, uid = header.values["SOPClassUID"], header.values["SOPInstanceUID"]
    assert isinstance(sop_class, bytes)
    assert isinstance(uid, bytes)
    bench.take(header.encoded(), sop_class_uid=sop_class.decode(), sop_instance_uid=uid.decode())


def direct(row: Mapping[str, str], path: Path) -> dict[str, bytes]:
    """The results that `row` asks for, by kind, from a stored file, whether or not its header makes it eligible."""
    header = read_header(path)
    uid = str(header.SOPInstanceUID)
    built = build_results(
        report_of(row, uid, str(header.SOPClassUID)),
        {uid: SourceInstance(dataset=header, presentation=drawn_knee(int(header.Rows), int(header.Columns)))},
        ResultSettings.model_validate(_result_settings(row)),
        lambda kind: derived_uid((uid, "direct", kind)),
    )
    return {f"direct-{one.kind}": one.content for one in built}
