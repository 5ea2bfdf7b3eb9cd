"""An assessed knee as a result speaks of it, with its Grad-CAM read back from the spool."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np

from gateway.config import QualitySettings
from gateway.domain.assessment import Assessment, KeptReading
from gateway.domain.finding import KneeFinding
from gateway.store.spool import Spool

_TEXT: Final = "burned_in_text"


def kept_saliency(spool: Spool, reading: KeptReading) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 (16, 16) for 512 x 512. SpoolFileLostError and SpoolFileCorruptError."""
    found = np.load(BytesIO(spool.read_verified(reading.saliency_file, reading.saliency_digest)), allow_pickle=False)
    return np.asarray(found, np.float32)


def knee_finding(
    sop_instance_uid: str, assessment: Assessment, reading: KeptReading, *, spool: Spool, quality: QualitySettings
) -> KneeFinding:
    """reading: the assessment's own."""
    return KneeFinding(
        sop_instance_uid=sop_instance_uid,
        laterality=assessment.laterality,
        laterality_source=assessment.laterality_source,
        position=assessment.position,
        decision=assessment.decision,
        logit=reading.logit,
        score=reading.score,
        severity_score=reading.severity_score,
        t_score=reading.t_score,
        age_years=assessment.age_years,
        sex=assessment.sex,
        bmi=assessment.bmi,
        region=assessment.region,
        quality_flags=assessment.quality_flags,
        engine_profile=reading.engine_profile,
        pixel_digest=assessment.pixel_digest,
        saliency=tuple(tuple(float(value) for value in row) for row in kept_saliency(spool, reading)),
        text_suspected=assessment.measures.get(_TEXT, 0.0) >= quality.burned_in_text.threshold,
    )
