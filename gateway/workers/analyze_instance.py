"""One instance: is it eligible, and if so, what does the network say. Ends in one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from gateway.dicom.attributes import lookup, read_attributes
from gateway.dicom.part10 import read_header, split_file
from gateway.domain.assessment import Analysis, Assessment, StoredInstance
from gateway.domain.attributes import InstanceAttributes
from gateway.domain.finding import Region
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.errors import GatewayError, SpoolFileCorruptError, SpoolFileLostError
from gateway.inference.analyzer import Analyzer, Reading, covariates_of
from gateway.inference.decoder import Decoder, Prepared
from gateway.routing.eligibility import age_years, side_of
from gateway.routing.router import Decision, Router
from gateway.store.instances import Instances
from gateway.store.receipts import digest_of
from gateway.store.spool import Spool

_OUTCOMES = {outcome.value: outcome for outcome in InstanceOutcome}
_MAX_FILE_BYTES = 1 << 34


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

    def run(self, claim: Claim) -> None:
        instance = self.instances.get(claim.subject)
        path = self._verified(instance)
        header = read_header(path)
        attributes = read_attributes(header)
        decision = self.router.decide(attributes, lookup(header))
        self.instances.finish(claim, self._analysis(claim, instance, path, attributes, decision))

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        outcome = _OUTCOMES.get(error.code, InstanceOutcome.FAILED_INTERNAL)
        self.instances.give_up(claim, Analysis(instance_id=claim.subject, outcome=outcome, reason=type(error).__name__))

    def _verified(self, instance: StoredInstance) -> Path:
        """The file's path, once its data set has the digest that was acknowledged."""
        path = self.spool.path(instance.file)
        if not path.exists():
            raise SpoolFileLostError(instance.instance_id)
        _, content = split_file(path, max_bytes=_MAX_FILE_BYTES)
        if digest_of(content.getbuffer()) != instance.dataset_digest:
            raise SpoolFileCorruptError(instance.instance_id)
        return path

    def _analysis(self, claim: Claim, instance: StoredInstance, path: Path, attributes: InstanceAttributes, decision: Decision) -> Analysis:
        if decision.outcome is not None:
            return Analysis(instance_id=instance.instance_id, outcome=decision.outcome, reason=decision.reason, route=decision.route)
        prepared = self.decoder.prepare(path)
        refusal = self._same_uid(instance, prepared) or _image_refusal(prepared)
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

    def _same_uid(self, instance: StoredInstance, prepared: Prepared) -> tuple[InstanceOutcome, str] | None:
        """Another data set under this SOP Instance UID: same pixels make a variant, other pixels a conflict that a person decides."""
        others = [other for other in self.instances.same_sop_instance(instance) if other.state == InstanceState.ASSESSED]
        if any(other.pixel_digest == prepared.pixel_digest for other in others):
            return InstanceOutcome.VARIANT, "same SOP Instance UID and pixels, other header"
        if others:
            return InstanceOutcome.CONFLICT, "same SOP Instance UID, other pixels"
        return None

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


def header_of(spool: Spool, instance: StoredInstance) -> Dataset:
    """An instance's header from the spool."""
    return read_header(spool.path(instance.file))
