"""Knees that the network assesses, and what a ledger says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pydicom.dataset import FileDataset

from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from tests.faults.images import MARK, Image
from tests.faults.ledger import Ledger
from tests.faults.waiting import wait_for

QUIET_SECONDS: Final = 240


def phantom(number: int) -> FileDataset:
    """A knee that is assessed. The same number is the same knee to the last pixel."""
    study = PhantomStudy(
        seed=9,
        number=number,
        patient_name=MARK,
        patient_id=f"{MARK}{number}",
        birth_date="19500101",
        sex="F",
        taken_at=datetime(2026, 1, 2, tzinfo=UTC),
        accession_number=f"{MARK}{number}"[-16:],
    )
    return phantom_instance(study, phantom_parameters(rows=600, columns=500), instance_number=1)


def wait_quiet(ledger: Ledger, kinds: str = "'analyze_instance', 'report_study', 'deliver_result'") -> None:
    """Until no job of these kinds is open."""
    opened = f"state IN ('queued', 'running', 'retry') AND kind IN ({kinds})"
    wait_for(lambda: ledger.count("job", opened) == 0, QUIET_SECONDS, "jobs are still open")


def outcome(ledger: Ledger, one: Image) -> str:
    found = ledger.ask("SELECT outcome FROM instance WHERE sop_instance_uid = ? AND dataset_digest = ?", one.uid, one.digest)
    return str(found[0][0]) if found else "no instance"
