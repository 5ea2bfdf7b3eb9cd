"""Locks over what no row stands for yet (PostgreSQL; SQLite has one writer anyway). Each is taken before any row of an image is."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_OF_PIXELS: Final = 0x53545250
_OF_NOTES: Final = 0x53545251
"""First halves of the advisory locks' keys."""


def one_at_a_time(session: Session, pixel_digest: str | None) -> None:
    """Two analyses of one image under two patients that end at the same moment must see each other. SQLite has one writer anyway."""
    if pixel_digest is not None and session.get_bind().dialect.name == "postgresql":
        key = int(pixel_digest[:8], 16) - 2**31
        session.execute(text("SELECT pg_advisory_xact_lock(:class, :key)"), {"class": _OF_PIXELS, "key": key})


def beside_notes(session: Session) -> None:
    """An analysis that ends sees every rejection note that was applied before it, or is seen by it."""
    _lock(session, "pg_advisory_xact_lock_shared")


def beside_analyses(session: Session) -> None:
    """A rejection note that names an image which is not here: it comes and is analysed before the note is applied, or after."""
    _lock(session, "pg_advisory_xact_lock")


def _lock(session: Session, function: str) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT {function}(:class, 0)"), {"class": _OF_NOTES})
