"""The receiver's role with one difference: at a named step it kills itself. What runs is `python -m tests.faults.crashing`."""

from __future__ import annotations

import argparse
import functools
import os
import signal
from pathlib import Path

from gateway.app import roles
from gateway.app.preflight import prepare
from gateway.config import load_settings
from gateway.ops.logging import configure_logging
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool
from gateway.store.steps import Step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=Step, required=True)
    parser.add_argument("--config", type=Path, required=True)
    chosen = parser.parse_args()

    def die(step: Step) -> None:
        if step is chosen.step:
            os.kill(os.getpid(), signal.SIGKILL)

    # the product has no code for crashes: the role is given these two with the hook that they offer
    roles.Spool = functools.partial(Spool, on_step=die)  # type: ignore[assignment, misc]
    roles.Receipts = functools.partial(Receipts, on_step=die)  # type: ignore[assignment, misc]
    settings = load_settings(chosen.config)
    configure_logging(settings.logging.level, "crashing")
    prepare(settings, actor="crashing")
    roles.run_role(roles.Role.RECEIVER, settings)


if __name__ == "__main__":
    main()
