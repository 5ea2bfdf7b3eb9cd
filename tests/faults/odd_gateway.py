"""`serve` with a difference: a role that dies at a named moment.

What runs is `python -m tests.faults.odd_gateway`. The product has no code for it: the parts are exchanged in the role's process.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.app import supervisor
from gateway.app.role import Role
from gateway.app.roles import run_role
from gateway.config import Settings, load_settings
from gateway.ops.logging import configure_logging

_NAME: Final = "STRNET_FAULTS_ODD"
_MARK: Final = "STRNET_FAULTS_ODD_DONE"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--odd", choices=sorted(_ODD), required=True)
    parser.add_argument("--role", type=Role, action="append")
    parser.add_argument("--config", type=Path, required=True)
    chosen = parser.parse_args()
    os.environ[_NAME], os.environ[_MARK] = chosen.odd, str(chosen.config.with_suffix(".odd"))
    supervisor.run_role = run_odd_role
    settings = load_settings(chosen.config)
    configure_logging(settings.logging.level, "supervisor")
    raise SystemExit(supervisor.Supervisor(settings, chosen.role or list(Role)).run())


def run_odd_role(role: Role, settings: Settings, sweeps: bool) -> None:
    """In the role's own process."""
    _ODD[os.environ[_NAME]]()
    run_role(role, settings, sweeps)


def _first_time() -> bool:
    """True once, whatever becomes of the process."""
    try:
        os.close(os.open(os.environ[_MARK], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _before(owner: type, method: str, act: Callable[..., object]) -> None:
    original = getattr(owner, method)

    def acted(*arguments: Any, **named: Any) -> Any:
        act(*arguments, **named)
        return original(*arguments, **named)

    setattr(owner, method, acted)


def _die_once(*_: object, **__: object) -> None:
    if _first_time():
        os.kill(os.getpid(), signal.SIGKILL)


def _in_inference() -> None:
    from gateway.inference.analyzer import Analyzer

    _before(Analyzer, "read_all", _die_once)


def _before_results_commit() -> None:
    from gateway.store.results import Results

    _before(Results, "commit", _die_once)


def _before_delivery_is_recorded() -> None:
    from gateway.store.deliveries import Deliveries

    _before(Deliveries, "record", _die_once)


_ODD: Final[dict[str, Callable[[], None]]] = {
    "dies in inference": _in_inference,
    "dies before the results are committed": _before_results_commit,
    "dies before the delivery is recorded": _before_delivery_is_recorded,
}


if __name__ == "__main__":
    main()
