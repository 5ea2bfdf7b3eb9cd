"""At start: what a crash left behind is put in order before anything new is accepted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.dicom.attributes import read_description
from gateway.dicom.part10 import read_received, split_file
from gateway.errors import UnreadableInstanceError
from gateway.store.instances import Instances
from gateway.store.receipts import Adoption, Receipts, ReceivedInstance, digest_of
from gateway.store.spool import Spool

_NO_LIMIT: Final = 1 << 40
SETTLED_SECONDS: Final = 60.0
"""Younger files may belong to a write of another process that is still under way."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many partial files were removed, files without a row adopted, rows without a file marked lost."""

    partial: int
    adopted: int
    lost: int


def sweep(spool: Spool, instances: Instances, receipts: Receipts, *, actor: str, settled_seconds: float = SETTLED_SECONDS) -> Swept:
    """`.part` files were never acknowledged: removed. A file without a row neither, but it is whole: adopted."""
    partial = _settled(spool.partial_files(), settled_seconds)
    for path in partial:
        path.unlink(missing_ok=True)
    present = {_name(path): path for path in _settled(spool.instance_files(), settled_seconds)}
    known = instances.files()
    orphans = present.keys() - set(known.values())
    adopted = sum(_adopt(name, present[name], spool, receipts) for name in sorted(orphans))
    # asked again: a row may have got another file since
    known = instances.files()
    missing = [instance_id for instance_id, name in known.items() if not spool.path(name).exists()]
    for instance_id in missing:
        instances.mark_lost(instance_id, actor=actor)
    return Swept(partial=len(partial), adopted=adopted, lost=len(missing))


def _name(path: Path) -> str:
    return f"instance/{path.parent.name}/{path.name}"


def _settled(paths: Iterable[Path], seconds: float) -> list[Path]:
    before = time.time() - seconds
    return [path for path in paths if path.exists() and path.stat().st_mtime <= before]


def _adopt(name: str, path: Path, spool: Spool, receipts: Receipts) -> bool:
    try:
        transfer_syntax_uid, content = split_file(path, max_bytes=_NO_LIMIT)
        header = read_received(content, transfer_syntax_uid)
    except UnreadableInstanceError:
        return False
    view = content.getbuffer()
    received = ReceivedInstance(
        identity=header.identity,
        description=read_description(header.dataset),
        transfer_syntax_uid=transfer_syntax_uid,
        dataset_digest=digest_of(view),
        size=len(view),
    )
    adoption = receipts.adopt(received, instance_id=path.stem, file=name)
    if adoption is Adoption.NOT_NEEDED:
        spool.remove(name)
    return adoption is Adoption.ADOPTED
