"""One instance: is it eligible, and if so, what does the network say. Ends in one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np

from gateway.dicom.attributes import lookup, read_attributes
from gateway.dicom.part10 import read_header
from gateway.domain.assessment import Analysis, Assessment, StoredInstance
from gateway.domain.attributes import InstanceAttributes
from gateway.domain.finding import Region
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.inference.analyzer import Analyzer, Reading, covariates_of
from gateway.inference.decoder import Decoder, Prepared
from gateway.routing.eligibility import age_years, side_of
from gateway.routing.router import Decision, Router
from gateway.store.instances import Instances
from gateway.store.spool import Spool
from gateway.workers.evidence_file import verified_path
from gateway.workers.worker import Ending

_OUTCOMES = {outcome.value: outcome for outcome in InstanceOutcome}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeInstance:
    """The analyze_instance job."""

    instances: Instances
    spool: Spool
    router: Router
    decoder: Decoder
    analyzer: Analyzer
    bundle_hash: str
    shaping_hash: str

    def run(self, claim: Claim) -> Ending:
        instance = self.instances.get(claim.subject)
        path = verified_path(self.spool, instance)
        header = read_header(path)
        attributes = read_attributes(header)
        decision = self.router.decide(attributes, lookup(header))
        analysis = self._analysis(claim, instance, path, attributes, decision)
        self.instances.finish(claim, analysis)
        return Ending(Event.JOB_DONE, analysis.outcome.value)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        outcome = _OUTCOMES.get(error.code, InstanceOutcome.FAILED_INTERNAL)
        self.instances.give_up(claim, Analysis(instance_id=claim.subject, outcome=outcome, reason=type(error).__name__))

    def _analysis(self, claim: Claim, instance: StoredInstance, path: Path, attributes: InstanceAttributes, decision: Decision) -> Analysis:
        if decision.outcome is not None:
            return Analysis(instance_id=instance.instance_id, outcome=decision.outcome, reason=decision.reason, route=decision.route)
        prepared = self.decoder.prepare(path)
        refusal = self._same_uid(instance, attributes, prepared) or _image_refusal(prepared)
        if refusal is not None:
            return Analysis(
                instance_id=instance.instance_id,
                outcome=refusal[0],
                reason=refusal[1],
                route=decision.route,
                pixel_digest=prepared.pixel_digest,
            )
        return Analysis(
            instance_id=instance.instance_id,
            outcome=InstanceOutcome.ASSESSED,
            reason=decision.reason,
            route=decision.route,
            pixel_digest=prepared.pixel_digest,
            assessments=(self._assess(attributes, prepared, claim.first_claimed_at),),
        )

    def _same_uid(self, instance: StoredInstance, attributes: InstanceAttributes, prepared: Prepared) -> tuple[InstanceOutcome, str] | None:
        """Another data set of this UID was assessed. A variant has its pixels, patient and side; anything else a person decides."""
        others = [other for other in self.instances.same_sop_instance(instance) if other.state == InstanceState.ASSESSED]
        for other in others:
            if other.pixel_digest != prepared.pixel_digest:
                return InstanceOutcome.CONFLICT, "same SOP Instance UID, other pixels"
            if (other.issuer_of_patient_id, other.patient_id) != (instance.issuer_of_patient_id, instance.patient_id):
                return InstanceOutcome.CONFLICT, "same SOP Instance UID, other patient"
            if other.study_instance_uid != instance.study_instance_uid:
                return InstanceOutcome.CONFLICT, "same SOP Instance UID, other study"
            if self.instances.sides(other.instance_id) != {side_of(attributes)[0].value}:
                return InstanceOutcome.CONFLICT, "same SOP Instance UID, other side"
        return (InstanceOutcome.VARIANT, "same SOP Instance UID and pixels, other header") if others else None

    def _assess(self, attributes: InstanceAttributes, prepared: Prepared, started_at: datetime) -> Assessment:
        age = age_years(attributes)
        covariates = covariates_of(
            age_years=age, sex=attributes.patient_sex, size_m=attributes.patient_size_m, weight_kg=attributes.patient_weight_kg
        )
        reading = self.analyzer.read(prepared, covariates)
        saliency_file, saliency_digest = self._keep_saliency(reading)
        laterality, source = side_of(attributes)
        return Assessment(
            position=1,
            laterality=laterality,
            laterality_source=source,
            decision=reading.decision,
            logit=reading.logit,
            score=reading.score,
            threshold=reading.threshold,
            severity_logit=reading.severity_logit,
            severity_score=reading.severity_score,
            t_score=reading.t_score,
            age_years=age,
            sex=attributes.patient_sex if attributes.patient_sex in ("M", "F") else None,
            covariate_source="header" if covariates is not None else "none",
            region=Region(left=prepared.left, top=prepared.top, right=prepared.right, bottom=prepared.bottom),
            quality_flags=prepared.flags,
            saliency_file=saliency_file,
            saliency_digest=saliency_digest,
            preprocessed_digest=prepared.image_sha256,
            pixel_digest=prepared.pixel_digest,
            engine_profile=self.analyzer.profile,
            bundle_hash=self.bundle_hash,
            shaping_hash=self.shaping_hash,
            started_at=started_at,
        )

    def _keep_saliency(self, reading: Reading) -> tuple[str, str]:
        buffer = BytesIO()
        np.save(buffer, reading.saliency.astype(np.float32), allow_pickle=False)
        content = buffer.getvalue()
        return self.spool.write("saliency", new_id(), (content,)), hashlib.sha256(content).hexdigest()


def _image_refusal(prepared: Prepared) -> tuple[InstanceOutcome, str] | None:
    if prepared.blank:
        return InstanceOutcome.QUALITY_BLANK, "pixels"
    if "polarity_suspect" in prepared.flags:
        # bright air around a dark leg: the network would score a negative
        return InstanceOutcome.QUALITY_POLARITY_SUSPECT, "pixels"
    if prepared.knees > 1:
        return InstanceOutcome.INELIGIBLE_BILATERAL, "pixels"
    return None
