"""A study's knees, from rows to what its report speaks of. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.dicom.characters import text
from gateway.domain.assessment import Assessment, StoredInstance
from gateway.domain.finding import NotAssessed, UnassessedKnee
from gateway.domain.outcome import InstanceOutcome, InstanceState, KneeDecision, Policy
from gateway.domain.sameness import merged_patient
from gateway.domain.told import ToldKnee
from gateway.errors import PatientConflictError, SideConflictError
from gateway.results.evidence import SourceInstance

_NOT_A_KNEE_STUDY: Final = frozenset(
    {
        InstanceOutcome.INELIGIBLE_ROUTE,
        InstanceOutcome.INELIGIBLE_MODALITY,
        InstanceOutcome.INELIGIBLE_SOP_CLASS,
        InstanceOutcome.INELIGIBLE_BODY_PART,
        InstanceOutcome.INELIGIBLE_BODY_PART_UNKNOWN,
        InstanceOutcome.INELIGIBLE_OWN_RESULT,
        InstanceOutcome.EXCLUDED_CONFLICT,
        InstanceOutcome.EXCLUDED_REJECTED,
        InstanceOutcome.EXCLUDED_REPLACED,
        InstanceOutcome.INELIGIBLE_KEY_OBJECT,
        InstanceOutcome.FAILED_KEY_OBJECT,
        InstanceOutcome.CORRECTION,
    }
)
"""Nobody waits for a knee result of these: a chest radiograph gets no report that says so, nor what a person has set aside."""


@dataclass(frozen=True, slots=True)
class StudyKnee:
    """An assessment and the instance it is of."""

    instance: StoredInstance
    assessment: Assessment

    @property
    def assessed(self) -> bool:
        return self.assessment.decision.assessed


def seen_as(knee: StudyKnee) -> tuple[str, str, str]:
    """Stored pixels, knee, and the network's input: another window or polarity over the same pixels is another image to the network."""
    assessment = knee.assessment
    return assessment.pixel_digest, str(assessment.position), assessment.preprocessed_digest


def unique(knees: Sequence[StudyKnee]) -> list[StudyKnee]:
    """The same image under several SOP Instance UIDs is one: the same pixels that the network saw alike."""
    seen: dict[tuple[str, str, str], StudyKnee] = {}
    for knee in knees:
        seen.setdefault(seen_as(knee), knee)
    return list(seen.values())


def newest_of_each(instances: Iterable[StoredInstance]) -> list[StoredInstance]:
    """One per SOP Instance UID, in their order: an image that came twice is one image, and its last word counts."""
    newest: dict[str, StoredInstance] = {}
    for instance in instances:
        known = newest.get(instance.sop_instance_uid)
        if known is None or known.received_at <= instance.received_at:
            newest[instance.sop_instance_uid] = instance
    return list(newest.values())


def spoken_of(knees: Sequence[StudyKnee], policy: Policy) -> tuple[tuple[StudyKnee, ...], bool]:
    """The knees that a report under this policy names, and whether it says what was not assessed.

    `positive_only` names flagged knees and says nothing of anything else. Without a flagged knee such a report is withheld, and stays
    whole: emptied, it would read as "not processed".
    """
    flagged = tuple(knee for knee in knees if knee.assessment.decision is KneeDecision.FLAGGED)
    if policy is Policy.POSITIVE_ONLY and flagged:
        return flagged, False
    return tuple(knees), True


def told(knees: Iterable[StudyKnee]) -> tuple[ToldKnee, ...]:
    """What a report of these knees tells; a later one may only repeat it."""
    return tuple(
        ToldKnee(side=knee.assessment.laterality, decision=knee.assessment.decision, image=":".join(seen_as(knee)))
        for knee in knees
        if knee.assessed
    )


def refused_image(instance: StoredInstance) -> NotAssessed:
    return NotAssessed(sop_instance_uid=instance.sop_instance_uid, sop_class_uid=instance.sop_class_uid, outcome=instance.outcome or "")


def refused_knee(knee: StudyKnee) -> NotAssessed:
    """One knee of an image whose other knee was assessed."""
    assessment = knee.assessment
    return NotAssessed(
        sop_instance_uid=knee.instance.sop_instance_uid,
        sop_class_uid=knee.instance.sop_class_uid,
        outcome=assessment.decision.value,
        knee=UnassessedKnee(position=assessment.position, laterality=assessment.laterality, region=assessment.region),
    )


def is_worth_saying(instance: StoredInstance) -> bool:
    """True for an image of a knee study that was not assessed."""
    return instance.state != InstanceState.ASSESSED and instance.outcome not in _NOT_A_KNEE_STUDY


def one_patient(instances: Sequence[StoredInstance]) -> tuple[str, str]:
    """Issuer and patient id. A study that names two patients gets no result: nobody can know whose it would be."""
    patient = merged_patient((instance.issuer_of_patient_id, instance.patient_id) for instance in instances)
    if patient is None:
        raise PatientConflictError
    return patient


def check_one_side_each(knees: Sequence[StudyKnee]) -> None:
    """The same pixels with two sides: one of the two headers is wrong, and nobody here can know which."""
    sides: dict[tuple[str, int], set[str]] = {}
    for knee in knees:
        sides.setdefault((knee.assessment.pixel_digest, knee.assessment.position), set()).add(knee.assessment.laterality)
    if any(len(found) > 1 for found in sides.values()):
        raise SideConflictError


def check_one_person(sources: Sequence[SourceInstance]) -> None:
    """Two birth dates are two people, whatever their ids say. Without a patient id the names have to agree too."""
    births = {text(source.dataset, "PatientBirthDate") for source in sources} - {""}
    nameless = [source for source in sources if not text(source.dataset, "PatientID")]
    people = {(text(source.dataset, "PatientName"), text(source.dataset, "PatientBirthDate")) for source in nameless}
    if len(births) > 1 or len(people) > 1:
        raise PatientConflictError
