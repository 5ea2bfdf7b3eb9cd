from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.bundle import ModelBundle, PreprocessingSettings
from strnet_core.cli.main import app
from strnet_core.engines.bench_files import write_files
from strnet_core.engines.bench_processes import decode_there, decoding_child, worker_memory
from strnet_core.engines.benchmark import GFLOP_PER_IMAGE, SaliencyPrice, Times, take_turns
from strnet_core.engines.measured import Measured, Multiplication, Plan
from strnet_core.engines.profiles import REFERENCE, profile_named
from strnet_core.preprocessing import preprocess
from strnet_core.radiograph import read_dicom

KEYS = {
    "ms_per_image", "gemm_gflops", "gflops", "saliency_overhead", "full_gradcam_overhead", "decode_preprocess_ms", "worker_rss_mb",
}  # fmt: skip


def times(*samples: float) -> Times:
    return Times(samples=samples)


def test_passes_take_turns_and_the_first_round_counts_for_nothing():
    order: list[str] = []
    measured = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, range(4))
    assert "".join(order) == "abababab"
    assert {name: len(each.samples) for name, each in measured.items()} == {"a": 3, "b": 3}


def test_an_overhead_is_compared_within_each_round():
    # the machine got four times slower from round to round; the medians apart would say 1.0 and the best 1.1
    assert times(11.0, 44.0, 176.0).over(times(10.0, 40.0, 160.0)) == pytest.approx(1.1)
    assert (times(3.0, 1.0, 2.0).median, times(3.0, 1.0, 2.0).best) == (2.0, 1.0)


OPENVINO = profile_named("openvino-cpu-float32")


@pytest.fixture
def measured() -> Measured:
    plan = Plan(
        profiles=(REFERENCE, OPENVINO),
        batches=(1, 8),
        multiplications={
            "one": Multiplication(arithmetic="float32", device="cpu", gigaflop=20.0),
            "other": Multiplication(arithmetic="float32", device="cpu", gigaflop=20.0),
        },
        prices=[SaliencyPrice(with_saliency="with", without="alone")],
        files={"uncompressed": "decoding"},
    )
    return Measured(
        plan=plan,
        times={
            "torch-cpu-float32 x 1": times(419.0, 500.0), "torch-cpu-float32 x 8": times(3200.0, 3400.0),
            "openvino-cpu-float32 x 1": times(209.5, 250.0), "openvino-cpu-float32 x 8": times(1600.0, 1700.0),
            "one": times(100.0, 110.0), "other": times(90.0, 80.0), "alone": times(100.0, 100.0), "with": times(103.0, 105.0),
            "decoding": times(40.0, 44.0),
        },
    )  # fmt: skip


def test_the_figures_follow_from_the_times(measured: Measured):
    document = measured.document()
    assert document["ms_per_image"]["openvino-cpu-float32"] == {
        "1": {"median": 229.75, "best": 209.5},
        "8": {"median": 206.25, "best": 200.0},
    }
    assert document["gflops"]["openvino-cpu-float32"] == pytest.approx(GFLOP_PER_IMAGE / 0.2)
    assert document["gemm_gflops"] == {"float32": pytest.approx(250.0), "bfloat16": None}
    assert document["saliency_overhead"] == pytest.approx(0.04)
    assert document["full_gradcam_overhead"] is None
    assert document["decode_preprocess_ms"] == 42.0
    assert any("84% of the machine's matrix multiplication" in text for text in measured.remarks())


def test_the_warm_child_decodes_and_preprocesses_as_this_process_does(tmp_path):
    settings = PreprocessingSettings(size_px=64)
    files = write_files(tmp_path, 300, 250)
    assert {"uncompressed", "jpeg_2000", "jpeg_ls"} <= set(files)
    expected = preprocess(read_dicom(files["uncompressed"], settings=settings), settings).image.tobytes()
    (tmp_path / "bad.dcm").write_bytes(b"rubbish")
    with decoding_child(settings) as child:
        assert {decode_there(child, file) for file in files.values()} == {expected}
        with pytest.raises(RuntimeError, match="unreadable"):
            decode_there(child, tmp_path / "bad.dcm")
        assert decode_there(child, files["uncompressed"]) == expected
    assert len(np.frombuffer(expected, np.uint8)) == 64 * 64


def test_a_fresh_worker_stays_below_one_and_a_half_gigabytes(demonstration: ModelBundle):
    memory = worker_memory(demonstration.folder, OPENVINO.name, 2)  # the larger of the two: it converts the other
    assert 100.0 < memory.resident_mb <= memory.peak_mb < 1500.0


def test_a_worker_that_dies_is_an_error_and_no_figure(tmp_path):
    with pytest.raises(RuntimeError, match="ended by itself"):
        worker_memory(tmp_path, REFERENCE.name, 1)


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, ["bench", *map(str, words)])


def test_bench_ends_with_a_line_of_json(run, demonstration: ModelBundle):
    result = run(demonstration.folder, "--runs", 1, "--device", "cpu", "--batch", 1, "--part", "engines", "--part", "limits")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.strip().splitlines()[-1])
    assert set(figures) >= KEYS
    assert set(figures["ms_per_image"]) >= {REFERENCE.name, OPENVINO.name}
    assert figures["gemm_gflops"]["float32"] > 1.0
    assert figures["worker_rss_mb"] == {}


def test_bench_knows_its_parts(run, demonstration: ModelBundle):
    assert run(demonstration.folder, "--part", "everything").exit_code == 2


def test_bench_without_a_card_says_what_to_do(run, demonstration: ModelBundle):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    result = run(demonstration.folder, "--device", "cuda")
    assert result.exit_code == 1
    assert "device:" in result.output
