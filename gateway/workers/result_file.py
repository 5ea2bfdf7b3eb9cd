"""A finished result becomes a file of the spool, before its row."""

from __future__ import annotations

import hashlib

from gateway.domain.identifiers import new_id
from gateway.results.built_result import BuiltResult
from gateway.store.result_sets import NewResult
from gateway.store.spool import Spool


def written_result(spool: Spool, built: BuiltResult) -> NewResult:
    """Durable when it returns; nothing names the file yet."""
    result_id = new_id()
    return NewResult(
        result_id=result_id,
        kind=built.kind,
        sop_class_uid=built.sop_class_uid,
        sop_instance_uid=built.sop_instance_uid,
        series_instance_uid=built.series_instance_uid,
        file=spool.write("result", result_id, (built.content,)),
        sha256=hashlib.sha256(built.content).hexdigest(),
    )
