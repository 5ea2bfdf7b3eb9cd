"""The lanes of one role, each in its own thread, that live and end together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Lane = Callable[[threading.Event], None]


def run_lanes(stop: threading.Event, *lanes: Lane, grace_seconds: float) -> bool:
    """Until `stop` is set and all have ended. When one ends, all do; what one raised is raised here.

    False when some have not ended within the grace period: a peer or a decoder holds them, and what they have in hand is to be given back.
    """
    raised: list[BaseException] = []

    def run(lane: Lane) -> None:
        try:
            lane(stop)
        except BaseException as error:  # noqa: BLE001  raised again below
            raised.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=run, args=(lane,), name=f"lane-{number}", daemon=True) for number, lane in enumerate(lanes, 1)]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + grace_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if raised:
        raise raised[0]
    return not any(thread.is_alive() for thread in threads)
