"""A promotion: what it asks for, checked before anything is written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.config import Settings
from gateway.domain.bundle_evidence import read_evidence, why_not
from gateway.domain.operator import Operator
from gateway.errors import PromotionError
from gateway.store.bundles import Bundles, BundleStory, Evidence
from gateway.store.database import Database

_MOST_BYTES = 50_000_000


def promote(settings: Settings, database: Database, prefix: str, operator: Operator, second: Operator, report: Path) -> BundleStory:
    """Makes a bundle live, by two people and on evidence from the site's own patients. PromotionError and BundleActionError refuse."""
    bundles = Bundles(database)
    story = bundles.named(prefix)
    if operator.name.casefold() == second.name.casefold():
        raise PromotionError("--by and --second name the same person")
    if story.intended_use == "demonstration":
        raise PromotionError("its intended use is demonstration")
    evidence = _evidence(report)
    reason = why_not(evidence.figures, story.bundle_hash, assessed_from_years=settings.eligibility.min_age_years)
    if reason is not None:
        raise PromotionError(reason)
    bundles.promote(story.bundle_hash, operator, second, evidence)
    return bundles.named(story.bundle_hash)


def _evidence(report: Path) -> Evidence:
    try:
        if report.stat().st_size > _MOST_BYTES:
            raise PromotionError("the evidence is far longer than a report.json")
        content = report.read_bytes()
        return Evidence(figures=read_evidence(content), sha256=hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise PromotionError(f"the evidence cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PromotionError(str(error)) from error
