"""Coded outcomes. Three columns, never mixed: what became of an instance, of a knee, of a result."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class InstanceState(StrEnum):
    STORED = "stored"
    ASSESSED = "assessed"
    NOT_ASSESSED = "not_assessed"
    FAILED = "failed"
    VARIANT = "variant"
    CONFLICT = "conflict"
    LOST = "lost"
    CORRUPT = "corrupt"


IN_A_REPORT: Final = (InstanceState.ASSESSED, InstanceState.NOT_ASSESSED, InstanceState.FAILED)
"""A report of the study speaks of instances in these states."""


class InstanceOutcome(StrEnum):
    """Why an instance ended in its state; the value is the code that stands in tables, results and documentation."""

    ASSESSED = "assessed"
    INELIGIBLE_ROUTE = "ineligible_route"
    INELIGIBLE_MODALITY = "ineligible_modality"
    INELIGIBLE_SOP_CLASS = "ineligible_sop_class"
    INELIGIBLE_INTENT_PROCESSING = "ineligible_intent_processing"
    INELIGIBLE_MULTI_FRAME = "ineligible_multi_frame"
    INELIGIBLE_BODY_PART = "ineligible_body_part"
    INELIGIBLE_BODY_PART_UNKNOWN = "ineligible_body_part_unknown"
    INELIGIBLE_VIEW_UNKNOWN = "ineligible_view_unknown"
    INELIGIBLE_VIEW_LATERAL = "ineligible_view_lateral"
    INELIGIBLE_VIEW_OTHER = "ineligible_view_other"
    INELIGIBLE_AGE = "ineligible_age"
    INELIGIBLE_AGE_MISSING = "ineligible_age_missing"
    INELIGIBLE_AGE_CONFLICT = "ineligible_age_conflict"
    INELIGIBLE_OWN_RESULT = "ineligible_own_result"
    INELIGIBLE_BILATERAL = "ineligible_bilateral"
    INELIGIBLE_NOT_A_KNEE = "ineligible_not_a_knee"
    QUALITY_BLANK = "quality_blank"
    QUALITY_POLARITY_SUSPECT = "quality_polarity_suspect"
    QUALITY_UNDEREXPOSED = "quality_underexposed"
    QUALITY_OVEREXPOSED = "quality_overexposed"
    QUALITY_CLIPPED = "quality_clipped"
    QUALITY_SMALL_MATRIX = "quality_small_matrix"
    QUALITY_CROP_FALLBACK = "quality_crop_fallback"
    QUALITY_LOSSY = "quality_lossy"
    QUALITY_BURNED_IN_TEXT = "quality_burned_in_text"
    EXCLUDED_METAL = "excluded_metal"
    EXCLUDED_LATERALITY_CONFLICT = "excluded_laterality_conflict"
    EXCLUDED_CONFLICT = "excluded_conflict"
    EXCLUDED_REJECTED = "excluded_rejected"
    EXCLUDED_REPLACED = "excluded_replaced"
    INELIGIBLE_KEY_OBJECT = "ineligible_key_object"
    CORRECTION = "correction"
    FAILED_DECODE = "failed_decode"
    FAILED_TIMEOUT = "failed_timeout"
    FAILED_OOM = "failed_oom"
    FAILED_IMPLAUSIBLE = "failed_implausible"
    FAILED_ENGINE = "failed_engine"
    FAILED_MODEL_LOAD = "failed_model_load"
    FAILED_OUTBOUND_GATE = "failed_outbound_gate"
    FAILED_KEY_OBJECT = "failed_key_object"
    FAILED_INTERNAL = "failed_internal"
    VARIANT = "variant"
    CONFLICT = "conflict"
    LOST = "lost"
    CORRUPT = "corrupt"

    @property
    def state(self) -> InstanceState:
        """The instance state that goes with this outcome."""
        if self in _STATE_BY_OUTCOME:
            return _STATE_BY_OUTCOME[self]
        return InstanceState.FAILED if self.value.startswith("failed_") else InstanceState.NOT_ASSESSED


_STATE_BY_OUTCOME = {
    InstanceOutcome.ASSESSED: InstanceState.ASSESSED,
    InstanceOutcome.VARIANT: InstanceState.VARIANT,
    InstanceOutcome.CONFLICT: InstanceState.CONFLICT,
    InstanceOutcome.LOST: InstanceState.LOST,
    InstanceOutcome.CORRUPT: InstanceState.CORRUPT,
}


SET_ASIDE = (InstanceOutcome.EXCLUDED_REJECTED, InstanceOutcome.EXCLUDED_REPLACED, InstanceOutcome.EXCLUDED_CONFLICT)
"""By a correction or a person: whatever took it out of the reports has queued them anew."""


class KneeDecision(StrEnum):
    """One per knee. The first two come from the network; with the others it was not asked, the code says why."""

    FLAGGED = "flagged"
    NOT_FLAGGED = "not_flagged"
    QUALITY_BLANK = "quality_blank"
    EXCLUDED_METAL = "excluded_metal"
    INELIGIBLE_NOT_A_KNEE = "ineligible_not_a_knee"
    QUALITY_POLARITY_SUSPECT = "quality_polarity_suspect"
    QUALITY_SMALL_MATRIX = "quality_small_matrix"
    QUALITY_UNDEREXPOSED = "quality_underexposed"
    QUALITY_OVEREXPOSED = "quality_overexposed"
    QUALITY_CLIPPED = "quality_clipped"
    QUALITY_CROP_FALLBACK = "quality_crop_fallback"
    QUALITY_LOSSY = "quality_lossy"
    QUALITY_BURNED_IN_TEXT = "quality_burned_in_text"

    @property
    def assessed(self) -> bool:
        """True where the network decided."""
        return self in (KneeDecision.FLAGGED, KneeDecision.NOT_FLAGGED)


class Release(StrEnum):
    """What may happen to a result. `sent` releases it to its destinations; everything else keeps it in the store."""

    SENT = "sent"
    WITHHELD_SHADOW = "withheld_shadow"
    WITHHELD_SILENT = "withheld_silent"
    WITHHELD_NOT_FLAGGED = "withheld_not_flagged"
    WITHHELD_NOT_ASSESSED = "withheld_not_assessed"
    WITHHELD_NO_DESTINATION = "withheld_no_destination"
    WITHHELD_NOT_LIVE = "withheld_not_live"
    WITHHELD_REPEAT = "withheld_repeat"
    WITHHELD_RECALLED = "withheld_recalled"
    WITHHELD_INGESTED = "withheld_ingested"
    WITHHELD_LATE = "withheld_late"


RELEASABLE: Final = (Release.WITHHELD_RECALLED, Release.WITHHELD_INGESTED, Release.WITHHELD_LATE)
"""What a person may release: withheld for the circumstances, not by the site's policy."""
RELEASABLE_AS_SENT: Final = (Release.SENT, Release.WITHHELD_INGESTED, Release.WITHHELD_LATE)
"""What would go out at once or by a release: of a recalled study it becomes WITHHELD_RECALLED."""


class Policy(StrEnum):
    """What a route does with its results."""

    SHADOW = "shadow"
    SILENT = "silent"
    POSITIVE_ONLY = "positive_only"
    ALL = "all"

    @property
    def openness(self) -> int:
        """0 for the strictest: how much a policy lets out, for comparing two."""
        return tuple(Policy).index(self)
