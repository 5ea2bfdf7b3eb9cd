"""Received instances and rows for the store's tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from gateway.domain.assessment import Assessment, KeptReading
from gateway.domain.attributes import InstanceDescription, InstanceIdentity
from gateway.domain.finding import Laterality, LateralitySource, Region
from gateway.domain.outcome import KneeDecision
from gateway.store.new_instance import ReceivedInstance

BUNDLE, SHAPING = "b" * 64, "c" * 64


def received(number: int = 1, *, content: str = "x", study: str = "1.2.100") -> ReceivedInstance:
    return ReceivedInstance(
        identity=InstanceIdentity(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
            sop_instance_uid=f"1.2.3.{number}",
            series_instance_uid="1.2.200",
            study_instance_uid=study,
        ),
        description=InstanceDescription(
            accession_number="ACC1",
            patient_id="P1",
            issuer_of_patient_id="",
            modality="DX",
            manufacturer="",
            model="",
            station="",
            study_date="20240611",
        ),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        dataset_digest=hashlib.sha256(content.encode()).hexdigest(),
        size=len(content),
    )


def assessment(decision: KneeDecision = KneeDecision.FLAGGED, *, pixels: str = "p") -> Assessment:
    return Assessment(
        position=1,
        laterality=Laterality.RIGHT,
        laterality_source=LateralitySource.TAGS,
        decision=decision,
        reading=KeptReading(
            logit=0.5,
            score=62.2,
            threshold=0.44,
            severity_logit=0.1,
            severity_score=52.0,
            t_score=None,
            saliency_file="saliency/aa/aa.npy",
            saliency_digest="d" * 64,
            engine_profile="test",
        )
        if decision.assessed
        else None,
        age_years=72,
        sex="F",
        covariate_source="none",
        region=Region(left=1, top=2, right=3, bottom=4),
        quality_flags=("lossy",),
        measures={"lossy": 1.0},
        pixel_notes=("lossy",),
        preprocessed_digest="e" * 64,
        pixel_digest=hashlib.sha256(pixels.encode()).hexdigest(),
        bundle_hash=BUNDLE,
        shaping_hash=SHAPING,
        started_at=datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC),
    )
