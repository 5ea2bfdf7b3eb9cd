"""What a study's report speaks of under its policy, and what its UIDs are derived from. Pure: values in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.config import RouteSettings, Settings
from gateway.domain.assessment import StoredInstance
from gateway.domain.outcome import Policy
from gateway.routing.study_route import strictest_route
from gateway.workers.study_knees import StudyKnee, check_one_side_each, one_patient, seen_as, spoken_of, unique


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedStudy:
    """What a study's report speaks of, under its policy."""

    study_instance_uid: str
    knees: tuple[StudyKnee, ...]
    """Also those of an assessed image that were refused."""
    refused: tuple[StoredInstance, ...]
    patient: tuple[str, str]
    """Issuer and patient id."""
    route: RouteSettings
    routes: tuple[str, ...]
    uid_parts: tuple[str, ...]

    @property
    def assessed(self) -> tuple[StudyKnee, ...]:
        return tuple(knee for knee in self.knees if knee.assessed)

    @property
    def assessment_set(self) -> str:
        return hashlib.sha256("\x1f".join(self.uid_parts).encode()).hexdigest()

    @property
    def images(self) -> tuple[tuple[StoredInstance, bool], ...]:
        """The instances that results name, and whether they are shown: assessed ones, else those that were refused."""
        assessed = dict.fromkeys(knee.instance for knee in self.assessed)
        return tuple((instance, True) for instance in assessed) or tuple((instance, False) for instance in self.refused)

    def patient_digest(self, birth_date: str) -> str | None:
        """SHA-256 of one person: issuer, patient id, birth date. None without an id: nobody can know whose results these are."""
        issuer, patient_id = self.patient
        return hashlib.sha256(f"{issuer}\x1f{patient_id}\x1f{birth_date}".encode()).hexdigest() if patient_id else None


def reported_study(
    uid: str,
    knees: Sequence[StudyKnee],
    assessed: Sequence[StoredInstance],
    refused: Sequence[StoredInstance],
    *,
    settings: Settings,
    bundle_hash: str,
    decided: Sequence[str] = (),
) -> ReportedStudy:
    """knees: of the assessed instances. decided: cases in which a person let images of the study stand: what was taken back is then
    made again, under new UIDs. PatientConflictError and SideConflictError where headers contradict each other."""
    images = [*assessed, *refused]
    routes = sorted({instance.route or "none" for instance in images})
    route = strictest_route(settings, routes, (Policy(instance.policy) for instance in images if instance.policy))
    patient = one_patient(images)
    check_one_side_each(knees)
    spoken, says_refused = spoken_of(unique(knees), route.policy)
    said = tuple(refused) if says_refused else ()
    return ReportedStudy(
        study_instance_uid=uid,
        knees=spoken,
        refused=said,
        patient=patient,
        route=route,
        routes=tuple(routes),
        uid_parts=(uid, *_seen(spoken, said), *patient, bundle_hash, settings.shaping_hash, _form(route), *decided),
    )


def _seen(knees: Sequence[StudyKnee], refused: Sequence[StoredInstance]) -> tuple[str, ...]:
    """Knees as the network saw them with their sides, and what is said to be refused, in an order of their own."""
    digests = sorted({":".join((*seen_as(knee), knee.assessment.laterality)) for knee in knees})
    return (*digests, *sorted(f"{instance.sop_instance_uid}:{instance.outcome}" for instance in refused))


def _form(route: RouteSettings) -> str:
    """What `positive_only` leaves out makes another result."""
    return "positive_only" if route.policy is Policy.POSITIVE_ONLY else "whole"
