"""The receiver's role with a difference: it kills itself at a named step, or begins with so many files open.

What runs is `python -m tests.faults.odd_receiver`. The product has no code for either.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
from pathlib import Path

from gateway.app import receiver_role
from gateway.app.preflight import prepare
from gateway.app.role import Role
from gateway.app.roles import run_role
from gateway.config import load_settings
from gateway.ops.logging import configure_logging
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool
from gateway.store.steps import Step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=Step)
    parser.add_argument("--open-files", type=int, default=0)
    parser.add_argument("--config", type=Path, required=True)
    chosen = parser.parse_args()

    def die(step: Step) -> None:
        if step is chosen.step:
            os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(chosen.open_files):
        os.open(os.devnull, os.O_RDONLY)
    # these two offer a hook for tests that stop the world
    receiver_role.Spool = functools.partial(Spool, on_step=die)  # type: ignore[assignment, misc]
    receiver_role.Receipts = functools.partial(Receipts, on_step=die)  # type: ignore[assignment, misc]
    settings = load_settings(chosen.config)
    configure_logging(settings.logging.level, "receiver")
    prepare(settings, actor="faults")
    run_role(Role.RECEIVER, settings)


if __name__ == "__main__":
    main()
