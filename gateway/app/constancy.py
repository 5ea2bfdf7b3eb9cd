"""The worker role's self-test, from settings to the object that its lane of analyses asks between two jobs."""

from __future__ import annotations

import socket
from typing import Final

from gateway.config import Settings
from gateway.domain.identifiers import owner_name
from gateway.inference.analyzer import Bundle
from gateway.inference.references import References
from gateway.ops.self_test import SelfTest
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.self_tests import SelfTests
from gateway.workers.analyze_instance import AnalyzeInstance
from gateway.workers.phantom_path import PhantomPath

_SECONDS_PER_HOUR: Final = 3600.0


def worker_self_test(settings: Settings, database: Database, bundle: Bundle, analyze: AnalyzeInstance) -> SelfTest:
    """Of the worker that assesses with `analyze`: its decoder and its engine are what is tested."""
    path = PhantomPath(
        references=References(bundle),
        analyze=analyze,
        model=bundle.identity,
        decoder=analyze.decoder,
        spool=analyze.spool,
        settings=settings,
    )
    return SelfTest(
        path,
        SelfTests(database),
        Alarms(database, owner_name("worker")),
        worker=socket.gethostname(),
        actor=owner_name("worker"),
        bundle_hash=bundle.identity.bundle_hash,
        every_seconds=settings.worker.self_test_hours * _SECONDS_PER_HOUR,
    )
