"""A phantom's way through this worker, spool to results: the parts that patients' images go through, and no row of the store.

Nothing of it can be taken for a patient's: there is no instance, job, assessment, result or delivery, and every file is removed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from gateway.config import EligibilitySettings, QualitySettings, RouteSettings, Settings
from gateway.dicom.part10 import read_header, split_file
from gateway.domain.assessment import Analysis, Assessment, StoredInstance
from gateway.domain.finding import ModelIdentity, StudyReport
from gateway.domain.identifiers import new_id
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.self_test import SeenPhantom
from gateway.inference.decoder import Decoder
from gateway.inference.references import References
from gateway.results.inputs import ReportInputs, SourceImage
from gateway.routing.router import Router
from gateway.store.analyses import Analyses
from gateway.store.instances import Instances
from gateway.store.receipts import digest_of
from gateway.store.spool import Spool
from gateway.workers.analyze_instance import AnalyzeInstance
from gateway.workers.knee_finding import kept_saliency, knee_finding
from gateway.workers.report_sources import read_sources

_KIND: Final = "self_test"
_LEFT_BEHIND_SECONDS: Final = 3600.0
_LARGEST_FILE: Final = 1 << 28


class _OfNobody(Instances):
    """What the store knows of a phantom: nothing."""

    def __init__(self) -> None:
        pass

    def peer_of(self, instance_id: str) -> str | None:  # noqa: ARG002
        return None

    def same_sop_instance(self, instance: StoredInstance) -> tuple[StoredInstance, ...]:  # noqa: ARG002
        return ()


class _Unwritten(Analyses):
    """Without a database, so that nothing can be written of a phantom either."""

    def __init__(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomPath:
    """Sends phantoms by the worker's own decoder and engine, so at most one caller at a time, and while the worker does nothing else."""

    references: References
    analyze: AnalyzeInstance
    model: ModelIdentity
    decoder: Decoder
    spool: Spool
    settings: Settings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __len__(self) -> int:
        return len(self.references)

    def send(self, number: int) -> SeenPhantom:
        """Phantom `number` (from 0). GatewayError where a part of the way failed."""
        if number == 0:
            self.spool.remove_older(_KIND, time.time() - _LEFT_BEHIND_SECONDS)
        with ExitStack() as files:
            instance = self._stored(self.references.file(number), files)
            analysis = self._analyze(files).analysis(instance, self.now())
            if analysis.outcome is not InstanceOutcome.ASSESSED or len(analysis.assessments) != 1:
                return SeenPhantom(deviations=(_unexpected(analysis),), profile="")
            (assessment,) = analysis.assessments
            if assessment.reading is None:
                return SeenPhantom(deviations=(assessment.decision.value,), profile="")
            seen = self.references.compare(number, assessment, kept_saliency(self.spool, assessment.reading))
            self._build_results(instance, assessment, files)
            return seen

    def _stored(self, content: bytes, files: ExitStack) -> StoredInstance:
        """As the receiver leaves an instance: a durable file, known by the digest of its data set."""
        file = self._keep(content, files)
        path = self.spool.path(file)
        header = read_header(path)
        _, dataset = split_file(path, max_bytes=_LARGEST_FILE)
        return StoredInstance(
            instance_id=new_id(),
            sop_class_uid=str(header.SOPClassUID),
            sop_instance_uid=str(header.SOPInstanceUID),
            series_instance_uid=str(header.SeriesInstanceUID),
            study_instance_uid=str(header.StudyInstanceUID),
            patient_id=str(header.PatientID),
            issuer_of_patient_id="",
            file=file,
            size=len(content),
            dataset_digest=digest_of(dataset.getbuffer()),
            pixel_digest=None,
            state=InstanceState.STORED,
            outcome=None,
            route=None,
            policy=None,
            received_at=self.now(),
        )

    def _analyze(self, files: ExitStack) -> AnalyzeInstance:
        """With shipped rules: what a site changes in its own is no deviation of the algorithm."""
        plain = self.settings.model_copy(
            update={"routes": (RouteSettings(name=_KIND),), "peers": (), "eligibility": EligibilitySettings(min_age_years=0)}
        )
        return replace(
            self.analyze,
            instances=_OfNobody(),
            analyses=_Unwritten(),
            keep_map=lambda content: self._keep(content, files),
            router=Router(plain),
            quality=QualitySettings(),
        )

    def _build_results(self, instance: StoredInstance, assessment: Assessment, files: ExitStack) -> None:
        """SR and pages, checked as before sending and read back from the spool."""
        if assessment.reading is None:
            raise ValueError("nothing was read")
        finding = knee_finding(instance.sop_instance_uid, assessment, assessment.reading, spool=self.spool, quality=QualitySettings())
        inputs = ReportInputs(
            report=StudyReport(
                study_instance_uid=instance.study_instance_uid,
                knees=(finding,),
                not_assessed=(),
                model=self.model,
                started_at=assessment.started_at,
                revision=1,
                predecessor=None,
                show_severity=self.settings.results.show_severity,
                show_t_score=self.settings.results.show_t_score,
            ),
            uid_parts=(_KIND, instance.study_instance_uid),
            images=(SourceImage(instance_id=instance.instance_id, sop_instance_uid=instance.sop_instance_uid, presented=True),),
            settings=self.settings.results,
        )
        for built in inputs.build(read_sources(self.spool, self.decoder, ((instance, True),))):
            self.spool.read_verified(self._keep(built.content, files), hashlib.sha256(built.content).hexdigest())

    def _keep(self, content: bytes, files: ExitStack) -> str:
        """A file that is gone when the phantom has come through."""
        name = self.spool.write(_KIND, new_id(), (content,))
        files.callback(self.spool.remove, name)
        return name


def _unexpected(analysis: Analysis) -> str:
    """Refused, with the outcome's code; or another number of knees."""
    return analysis.outcome.value if analysis.outcome is not InstanceOutcome.ASSESSED else "knees"
