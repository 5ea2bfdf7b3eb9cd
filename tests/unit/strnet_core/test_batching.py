"""What all engines share, over runners that compute nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strnet_core.bundle import PreprocessingSettings
from strnet_core.engines.base import Covariates
from strnet_core.engines.batching import BatchedEngine, Readings, predictions_of, size_for
from strnet_core.engines.device_pass import PaddedRunner
from strnet_core.errors import DeviceMemoryError, ImplausibleOutputError

SETTINGS = PreprocessingSettings(size_px=32)
SOMEONE = Covariates(age_years=60, sex="F", bmi=25)


def readings(images: np.ndarray, rows: np.ndarray) -> Readings:
    """Says which image it saw: its first pixel."""
    marks = images[:, 0, 0].astype(np.float64)
    return Readings(
        screening=marks, severity=-marks, t_score=rows[:, 0].astype(np.float64), saliency=np.ones((len(images), 16, 16), np.float32)
    )


class Recorder:
    """A runner with memory for `fits` images."""

    def __init__(self, fits: int, max_batch: int = 8, profile: str = "torch-cuda-float32") -> None:
        self.fits, self.max_batch, self.profile = fits, max_batch, profile
        self.asked: list[int] = []

    def run(self, images, covariates):
        self.asked.append(len(images))
        if len(images) > self.fits:
            raise DeviceMemoryError
        return readings(images, covariates)


def engine(runner, fallback=None) -> BatchedEngine:
    return BatchedEngine(runner, SETTINGS, lambda values: (values.age_years, 1.0, 1.0), fallback)


def numbered(count: int) -> np.ndarray:
    images = np.zeros((count, 32, 32), np.uint8)
    images[:, 0, 0] = np.arange(count)
    return images


def marks(predictions) -> list[float]:
    return [prediction.screening_logit for prediction in predictions]


def test_a_large_batch_is_cut_and_keeps_its_order():
    runner = Recorder(fits=8)
    predictions = engine(runner).predict(numbered(19), (None,) * 19)
    assert marks(predictions) == list(range(19))
    assert runner.asked == [8, 8, 3]
    assert {prediction.profile for prediction in predictions} == {"torch-cuda-float32"}


def test_covariates_stay_with_their_image_and_only_those_get_a_t_score():
    given = tuple(Covariates(age_years=n, sex="F", bmi=25) if n % 3 == 0 else None for n in range(11))
    predictions = engine(Recorder(fits=8)).predict(numbered(11), given)
    assert [prediction.t_score for prediction in predictions] == [float(n) if n % 3 == 0 else None for n in range(11)]


def test_memory_that_runs_out_halves_the_batch_and_leaves_it_halved():
    runner = Recorder(fits=3)
    subject = engine(runner)
    assert marks(subject.predict(numbered(5), (None,) * 5)) == list(range(5))
    assert runner.asked == [5, 4, 2, 2, 1]
    assert subject.batch == 2
    subject.predict(numbered(2), (None, None))
    assert runner.asked[5:] == [2]


def test_where_one_image_is_too_much_the_processor_takes_over_and_the_result_says_so():
    cpu = Recorder(fits=1, max_batch=1, profile="torch-cpu-float32")
    opened: list[int] = []

    def open_cpu() -> Recorder:
        opened.append(1)
        return cpu

    subject = engine(Recorder(fits=0), open_cpu)
    predictions = subject.predict(numbered(3), (None,) * 3)
    assert marks(predictions) == [0, 1, 2]
    assert [prediction.profile for prediction in predictions] == ["torch-cpu-float32"] * 3
    assert subject.profile == "torch-cuda-float32"
    assert opened == [1]


def test_without_a_fall_back_it_is_a_coded_error():
    with pytest.raises(DeviceMemoryError) as caught:
        engine(Recorder(fits=0)).predict(numbered(2), (None, None))
    assert caught.value.code == "oom"


@pytest.mark.parametrize("field", ["screening", "severity", "t_score", "saliency"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_implausible_wherever_it_stands(field, value):
    class Broken(Recorder):
        def run(self, images, covariates):
            found = readings(images, covariates)
            parts = {name: getattr(found, name).copy() for name in ("screening", "severity", "t_score", "saliency")}
            parts[field].flat[-1] = value
            return Readings(**parts)

    with pytest.raises(ImplausibleOutputError):
        engine(Broken(fits=8)).predict(numbered(2), (SOMEONE, None))


def test_a_reading_too_few_is_implausible():
    with pytest.raises(ImplausibleOutputError, match="1 readings of 2 images"):
        predictions_of(readings(numbered(1), np.zeros((1, 3), np.float32)), (None, None), "x")


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 8), (8, 8), (9, 32), (33, 64), (64, 64)])
def test_a_batch_takes_the_smallest_size_that_holds_it(count, size):
    assert size_for(count, (1, 8, 32, 64)) == size


def test_more_than_the_largest_size_is_a_value_error():
    with pytest.raises(ValueError):
        size_for(65, (1, 8, 32, 64))


def packed(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    found = np.zeros((len(images), 3 + 256), np.float32)
    found[:, 0], found[:, 2] = images[:, 0, 0], rows[:, 0]
    found[:, 3:] = np.arange(256)
    return found


def padded_runner(calls: list[int], fails: dict[int, Exception] | None = None) -> PaddedRunner:
    """Passes of 1, 4 and 8 images; those in `fails` raise."""

    def make(size: int):
        def run(images, rows):
            calls.append(len(images))
            assert len(images) == len(rows) == size
            if fails and size in fails:
                raise fails[size]
            return packed(images, rows)

        return run

    return PaddedRunner("torch-cuda-float32", (8, 1, 4), make)


def test_padding_never_reaches_the_results():
    calls: list[int] = []
    subject = engine(padded_runner(calls))
    predictions = subject.predict(numbered(11), (None,) * 11)
    assert marks(predictions) == list(range(11))
    assert calls == [8, 4]
    assert predictions[10].saliency[1, 0] == 16.0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_each_way_to_run_out_of_memory_leads_down_the_ladder(error):
    calls: list[int] = []
    assert marks(engine(padded_runner(calls, {8: error})).predict(numbered(8), (None,) * 8)) == list(range(8))
    assert calls == [8, 4, 4]


def test_a_capture_that_breaks_for_lack_of_memory_counts_as_lack_of_memory():
    broken = RuntimeError("operation failed due to a previous error during capture")
    broken.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert marks(engine(padded_runner([], {8: broken})).predict(numbered(8), (None,) * 8)) == list(range(8))


def test_another_error_of_the_device_is_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="illegal memory access"):
        engine(padded_runner([], {1: RuntimeError("CUDA error: an illegal memory access")})).predict(numbered(1), (None,))
