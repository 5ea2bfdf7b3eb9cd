"""One instance: route, decode, judge, assess each knee. Its outcome and its assessments go into the store in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Final

import numpy as np

from gateway.config import QualitySettings
from gateway.dicom.attributes import lookup, read_attributes
from gateway.dicom.part10 import read_header
from gateway.domain.assessment import Analysis, Assessment, KeptReading, StoredInstance
from gateway.domain.attributes import InstanceAttributes
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState, KneeDecision
from gateway.domain.sameness import is_same_patient, sides_agree
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.inference.analyzer import Analyzer, Reading, covariates_of
from gateway.inference.decoder import Decoder, Prepared, PreparedKnee
from gateway.inference.sides import Side, knee_sides
from gateway.routing.eligibility import age_years, named_sides
from gateway.routing.quality import Judgement, judge
from gateway.routing.router import Router
from gateway.store.instances import Instances
from gateway.store.spool import Spool
from gateway.workers.evidence_file import verified_path
from gateway.workers.worker import Ending

_OUTCOMES = {outcome.value: outcome for outcome in InstanceOutcome}
_BOTH: Final = "B"
SIDE_CONTRADICTED: Final = "side_contradicted"
"""Flag: the header names one side and the image shows two knees."""


@dataclass(frozen=True, slots=True)
class _Refused:
    outcome: InstanceOutcome
    reason: str


@dataclass(frozen=True, slots=True)
class _JudgedKnee:
    prepared: PreparedKnee
    side: Side
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeInstance:
    """The analyze_instance job."""

    instances: Instances
    spool: Spool
    keep_map: Callable[[bytes], str]
    """Keeps a knee's Grad-CAM (.npy) and returns its name."""
    router: Router
    decoder: Decoder
    analyzer: Analyzer
    quality: QualitySettings
    bundle_hash: str
    shaping_hash: str

    def run(self, claim: Claim) -> Ending:
        analysis = self.analysis(self.instances.get(claim.subject), claim.first_claimed_at)
        self.instances.finish(claim, analysis)
        return Ending(Event.JOB_DONE, analysis.outcome.value)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        outcome = _OUTCOMES.get(error.code, InstanceOutcome.FAILED_INTERNAL)
        self.instances.give_up(claim, Analysis(instance_id=claim.subject, outcome=outcome, reason=type(error).__name__))

    def analysis(self, instance: StoredInstance, started_at: datetime) -> Analysis:
        """What becomes of an instance under the present settings and bundle. Keeps the knees' maps, and writes no row."""
        path = verified_path(self.spool, instance)
        header = read_header(path)
        attributes = read_attributes(header)
        decision = self.router.decide(attributes, lookup(header), self.instances.peer_of(instance.instance_id))
        if decision.outcome is not None:
            return Analysis(
                instance_id=instance.instance_id,
                outcome=decision.outcome,
                reason=decision.reason,
                route=decision.route,
                policy=decision.policy,
            )
        prepared = self.decoder.prepare(path)
        named = frozenset(named_sides(attributes))
        sides = knee_sides(named, _row_direction(attributes), len(prepared.knees))
        knees = [_JudgedKnee(knee, side, self._judged(prepared, knee)) for knee, side in zip(prepared.knees, sides, strict=True)]
        unseen = self._same_uid(instance, prepared, sides) or _knee_missing(knees, named)
        refused = unseen or _every_knee_refused(knees)
        return Analysis(
            instance_id=instance.instance_id,
            outcome=InstanceOutcome.ASSESSED if refused is None else refused.outcome,
            reason=decision.reason if refused is None else refused.reason,
            route=decision.route,
            policy=decision.policy,
            pixel_digest=prepared.pixel_digest,
            assessments=() if unseen else self._assess(attributes, prepared, knees, named, started_at),
        )

    def _judged(self, prepared: Prepared, knee: PreparedKnee) -> Judgement:
        return judge({**prepared.measures, **knee.measures}, self.quality)

    def _same_uid(self, instance: StoredInstance, prepared: Prepared, sides: Sequence[Side]) -> _Refused | None:
        """Another data set of this UID was assessed. A variant has its pixels, patient and sides; anything else a person decides."""
        others = [other for other in self.instances.same_sop_instance(instance) if other.state == InstanceState.ASSESSED]
        ours = frozenset((position, side.value) for position, (side, _) in enumerate(sides, 1))
        for other in others:
            if other.pixel_digest != prepared.pixel_digest:
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other pixels")
            if not is_same_patient((other.issuer_of_patient_id, other.patient_id), (instance.issuer_of_patient_id, instance.patient_id)):
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other patient")
            if other.study_instance_uid != instance.study_instance_uid:
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other study")
            if not sides_agree(self.instances.sides(other.instance_id), ours):
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other side")
        return _Refused(InstanceOutcome.VARIANT, "same SOP Instance UID and pixels, other header") if others else None

    def _assess(
        self,
        attributes: InstanceAttributes,
        prepared: Prepared,
        knees: Sequence[_JudgedKnee],
        named: frozenset[str],
        started_at: datetime,
    ) -> tuple[Assessment, ...]:
        """One assessment per knee; the network sees those that nothing refuses, in one batch."""
        age = age_years(attributes)
        covariates = covariates_of(
            age_years=age, sex=attributes.patient_sex, size_m=attributes.patient_size_m, weight_kg=attributes.patient_weight_kg
        )
        accepted = [knee.prepared for knee in knees if knee.judgement.refusal is None]
        read = self.analyzer.read(accepted, covariates) if accepted else ()
        readings = dict(zip((knee.position for knee in accepted), read, strict=True))
        return tuple(
            Assessment(
                position=knee.prepared.position,
                laterality=knee.side[0],
                laterality_source=knee.side[1],
                decision=reading.decision if reading else KneeDecision(knee.judgement.refusal or ""),
                reading=self._kept(reading) if reading else None,
                age_years=age,
                sex=attributes.patient_sex if attributes.patient_sex in ("M", "F") else None,
                covariate_source="header" if covariates is not None else "none",
                region=knee.prepared.region,
                quality_flags=(*knee.judgement.warnings, *_contradiction(named, knees)),
                measures={**prepared.measures, **knee.prepared.measures},
                pixel_notes=prepared.notes,
                preprocessed_digest=knee.prepared.image_sha256,
                pixel_digest=prepared.pixel_digest,
                bundle_hash=self.bundle_hash,
                shaping_hash=self.shaping_hash,
                started_at=started_at,
            )
            for knee in knees
            for reading in (readings.get(knee.prepared.position),)
        )

    def _kept(self, reading: Reading) -> KeptReading:
        buffer = BytesIO()
        np.save(buffer, reading.saliency.astype(np.float32), allow_pickle=False)
        content = buffer.getvalue()
        return KeptReading(
            logit=reading.logit,
            score=reading.score,
            threshold=reading.threshold,
            severity_logit=reading.severity_logit,
            severity_score=reading.severity_score,
            t_score=reading.t_score,
            saliency_file=self.keep_map(content),
            saliency_digest=hashlib.sha256(content).hexdigest(),
            engine_profile=reading.profile,
        )


def _knee_missing(knees: Sequence[_JudgedKnee], named: frozenset[str]) -> _Refused | None:
    """The header speaks of two knees and one good one was found: the network would see two legs as one."""
    if len(knees) == 1 and _BOTH in named and knees[0].judgement.refusal is None:
        return _Refused(InstanceOutcome.INELIGIBLE_BILATERAL, "one knee found, the header names both")
    return None


def _every_knee_refused(knees: Sequence[_JudgedKnee]) -> _Refused | None:
    """With nothing left for the network the image is not assessed, for the reason of its first knee."""
    refusals = [knee.judgement.refusal for knee in knees]
    return _Refused(refusals[0], "every knee") if refusals[0] is not None and None not in refusals else None


def _row_direction(attributes: InstanceAttributes) -> str:
    """PS3.3 C.7.6.1.1.1: the first of two values is the direction of the rows; one value alone says nothing that can be relied on."""
    orientation = attributes.patient_orientation
    return orientation[0].upper() if len(orientation) == 2 else ""  # noqa: PLR2004


def _contradiction(named: frozenset[str], knees: Sequence[_JudgedKnee]) -> tuple[str, ...]:
    return (SIDE_CONTRADICTED,) if len(knees) > 1 and named - {_BOTH} else ()
