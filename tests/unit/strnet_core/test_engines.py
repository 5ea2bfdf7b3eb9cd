from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from strnet_core import errors
from strnet_core.bundle import IntendedUse, ModelBundle, card_text, is_reached, load_bundle, read_golden
from strnet_core.engines.base import Covariates, Engine, Prediction
from strnet_core.engines.demonstration import create_demonstration_bundle, verify_bundle
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.engines.torch_engine import TorchEngine, open_torch_engine
from strnet_core.phantom import PhantomParameters


@pytest.fixture(scope="module")
def images(demonstration: ModelBundle) -> np.ndarray:
    vectors = read_golden(demonstration).vectors[:2]
    return np.stack(
        [phantom_image(PhantomParameters(**vector.phantom), vector.seed, demonstration.preprocessing).image for vector in vectors]
    )


def test_the_demonstration_bundle_says_loudly_what_it_is(demonstration: ModelBundle):
    assert demonstration.intended_use is IntendedUse.DEMONSTRATION
    assert demonstration.evidence == ""
    assert "RANDOM WEIGHTS" in demonstration.version
    assert "RANDOM WEIGHTS" in demonstration.manufacturer
    card = card_text(demonstration)
    assert "NOT FOR CLINICAL USE" in card
    assert "RANDOM WEIGHTS" in card
    assert load_bundle(demonstration.folder) == demonstration


def test_phantoms_fall_on_both_sides_of_the_threshold(demonstration: ModelBundle):
    logits = [vector.screening_logit for vector in read_golden(demonstration).vectors]
    assert demonstration.screening_threshold is not None
    assert {is_reached(logit, demonstration.screening_threshold) for logit in logits} == {True, False}
    assert np.std(logits) > 0.3


def test_a_batch_gives_what_single_images_give(engine: Engine, images: np.ndarray):
    together = engine.predict(images, (None, Covariates(age_years=65, sex="F", bmi=24.0)))
    alone = engine.predict(images[1:], (Covariates(age_years=65, sex="F", bmi=24.0),))[0]
    assert together[0].t_score is None
    assert together[1].t_score == pytest.approx(alone.t_score, abs=1e-3)
    assert together[1].screening_logit == pytest.approx(alone.screening_logit, abs=1e-3)
    assert together[0].saliency.shape == (16, 16)
    assert together[0].saliency.dtype == np.float32
    assert together[0].saliency.min() >= 0.0
    assert isinstance(together[0].screening_logit, float)


def test_covariates_move_only_the_t_score(engine: Engine, images: np.ndarray):
    young, old = (engine.predict(images[:1], (Covariates(age_years=age, sex="M", bmi=30.0),))[0] for age in (20, 90))
    assert young.screening_logit == pytest.approx(old.screening_logit, abs=1e-5)
    assert young.t_score != old.t_score


def test_the_profile_names_device_and_arithmetic(engine: Engine):
    assert engine.profile == "torch-cpu-float32"


def test_no_images_give_no_predictions(engine: Engine):
    assert engine.predict(np.zeros((0, 512, 512), np.uint8), ()) == ()


@pytest.mark.parametrize(
    ("images", "covariates"),
    [
        (np.zeros((1, 512, 512), np.float32), (None,)),
        (np.zeros((1, 256, 256), np.uint8), (None,)),
        (np.zeros((512, 512), np.uint8), (None,)),
        (np.zeros((2, 512, 512), np.uint8), (None,)),
    ],
)
def test_a_wrong_batch_is_a_value_error(engine: Engine, images, covariates):
    with pytest.raises(ValueError):
        engine.predict(images, covariates)


def test_a_logit_that_is_no_number_is_implausible(demonstration: ModelBundle, network, images):
    import copy

    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.head.bias.fill_(float("nan"))
    with pytest.raises(errors.ImplausibleOutputError):
        TorchEngine(broken, demonstration.preprocessing, torch.device("cpu")).predict(images[:1], (None,))


def test_a_map_that_is_no_number_is_implausible():
    with pytest.raises(errors.ImplausibleOutputError):
        Prediction(screening_logit=0.0, severity_logit=0.0, t_score=None, saliency=np.full((16, 16), np.inf, np.float32), profile="x")


@pytest.mark.parametrize("change", [{"age_years": -1}, {"sex": "O"}, {"bmi": 0.0}, {"age_years": float("nan")}])
def test_covariates_that_no_patient_has_are_refused(change):
    with pytest.raises(ValueError):
        Covariates(**{"age_years": 60, "sex": "F", "bmi": 25.0, **change})


def test_a_device_that_is_not_there_is_an_error_with_a_remedy(demonstration: ModelBundle):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(errors.DeviceUnavailableError):
        open_torch_engine(demonstration, device="cuda")


def test_a_bundle_of_another_size_is_refused(demonstration: ModelBundle):
    with pytest.raises(errors.ArchitectureError):
        open_torch_engine(dataclasses.replace(demonstration, parameters=23_830_691))


def test_a_second_bundle_does_not_overwrite_the_first(demonstration: ModelBundle):
    with pytest.raises(errors.BundleExistsError):
        create_demonstration_bundle(demonstration.folder)


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(demonstration: ModelBundle, engine: Engine, images):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cuda = open_torch_engine(demonstration, device="cuda")
    verify_bundle(demonstration, cuda)
    for one, other in zip(engine.predict(images, (None, None)), cuda.predict(images, (None, None)), strict=True):
        assert np.abs(one.saliency - other.saliency).max() < 1e-3 * one.saliency.max()
