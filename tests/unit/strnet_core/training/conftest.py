"""A small data set with a planted signal: two films of each of sixty phantom patients, normal bone dense, bone loss not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from strnet_core.phantom import PhantomParameters, draw
from strnet_core.training.execution import Execution
from strnet_core.training.history import EpochRow

PATIENTS = 60
_DENSITIES = ((0.78, 0.98), (0.30, 0.45), (0.05, 0.20))


class Onlooker:
    """Asks to stop after so many batches; remembers what it was told."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.steps = 0
        self.rows: list[tuple[int, EpochRow]] = []
        self.unknown: list[tuple[int, int]] = []

    def stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after

    def prepared(self, done: int, total: int) -> None:
        pass

    def patients_unknown(self, knees: int, of: int) -> None:
        self.unknown.append((knees, of))

    def stepped(self, fold: int, epoch: int, step: int, steps: int) -> None:
        self.steps += 1

    def epoch_done(self, fold: int, row: EpochRow) -> None:
        self.rows.append((fold, row))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Images are so small that a second thread only waits for the first."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


@pytest.fixture
def execution() -> Execution:
    return Execution(device=torch.device("cpu"), loader_threads=1)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    (folder / "images").mkdir()
    random = np.random.default_rng(5)
    rows = []
    for patient in range(PATIENTS):
        label = (0, 0, 1, 2)[patient % 4]
        density = random.uniform(*_DENSITIES[label])
        for film, side in enumerate("RL"):
            name = f"p{patient}-{side}.png"
            stored = draw(PhantomParameters(density=density, side=side, marker=False, rows=176, columns=148), 1000 * film + patient)
            cv2.imwrite(str(folder / "images" / name), (stored >> 4).astype(np.uint8))
            covariates = {"age": 40 + patient % 40, "sex": "FM"[patient % 2], "bmi": 22.5} if patient % 5 else {}
            rows.append(
                {"image": name, "patient_id": f"P{patient}", "label_cls": label, "t_score": round(4.0 * density - 3.5, 2), **covariates}
            )
    write_labels(folder / "labels.csv", rows)
    return folder


def write_labels(path: Path, rows: list[dict[str, object]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
