"""What was stored, made again and compared: result files from what they were made of, assessments from the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.app.bundle_choice import choose_bundle
from gateway.config import Settings
from gateway.dicom.part10 import set_tolerant_reading
from gateway.domain.identifiers import owner_name
from gateway.inference.analyzer import Analyzer
from gateway.inference.decoder import Decoder
from gateway.routing.router import Router
from gateway.store.analyses import Analyses
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.rejections import Rejections
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.analyze_instance import AnalyzeInstance
from gateway.workers.rebuild_results import RebuildResults, RebuiltResult
from gateway.workers.recompute_assessments import RecomputeAssessments, RecomputedInstance

_ACTOR = "recheck"


def rebuild(settings: Settings, database: Database, studies: Sequence[str] | None) -> Iterator[RebuiltResult]:
    """Every result of the studies, or of all of them, made again from what was kept of it."""
    set_tolerant_reading()
    bundle = choose_bundle(settings, database).bundle
    with Decoder(settings.worker, bundle.model.preprocessing) as decoder:
        again = RebuildResults(
            instances=Instances(database),
            spool=Spool(settings.spool.folder),
            decoder=decoder,
            audit=AuditLog(database, owner_name(_ACTOR)),
            rejections=Rejections(database),
        )
        for kept in Results(database).kept_reports(studies):
            yield from again.run(kept)


def recompute(settings: Settings, database: Database, studies: Sequence[str] | None) -> Iterator[RecomputedInstance | None]:
    """Every judged image of the studies, or of all of them, judged again; None for one that the present bundle has not seen."""
    set_tolerant_reading()
    bundle = choose_bundle(settings, database).bundle
    instances = Instances(database)
    with Decoder(settings.worker, bundle.model.preprocessing) as decoder:
        analyze = AnalyzeInstance(
            instances=instances,
            analyses=Analyses(database),
            spool=Spool(settings.spool.folder),
            keep_map=lambda _content: "",
            router=Router(settings, accept_for_processing=bundle.model.preprocessing.accept_for_processing),
            decoder=decoder,
            analyzer=Analyzer(bundle, settings.model),
            quality=settings.quality,
            bundle_hash=bundle.identity.bundle_hash,
            shaping_hash=settings.shaping_hash,
        )
        again = RecomputeAssessments(instances=instances, audit=AuditLog(database, owner_name(_ACTOR)), analyze=analyze)
        for instance_id in instances.looked_at(studies):
            yield again.run(instances.get(instance_id))
