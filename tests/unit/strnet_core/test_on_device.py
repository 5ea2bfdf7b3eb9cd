"""The torch path of a card, as far as a processor can show it; what needs a card is marked gpu."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strnet_core.bundle import ModelBundle, PreprocessingSettings
from strnet_core.engines.base import Covariates, Engine
from strnet_core.engines.device_pass import PaddedRunner, eager, exact_float32
from strnet_core.engines.equivalence import golden_images
from strnet_core.engines.on_device import OnDevice, fold_batch_norms, prepared, unpacked
from strnet_core.engines.torch_engine import CUDA_BATCH_SIZES, TorchEngine, open_torch_engine
from strnet_core.engines.verification import verify_bundle
from strnet_core.network.strnet import StrNet
from strnet_core.preprocessing import to_input
from strnet_core.saliency import NetworkWithSaliency

SMALL = PreprocessingSettings(size_px=64)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 64, 64), np.uint8)


def rows(count: int) -> np.ndarray:
    return np.tile(np.array([0.6, 1.0, 0.5], np.float32), (count, 1))


def test_the_float_step_on_the_device_is_that_of_the_host_to_the_bit(network: StrNet, images):
    module = OnDevice(network, SMALL)
    on_device = module.get_buffer("levels")[torch.from_numpy(images).int()][:, None]
    assert np.array_equal(on_device.numpy(), to_input(images, SMALL))


def test_what_is_packed_for_one_copy_comes_out_as_it_went_in(network: StrNet, images):
    with torch.inference_mode():
        packed = OnDevice(network, SMALL)(torch.from_numpy(images), torch.from_numpy(rows(3))).numpy()
        reading = NetworkWithSaliency(network)(torch.from_numpy(to_input(images, SMALL)), torch.from_numpy(rows(3)))
    found = unpacked(packed)
    assert packed.shape == (3, 3 + 4)
    for got, expected in ((found.screening, reading.screening), (found.severity, reading.severity), (found.t_score, reading.t_score)):
        assert np.allclose(got, expected.numpy(), atol=1e-3)
    assert np.allclose(found.saliency, reading.saliency.numpy(), atol=1e-3 * float(reading.saliency.max()))


def test_padded_passes_of_the_real_network_give_what_single_images_give(network: StrNet, images):
    make = eager(OnDevice(network, SMALL))
    together = PaddedRunner("torch-cuda-float32", (1, 8), make).run(images, rows(3))
    for index in range(3):
        alone = PaddedRunner("torch-cuda-float32", (1,), make).run(images[index : index + 1], rows(1))
        assert together.screening[index] == pytest.approx(alone.screening[0], abs=1e-3)
        assert np.allclose(together.saliency[index], alone.saliency[0], atol=1e-3 * alone.saliency.max())


def test_folded_batch_norms_change_next_to_nothing(network: StrNet, images):
    import copy

    folded = copy.deepcopy(network.backbone)
    fold_batch_norms(folded)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    inputs = torch.from_numpy(to_input(images[:1], SMALL))
    with torch.inference_mode():
        expected, got = network.backbone(inputs), folded(inputs)
    assert float((expected - got).abs().max()) < 1e-4 * float(expected.abs().max())


def test_bfloat16_rounds_the_convolutions_alone_and_leaves_the_network_it_was_made_of(network: StrNet):
    rounded = prepared(network, "bfloat16")
    assert {parameter.dtype for parameter in rounded.backbone.parameters()} == {torch.bfloat16}
    assert {p.dtype for name, p in rounded.named_parameters() if not name.startswith("backbone")} == {torch.float32}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not any(module.training for module in rounded.modules())
    assert prepared(network, "float32") is network


def test_bfloat16_on_the_processor_is_near_the_reference_and_says_what_it_is(network: StrNet):
    settings = PreprocessingSettings(size_px=32)
    image = np.random.default_rng(2).integers(0, 256, (1, 32, 32), np.uint8)
    cpu = torch.device("cpu")
    (rounded,) = TorchEngine(network, settings, cpu, "bfloat16").predict(image, (None,))
    (reference,) = TorchEngine(network, settings, cpu).predict(image, (None,))
    assert rounded.profile == "torch-cpu-bfloat16"
    assert rounded.screening_logit != reference.screening_logit
    assert rounded.screening_logit == pytest.approx(reference.screening_logit, abs=0.5)


def test_float32_is_exact_inside_and_what_it_was_outside():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_float32():
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_network_with_saliency_is_in_evaluation_mode_whatever_it_was_given(network: StrNet):
    import copy

    training = copy.deepcopy(network).train()
    assert not any(module.training for module in NetworkWithSaliency(training).modules())


@pytest.fixture
def card() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.gpu
@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_a_captured_graph_gives_what_the_processor_gives(card, demonstration: ModelBundle, engine: Engine, arithmetic):
    cuda = open_torch_engine(demonstration, "cuda", arithmetic=arithmetic, allow_cpu_fallback=False)
    images = np.stack(golden_images(demonstration))
    share = 1e-3 if arithmetic == "float32" else 0.05
    given = (None, Covariates(age_years=70, sex="F", bmi=25), None, None)
    for one, other in zip(engine.predict(images, given), cuda.predict(images, given), strict=True):
        assert other.screening_logit == pytest.approx(one.screening_logit, abs=1e-3 if arithmetic == "float32" else 0.05)
        assert np.abs(one.saliency - other.saliency).max() < share * one.saliency.max()
        assert other.profile == f"torch-cuda-{arithmetic}"
    if arithmetic == "float32":
        verify_bundle(demonstration, cuda)


@pytest.mark.gpu
def test_every_captured_size_keeps_the_order_of_its_images(card, demonstration: ModelBundle):
    cuda = open_torch_engine(demonstration, "cuda", allow_cpu_fallback=False)
    first, second = golden_images(demonstration)[:2]
    alone = [cuda.predict(image[np.newaxis], (None,))[0].screening_logit for image in (first, second)]
    for count in {size + extra for size in CUDA_BATCH_SIZES for extra in (-1, 0, 1)} - {0}:
        images = np.stack([(first, second)[n % 3 == 0] for n in range(count)])
        got = [each.screening_logit for each in cuda.predict(images, (None,) * count)]
        assert got == pytest.approx([alone[n % 3 == 0] for n in range(count)], abs=1e-3)
