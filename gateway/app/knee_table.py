"""The export of knees as a CSV file: pseudonyms, columns, and the file that is whole or not there."""

from __future__ import annotations

import csv
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from gateway.domain.exported_knee import ExportedKnee
from gateway.domain.operator import Operator
from gateway.events import Event
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database

COLUMNS: Final = (
    "image", "subject", "study", "study_date", "laterality", "decision", "logit", "score", "threshold", "severity_logit", "t_score_pred",
    "age", "sex", "bmi", "modality", "manufacturer", "model", "station", "quality_flags", "engine_profile", "bundle_hash", "shaping_hash",
    "assessed_at",
)  # fmt: skip
IDENTIFYING: Final = ("patient_id", "issuer_of_patient_id", "accession_number", "study_instance_uid", "sop_instance_uid")
"""Beside the others where the operator asks for them."""
FEWEST_KEY_BYTES: Final = 16
_DIGITS: Final = 24
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would run."""


class Pseudonyms:
    """The same key gives the same person the same number; without a key one is drawn for this file and forgotten."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def subject(self, knee: ExportedKnee) -> str:
        """Of issuer and patient id; empty without a patient id."""
        return subject_number(self._key, knee.patient_id, knee.issuer_of_patient_id) if knee.patient_id.strip() else ""

    def study(self, knee: ExportedKnee) -> str:
        return _digest(self._key, "study", knee.study_instance_uid)


def subject_number(key: bytes, patient_id: str, issuer: str) -> str:
    """24 hexadecimal digits of an HMAC-SHA-256 over `subject`, issuer and patient id without blanks around, parted by unit separators."""
    return _digest(key, "subject", issuer.strip(), patient_id.strip())


def _digest(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def write_knees(
    database: Database,
    knees: Iterable[ExportedKnee],
    out: Path,
    operator: Operator,
    *,
    pseudonyms: Pseudonyms,
    with_identifiers: bool,
) -> int:
    """Writes a new file, readable by its owner only, and returns the number of its rows.

    It gets its name when the audit has recorded who took it: no copy leaves without that. Raises FileExistsError and OSError.
    """
    with _new_file(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*COLUMNS, *(IDENTIFYING if with_identifiers else ())))
        count = 0
        for knee in knees:
            writer.writerow((*_cells(knee, pseudonyms), *((getattr(knee, name) for name in IDENTIFYING) if with_identifiers else ())))
            count += 1
        AuditLog(database, operator.actor).record(
            Event.KNEES_EXPORTED, count=count, code="with_identifiers" if with_identifiers else "pseudonymous", reason=operator.reason
        )
    return count


@contextmanager
def _new_file(out: Path) -> Iterator[IO[str]]:
    if out.exists():
        raise FileExistsError(f"{out} is there already")
    part = out.with_name(f".{out.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as stream:
            yield stream
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)


def _cells(knee: ExportedKnee, pseudonyms: Pseudonyms) -> Iterator[str]:
    values = {
        "image": f"{knee.instance_id}#{knee.position}",
        "subject": pseudonyms.subject(knee),
        "study": pseudonyms.study(knee),
        "study_date": _day(knee.study_date),
        "t_score_pred": knee.t_score,
        "age": knee.age_years,
        "quality_flags": " ".join(knee.quality_flags),
        "assessed_at": knee.assessed_at.isoformat(),
    }
    for name in COLUMNS:
        yield _told(values[name] if name in values else getattr(knee, name))


def _day(text: str) -> str:
    """YYYY-MM-DD; empty where the header has no date."""
    try:
        return datetime.strptime(text, "%Y%m%d").strftime("%Y-%m-%d")  # noqa: DTZ007  a date
    except ValueError:
        return ""


def _told(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
