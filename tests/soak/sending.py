"""Modalities: DCMTK's storescu in a loop, which sends a study until all of it was answered 0000, as a router does."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.faults.images import Image
from tests.faults.senders import SentLog, storescu
from tests.soak.facts import Told
from tests.soak.studies import study, study_uid

_TWO_IMAGES: Final = 0.25
_AGAIN: Final = 0.15
"""Share of studies with two images, and of those that are sent once more later."""
_PAUSE_SECONDS: Final = (0.2, 1.0)
_OPTIONS: Final = ("-to", "5", "-ta", "10", "-td", "20")


class Modality:
    """One sender. backlog: jobs that are open; beyond `most_open` it sends nothing new, so that the queue can be worked off at the
    end, but goes on with what it has sent before: the receiver is never killed in idleness.
    """

    def __init__(self, number: int, *, port: int, folder: Path, seed: str, backlog: Callable[[], int], most_open: int) -> None:
        self._number = number
        self._port = port
        self._folder = folder / f"modality{number}"
        self._random = random.Random(f"{seed}/{number}")
        self._backlog, self._most_open = backlog, most_open
        self._log = SentLog()
        self._studies: dict[str, str] = {}
        self._recent: deque[list[Image]] = deque(maxlen=8)
        self.associations = 0

    def run(self, stop: threading.Event, give_up: threading.Event) -> None:
        """New studies until `stop`; the last one still goes out. give_up: it does not."""
        for count in itertools.count(1):
            while self._backlog() > self._most_open and not stop.wait(self._random.uniform(*_PAUSE_SECONDS)):
                if self._recent:
                    self._send(self._random.choice(self._recent), give_up)
            if stop.is_set():
                return
            number = 100 * count + self._number
            images = study(number, 2 if self._random.random() < _TWO_IMAGES else 1)
            self._studies.update({image.uid: study_uid(number) for image in images})
            self._send(images, give_up)
            self._recent.append(images)
            if self._random.random() < _AGAIN:
                self._send(self._random.choice(self._recent), give_up)

    def told(self) -> list[Told]:
        return [Told(uid, self._studies[uid], digest) for uid, digest in sorted(self._log.acknowledged)]

    def _send(self, images: list[Image], give_up: threading.Event) -> None:
        """All images again as long as one was not acknowledged in this round."""
        while not give_up.is_set():
            before = len(self._log.answers)
            self.associations += 1
            try:
                storescu(images, self._folder, self._port, self._log, calling=f"XRAY{self._number}", options=_OPTIONS)
            except subprocess.TimeoutExpired:
                continue
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)
            if self._log.answers[before:] == ["0000"] * len(images):
                return
            give_up.wait(self._random.uniform(0.5, 1.5))
