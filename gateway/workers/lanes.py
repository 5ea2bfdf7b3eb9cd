"""Several lanes of one role, each in its own thread, that live and end together."""

from __future__ import annotations

import threading
from collections.abc import Callable

Lane = Callable[[threading.Event], None]


def run_lanes(stop: threading.Event, first: Lane, *others: Lane) -> None:
    """The first in the caller's thread. When one ends, all do; what one raised is raised here."""
    raised: list[BaseException] = []

    def run(lane: Lane) -> None:
        try:
            lane(stop)
        except BaseException as error:  # noqa: BLE001  raised again below
            raised.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=run, args=(lane,), name=f"lane-{number}") for number, lane in enumerate(others, 2)]
    for thread in threads:
        thread.start()
    run(first)
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
