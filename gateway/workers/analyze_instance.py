"""One instance: route, decode, judge, assess each knee. Its outcome and its assessments go into the store in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from typing import Final

import numpy as np

from gateway.config import QualitySettings
from gateway.dicom.attributes import lookup, read_attributes
from gateway.dicom.characters import text
from gateway.dicom.part10 import read_header
from gateway.domain.assessment import Analysis, Assessment, KeptReading, StoredInstance
from gateway.domain.attributes import InstanceAttributes
from gateway.domain.job import Claim
from gateway.domain.outcome import InstanceOutcome, InstanceState, KneeDecision
from gateway.domain.sameness import is_same_patient, sides_agree
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.inference.analyzer import Analyzer, Answer, Covariates, Question, Reading, covariates_of
from gateway.inference.decoder import Decoder, Prepared, PreparedKnee
from gateway.inference.sides import Side, knee_sides
from gateway.routing.eligibility import age_years, named_sides
from gateway.routing.quality import Judgement, judge
from gateway.routing.router import Decision, Router
from gateway.store.analyses import Analyses
from gateway.store.instances import Instances
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.evidence_file import verified_path

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
class AnalysisBegun:
    """An instance on its way to the network. decided: it goes no further, and nothing is kept of its knees."""

    instance: StoredInstance
    started_at: datetime
    attributes: InstanceAttributes
    named: frozenset[str]
    """Sides that the header names."""
    decision: Decision
    prepared: Prepared | None = None
    """None for what the header refuses."""
    knees: tuple[_JudgedKnee, ...] = ()
    decided: _Refused | None = None
    identity_removed: bool = False

    @property
    def covariates(self) -> Covariates | None:
        seen = self.attributes
        return covariates_of(age_years=age_years(seen), sex=seen.patient_sex, size_m=seen.patient_size_m, weight_kg=seen.patient_weight_kg)

    @property
    def question(self) -> Question | None:
        """What the network is to be asked; None when nothing is."""
        accepted = tuple(knee.prepared for knee in self.knees if knee.judgement.refusal is None)
        return Question(knees=accepted, covariates=self.covariates) if accepted and self.decided is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeInstance:
    """The analyze_instance job, in three parts: `prepare` and `finish` run beside the network's own thread."""

    instances: Instances
    analyses: Analyses
    spool: Spool
    keep_map: Callable[[bytes], str]
    """Keeps a knee's Grad-CAM (.npy) and returns its name."""
    router: Router
    decoder: Decoder
    analyzer: Analyzer
    quality: QualitySettings
    bundle_hash: str
    shaping_hash: str

    def prepare(self, claim: Claim) -> AnalysisBegun:
        """All that comes before the network."""
        return self._begin(self.instances.get(claim.subject), claim.first_claimed_at)

    def question(self, begun: AnalysisBegun) -> Question | None:
        """What the network is to be asked; None when nothing is."""
        return begun.question

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """The network's part, over several images."""
        return self.analyzer.read_all(questions)

    def finish(self, claim: Claim, begun: AnalysisBegun, answer: Answer | None) -> Ending:
        """All that comes after the network. Raises the answer where it is an error."""
        analysis = self._concluded(begun, answer)
        self.analyses.finish(claim, analysis)
        return Ending(Event.JOB_DONE, analysis.outcome.value)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        outcome = _OUTCOMES.get(error.code, InstanceOutcome.FAILED_INTERNAL)
        self.analyses.give_up(claim, Analysis(instance_id=claim.subject, outcome=outcome, reason=type(error).__name__))

    def analysis(self, instance: StoredInstance, started_at: datetime) -> Analysis:
        """What becomes of an instance under the present settings and bundle. Keeps the knees' maps, and writes no row."""
        begun = self._begin(instance, started_at)
        question = begun.question
        return self._concluded(begun, None if question is None else self.answer((question,))[0])

    def _begin(self, instance: StoredInstance, started_at: datetime) -> AnalysisBegun:
        path = verified_path(self.spool, instance)
        header = read_header(path)
        attributes = read_attributes(header)
        decision = self.router.decide(attributes, lookup(header), self.instances.peer_of(instance.instance_id))
        begun = AnalysisBegun(
            instance=instance,
            started_at=started_at,
            attributes=attributes,
            named=frozenset(named_sides(attributes)),
            decision=decision,
            identity_removed=text(header, "PatientIdentityRemoved").upper() == "YES",
        )
        if decision.outcome is not None:
            refused = replace(begun, decided=_Refused(decision.outcome, decision.reason))
            # an image that stands under another patient: only its pixels tell whether it is the same one
            return replace(refused, prepared=self.decoder.prepare(path)) if self._names_another_patient(instance) else refused
        prepared = self.decoder.prepare(path)
        sides = knee_sides(begun.named, _row_direction(attributes), len(prepared.knees))
        knees = tuple(_JudgedKnee(knee, side, self._judged(prepared, knee)) for knee, side in zip(prepared.knees, sides, strict=True))
        begun = replace(begun, prepared=prepared, knees=knees)
        return replace(begun, decided=self._same_uid(begun) or _knee_missing(knees, begun.named))

    def _names_another_patient(self, instance: StoredInstance) -> bool:
        others = self.instances.same_sop_instance(instance)
        return any(other.pixel_digest is not None and not _of_same_patient(other, instance) for other in others)

    def _concluded(self, begun: AnalysisBegun, answer: Answer | None) -> Analysis:
        if isinstance(answer, GatewayError):
            raise answer
        # asked again: an image that went through the network together with this one may have been its twin
        unseen = begun.decided or self._same_uid(begun)
        refused = unseen or _every_knee_refused(begun.knees)
        return Analysis(
            instance_id=begun.instance.instance_id,
            outcome=InstanceOutcome.ASSESSED if refused is None else refused.outcome,
            reason=begun.decision.reason if refused is None else refused.reason,
            route=begun.decision.route,
            policy=begun.decision.policy,
            pixel_digest=begun.prepared.pixel_digest if begun.prepared else None,
            identity_removed=begun.identity_removed,
            assessments=() if unseen or begun.prepared is None else self._assessments(begun, begun.prepared, answer or ()),
        )

    def _judged(self, prepared: Prepared, knee: PreparedKnee) -> Judgement:
        return judge({**prepared.measures, **knee.measures}, self.quality)

    def _same_uid(self, begun: AnalysisBegun) -> _Refused | None:
        """Another data set of this UID was assessed. A variant has its pixels, patient and sides; the same pixels under another patient
        are a correction, and the store settles whose they are (ADR 0032); anything else a person decides.
        """
        if begun.prepared is None:
            return None
        instance, sides = begun.instance, [knee.side for knee in begun.knees]
        others = [other for other in self.instances.same_sop_instance(instance) if other.state == InstanceState.ASSESSED]
        ours = frozenset((position, side.value) for position, (side, _) in enumerate(sides, 1))
        for other in others:
            if other.pixel_digest != begun.prepared.pixel_digest:
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other pixels")
            if not _of_same_patient(other, instance):
                if instance.patient_id:
                    continue
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other patient")
            if other.study_instance_uid != instance.study_instance_uid:
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other study")
            if not sides_agree(self.instances.sides(other.instance_id), ours):
                return _Refused(InstanceOutcome.CONFLICT, "same SOP Instance UID, other side")
        twins = any(_of_same_patient(other, instance) for other in others)
        return _Refused(InstanceOutcome.VARIANT, "same SOP Instance UID and pixels, other header") if twins else None

    def _assessments(self, begun: AnalysisBegun, prepared: Prepared, read: Sequence[Reading]) -> tuple[Assessment, ...]:
        """One assessment per knee; the network has seen those that nothing refuses."""
        accepted = (knee.prepared.position for knee in begun.knees if knee.judgement.refusal is None)
        readings = dict(zip(accepted, read, strict=True))
        sex = begun.attributes.patient_sex
        return tuple(
            Assessment(
                position=knee.prepared.position,
                laterality=knee.side[0],
                laterality_source=knee.side[1],
                decision=reading.decision if reading else KneeDecision(knee.judgement.refusal or ""),
                reading=self._kept(reading) if reading else None,
                age_years=age_years(begun.attributes),
                sex=sex if sex in ("M", "F") else None,
                bmi=begun.covariates.bmi if begun.covariates else None,
                covariate_source="header" if begun.covariates is not None else "none",
                region=knee.prepared.region,
                quality_flags=(*knee.judgement.warnings, *_contradiction(begun.named, begun.knees)),
                measures={**prepared.measures, **knee.prepared.measures},
                pixel_notes=prepared.notes,
                preprocessed_digest=knee.prepared.image_sha256,
                pixel_digest=prepared.pixel_digest,
                bundle_hash=self.bundle_hash,
                shaping_hash=self.shaping_hash,
                started_at=begun.started_at,
            )
            for knee in begun.knees
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


def _of_same_patient(one: StoredInstance, other: StoredInstance) -> bool:
    return is_same_patient((one.issuer_of_patient_id, one.patient_id), (other.issuer_of_patient_id, other.patient_id))


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
