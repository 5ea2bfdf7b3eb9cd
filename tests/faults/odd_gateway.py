"""`serve` with a difference: a role that dies, stops, loses its device or meets a poisonous image at a named moment.

What runs is `python -m tests.faults.odd_gateway`. The product has no code for it: the parts are exchanged in the role's process.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.app import role_process
from gateway.app.role import Role
from gateway.app.roles import run_role
from gateway.app.supervisor import Supervisor
from gateway.config import load_settings
from gateway.ops.logging import configure_logging

_NAME: Final = "STRNET_FAULTS_ODD"
_MARK: Final = "STRNET_FAULTS_ODD_DONE"
HEAVY: Final = b"HEAVY IMAGE"
"""Stands in the file."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--odd", choices=sorted(_ODD), required=True)
    parser.add_argument("--role", type=Role, action="append")
    parser.add_argument("--config", type=Path, required=True)
    chosen = parser.parse_args()
    os.environ[_NAME], os.environ[_MARK] = chosen.odd, str(chosen.config.with_suffix(".odd"))
    role_process.run_role = run_odd_role
    settings = load_settings(chosen.config)
    configure_logging(settings.logging.level, "supervisor")
    raise SystemExit(Supervisor(settings, chosen.role or list(Role), lambda: load_settings(chosen.config)).run())


def run_odd_role(*arguments: Any) -> None:
    """In the role's own process; arguments: those of `run_role`."""
    _ODD[os.environ[_NAME]]()
    run_role(*arguments)


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


def _signal_once(number: int) -> Callable[..., None]:
    def act(*_: object, **__: object) -> None:
        if _first_time():
            os.kill(os.getpid(), number)

    return act


def _in_inference(number: int) -> None:
    from gateway.inference.analyzer import Analyzer

    _before(Analyzer, "read_all", _signal_once(number))


def _before_results_commit() -> None:
    from gateway.store.result_sets import ResultSets

    _before(ResultSets, "commit", _signal_once(signal.SIGKILL))


def _before_delivery_is_recorded() -> None:
    from gateway.store.deliveries import Deliveries

    _before(Deliveries, "record", _signal_once(signal.SIGKILL))


def _before_commitment_is_noted() -> None:
    from gateway.store.confirmations import Confirmations

    _before(Confirmations, "wait", _signal_once(signal.SIGKILL))


def _engine(predict: Callable[[Any, tuple[Any, ...]], object]) -> None:
    """predict: gets the engine's own one and its arguments. The golden vectors at the start are answered truly."""
    from gateway.inference.analyzer import Analyzer

    class Odd:
        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

        def predict(self, *asked: Any) -> object:
            return predict(self._engine.predict, asked)

    opened = Analyzer.__init__

    def init(analyzer: Any, *arguments: Any) -> None:
        opened(analyzer, *arguments)
        analyzer._engine = Odd(analyzer._engine)

    Analyzer.__init__ = init  # type: ignore[method-assign]


def _device_lost(predict: Any, asked: tuple[Any, ...]) -> object:
    if _first_time():
        raise RuntimeError("CUDA error: device-side assert triggered")
    return predict(*asked)


def _device_full(predict: Any, asked: tuple[Any, ...]) -> object:
    from strnet_core.errors import DeviceMemoryError

    if _first_time():
        raise DeviceMemoryError
    return predict(*asked)


def _not_finite(predict: Any, asked: tuple[Any, ...]) -> object:
    return tuple(replace(one, screening_logit=float("nan")) for one in predict(*asked))


def _heavy_image() -> None:
    from gateway.workers.analyze_instance import AnalyzeInstance

    def act(analyze: Any, instance: Any, *_: object) -> None:
        if HEAVY in analyze.spool.path(instance.file).read_bytes():
            os.kill(os.getpid(), signal.SIGKILL)

    _before(AnalyzeInstance, "_begin", act)


def _decoder() -> None:
    from gateway.inference import decoder
    from tests.faults import odd_decoder

    decoder.serve = odd_decoder.serve


_ODD: Final[dict[str, Callable[[], None]]] = {
    "dies in inference": lambda: _in_inference(signal.SIGKILL),
    "stops in inference": lambda: _in_inference(signal.SIGSTOP),
    "dies before the results are committed": _before_results_commit,
    "dies before the delivery is recorded": _before_delivery_is_recorded,
    "dies while it awaits commitment": _before_commitment_is_noted,
    "device lost": lambda: _engine(_device_lost),
    "device full": lambda: _engine(_device_full),
    "not finite": lambda: _engine(_not_finite),
    "killed by a heavy image": _heavy_image,
    "poison in the decoder": _decoder,
}


if __name__ == "__main__":
    main()
