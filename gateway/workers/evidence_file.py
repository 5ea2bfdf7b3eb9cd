"""A received instance's file, as the jobs may use it: only with the digest that was acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.dicom.part10 import split_file
from gateway.domain.assessment import StoredInstance
from gateway.errors import SourcePurgedError, SpoolFileCorruptError, SpoolFileLostError, UnreadableInstanceError
from gateway.store.receipts import digest_of
from gateway.store.spool import Spool

_MAX_BYTES: Final = 1 << 34


def verified_path(spool: Spool, instance: StoredInstance) -> Path:
    """The file's path.

    SourcePurgedError when retention has removed it, SpoolFileLostError when it is gone, SpoolFileCorruptError when its data set has
    another digest.
    """
    if instance.purged:
        raise SourcePurgedError(instance.instance_id)
    path = spool.path(instance.file)
    if not path.exists():
        raise SpoolFileLostError(instance.instance_id)
    try:
        _, content = split_file(path, max_bytes=_MAX_BYTES)
    except UnreadableInstanceError as error:
        raise SpoolFileCorruptError(instance.instance_id) from error
    if digest_of(content.getbuffer()) != instance.dataset_digest:
        raise SpoolFileCorruptError(instance.instance_id)
    return path
