"""One Key Object Selection: what it rejects is taken back."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.key_objects import read_key_objects
from gateway.domain.job import Claim
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.store.corrections import Corrections
from gateway.store.instances import Instances
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.evidence_file import verified_path


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyCorrection:
    """The apply_correction job, in a lane of its own: neither a queue of images nor a stopped network makes it wait."""

    instances: Instances
    corrections: Corrections
    spool: Spool

    def run(self, claim: Claim) -> Ending:
        path = verified_path(self.spool, self.instances.get(claim.subject))
        return Ending(Event.JOB_DONE, self.corrections.apply(claim, read_key_objects(path)).value)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.corrections.give_up(claim, error)
