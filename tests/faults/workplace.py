"""Where one fault happens: a folder of its own, the gateway in it, and everything that must be undone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

from gateway.store.file_systems import mount_under
from tests.faults.ledger import Ledger
from tests.faults.receiver import Receiver, Sections, serve, write_config
from tests.faults.senders import SentLog

T = TypeVar("T")


class Workplace:
    """bundle: a demonstration bundle that all faults share; `serve` does not start without one."""

    def __init__(self, folder: Path, bundle: Path, stack: ExitStack) -> None:
        self.folder, self.bundle, self._stack = folder, bundle, stack
        self.log = SentLog()

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Undone when the fault is over, however it ends."""
        return self._stack.enter_context(manager)

    def undo(self, act: Callable[..., object], *arguments: object) -> None:
        """Called when the fault is over, however it ends."""
        self._stack.callback(act, *arguments)

    def place(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    def receiver(
        self,
        *,
        spool: Path | None = None,
        database: Path | None = None,
        sections: Sections | None = None,
        command: Sequence[str] = (),
        arguments: Sequence[str] | None = None,
        roles: Sequence[str] = ("receiver",),
        name: str = "gateway",
    ) -> Receiver:
        """A gateway that is not started yet. sections: keys that differ from those of a development set-up on a free port."""
        spool = spool or self.folder / f"{name}-spool"
        database = database or self.folder / f"{name}.db"
        base: dict[str, Any] = {
            "serve": {"development": True, "restart_first_seconds": 0.1, "restart_max_seconds": 1, "grace_seconds": 10},
            "receiver": {"port": 0},
            # what lies under the tests may be a container's layer
            "database": {"url": f"sqlite:///{database}", "vouched_file_system": mount_under(database).file_system},
            "spool": {
                "folder": str(spool),
                "vouched_file_system": mount_under(spool).file_system,
                "reserve_mb": 0,
                "resume_margin_mb": 1,
            },
            "model": {"bundle": str(self.bundle), "equivalence": str(self.folder / "equivalence")},
            "results": {"late_after_hours": 0},
        }
        for section, table in (sections or {}).items():
            base[section] = {**base.get(section, {}), **table} if isinstance(table, Mapping) else table
        config = write_config(self.folder / f"{name}.toml", base)
        found = Receiver(config, spool=spool, database=database, command=command, arguments=arguments or serve(roles))
        self._stack.callback(found.stop)
        return found

    @staticmethod
    def ledger(receiver: Receiver) -> Ledger:
        return Ledger(receiver.database, receiver.spool)
