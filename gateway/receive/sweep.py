"""At start: what a crash left behind is put in order. Safe beside receivers that are at work on the same spool.

Costs one listing of every folder and one reading of every row's id and file name, a folder at a time; only files that no row
names are opened. docs/intake.md says what that comes to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.dicom.attributes import read_description
from gateway.dicom.part10 import read_received, split_file
from gateway.errors import UnreadableInstanceError
from gateway.store.associations import Associations
from gateway.store.inventory import Inventory
from gateway.store.new_instance import ReceivedInstance
from gateway.store.process_file import ProcessFiles
from gateway.store.receipts import Adoption, Receipts, digest_of
from gateway.store.spool import SHARDS, Spool

_NO_LIMIT: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Swept:
    """How many partial files were removed, files without a row adopted, rows without a file marked lost.

    strange: files without a row that could be neither adopted nor removed; a person should look at them.
    """

    partial: int
    adopted: int
    lost: int
    strange: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Of processes that have died: how many associations were ended, answers and associations taken up from their files, and lines
    of these that could not be read."""

    ended: int
    taken_up: int
    unreadable: int


def settle(files: ProcessFiles, associations: Associations) -> Settled:
    """What dead processes have left becomes rows; then their associations end. Those of living ones are left alone."""
    taken_up = unreadable = 0
    for left in files.abandoned():
        associations.take_up(left.notes, owner=None)
        taken_up, unreadable = taken_up + len(left.notes), unreadable + left.unreadable
    return Settled(ended=associations.close_abandoned(files.is_living), taken_up=taken_up, unreadable=unreadable)


def sweep(spool: Spool, inventory: Inventory, receipts: Receipts) -> Swept:
    """`.part` files were never acknowledged: removed. A file without a row neither, but it is whole: adopted."""
    partial = spool.remove_abandoned()
    adoptions: list[Adoption] = []
    lost = 0
    for shard in SHARDS:
        # files first: a row that is committed after the listing has a file that is looked for by its name below
        present = spool.names("instance", shard)
        rows = inventory.of_shard(shard)
        adoptions += [_adopt(name, spool, receipts) for name in _without_row(present - set(rows.values()), inventory)]
        missing = {instance_id: name for instance_id, name in rows.items() if name not in present and not spool.path(name).exists()}
        lost += sum(inventory.mark_lost(instance_id, name) for instance_id, name in missing.items())
    return Swept(partial=partial, adopted=adoptions.count(Adoption.ADOPTED), lost=lost, strange=adoptions.count(Adoption.FOREIGN))


def _without_row(unclaimed: set[str], inventory: Inventory) -> list[str]:
    """An instance that came again after its file was lost has its file in another folder than its id says."""
    return sorted(unclaimed - inventory.named(unclaimed)) if unclaimed else []


def _adopt(name: str, spool: Spool, receipts: Receipts) -> Adoption:
    path: Path = spool.path(name)
    try:
        transfer_syntax_uid, content = split_file(path, max_bytes=_NO_LIMIT)
        header = read_received(content, transfer_syntax_uid)
    except UnreadableInstanceError:
        return Adoption.FOREIGN
    except OSError:
        return Adoption.FOREIGN
    # whoever wrote it may have died before its name was durable, and success may be answered for it from now on
    spool.make_durable(name)
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
    return adoption
