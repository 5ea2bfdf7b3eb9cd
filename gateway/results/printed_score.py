"""Numbers as they are printed: rounded, and never against the decision."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from gateway.domain.finding import KneeFinding
from gateway.domain.outcome import KneeDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedScore:
    """Score and threshold, both of 0..100."""

    score: Decimal
    threshold: Decimal


def printed_score(knee: KneeFinding, threshold: float) -> PrintedScore:
    """Whole numbers where they agree with the decision, else two decimals, the score held on the decision's side.

    threshold: in 0..1, as the bundle has it.
    """
    flagged = knee.decision is KneeDecision.FLAGGED
    shown_threshold = printed_threshold(threshold)
    whole = rounded(knee.score, 0)
    if (whole >= shown_threshold) == flagged:
        return PrintedScore(score=whole, threshold=shown_threshold)
    fine = rounded(knee.score, 2)
    if (fine >= shown_threshold) != flagged:
        # Nearer to the threshold than two decimals can show
        fine = rounded(shown_threshold, 2) if flagged else rounded(shown_threshold, 2) - Decimal("0.01")
    return PrintedScore(score=fine, threshold=shown_threshold)


def printed_threshold(threshold: float) -> Decimal:
    """A threshold of 0..1 as a score of 0..100, whole where two decimals say no more."""
    whole, fine = rounded(threshold * 100, 0), rounded(threshold * 100, 2)
    return whole if whole == fine else fine


def rounded(value: float | Decimal, decimals: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
