from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from strnet_core import errors
from strnet_core.bundle import ModelBundle, read_golden
from strnet_core.engines.base import Covariates, Engine
from strnet_core.engines.equivalence import golden_images
from strnet_core.engines.openvino_engine import arithmetics, compile_graph, graph_of, open_openvino_engine
from strnet_core.engines.verification import verify_bundle

SOMEONE = Covariates(age_years=71, sex="F", bmi=24.0)


@pytest.fixture(scope="module")
def pairs(demonstration: ModelBundle, engine: Engine, openvino_engine: Engine):
    images = np.stack(golden_images(demonstration)[:2])
    return list(zip(engine.predict(images, (None, SOMEONE)), openvino_engine.predict(images, (None, SOMEONE)), strict=True))


def test_its_saliency_is_the_reference_s(pairs):
    for reference, other in pairs:
        assert reference.saliency.max() > 0.0
        assert np.abs(reference.saliency - other.saliency).max() < 1e-3 * reference.saliency.max()
        assert other.saliency.shape == (16, 16)
        assert other.saliency.dtype == np.float32


def test_its_logits_and_t_scores_are_the_reference_s(pairs):
    for reference, other in pairs:
        assert other.screening_logit == pytest.approx(reference.screening_logit, abs=1e-3)
        assert other.severity_logit == pytest.approx(reference.severity_logit, abs=1e-3)
    assert pairs[0][1].t_score is None
    assert pairs[1][1].t_score == pytest.approx(pairs[1][0].t_score, abs=1e-3)


def test_golden_vectors_come_out(demonstration: ModelBundle, openvino_engine: Engine):
    assert verify_bundle(demonstration, openvino_engine).vectors == len(read_golden(demonstration).vectors)


def test_a_prediction_keeps_its_map_when_the_next_image_comes(demonstration: ModelBundle, openvino_engine: Engine):
    first, second = golden_images(demonstration)[:2]
    (kept,) = openvino_engine.predict(first[np.newaxis], (None,))
    before = kept.saliency.copy()
    (other,) = openvino_engine.predict(second[np.newaxis], (None,))
    assert np.array_equal(kept.saliency, before)
    assert not np.array_equal(other.saliency, before)


def test_the_profile_is_named_in_each_prediction(openvino_engine: Engine, pairs):
    assert openvino_engine.profile == "openvino-cpu-float32"
    assert {other.profile for _, other in pairs} == {"openvino-cpu-float32"}
    assert {reference.profile for reference, _ in pairs} == {"torch-cpu-float32"}


def test_bfloat16_is_refused_where_the_processor_has_none(demonstration: ModelBundle):
    if "bfloat16" in arithmetics():
        pytest.skip("this processor has bfloat16")
    with pytest.raises(errors.ProfileUnavailableError):
        open_openvino_engine(demonstration, arithmetic="bfloat16")


def test_a_graph_that_would_be_computed_in_another_arithmetic_is_refused():
    if "bfloat16" in arithmetics():
        pytest.skip("this processor has bfloat16")
    with pytest.raises(errors.ProfileUnavailableError, match="became f32"):
        compile_graph(graph_of(torch.nn.Linear(4, 4).eval(), (torch.zeros(1, 4),)), "bfloat16")


def test_a_graph_from_training_mode_is_never_made():
    class Stubborn(torch.nn.Dropout):
        def train(self, mode: bool = True):
            return super().train(True)

    with pytest.raises(RuntimeError, match="evaluation mode"):
        graph_of(torch.nn.Sequential(torch.nn.Linear(4, 4), Stubborn()), (torch.zeros(1, 4),))


def test_a_graph_that_gives_no_number_is_implausible(demonstration: ModelBundle):
    from strnet_core.engines.batching import BatchedEngine
    from strnet_core.engines.openvino_engine import OpenVinoRunner
    from strnet_core.engines.torch_engine import encoder

    class Infinite(torch.nn.Module):
        def forward(self, images, covariates):
            row = images.mean(dim=(1, 2, 3)) + covariates.sum(dim=1)
            return row, row, row, row[:, None, None] / (row[:, None, None] * 0.0).abs() + torch.zeros(1, 16, 16)

    graph = graph_of(Infinite().eval(), (torch.zeros(1, 1, 512, 512), torch.zeros(1, 3)))
    runner = OpenVinoRunner(compile_graph(graph, "float32"), demonstration.preprocessing, "float32")
    with pytest.raises(errors.ImplausibleOutputError):
        BatchedEngine(runner, demonstration.preprocessing, encoder(demonstration.covariates)).predict(
            np.full((1, 512, 512), 200, np.uint8), (None,)
        )


def test_importing_and_converting_tell_nobody(tmp_path):
    """OpenVINO reports its use to an analytics service and keeps an identifier under the home folder; not from here."""
    code = (
        "import socket, sys, torch\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from strnet_core.engines.openvino_engine import graph_of\n"
        "graph_of(torch.nn.Linear(4, 4).eval(), (torch.zeros(1, 4),))\n"
        "assert 'openvino' in sys.modules and sys.modules['openvino_telemetry'] is None\n"
        "from openvino.tools.ovc.telemetry_utils import tm\n"
        "assert tm.__name__.endswith('telemetry_stub')\n"
    )
    # not the CI variable, which silences it too
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
