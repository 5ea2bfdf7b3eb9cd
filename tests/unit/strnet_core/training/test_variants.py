"""Backbones, ablation stages, starting weights and augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strnet_core.bundle import PreprocessingSettings
from strnet_core.errors import TrainingSettingsError
from strnet_core.network.build import PARAMETERS, count_parameters
from strnet_core.network.strnet import StrNet
from strnet_core.network.torchvision_import import torchvision_models
from strnet_core.training.augmentation import augmented
from strnet_core.training.backbones import COMPARISON, FIXED_SIZES, backbone_names, build
from strnet_core.training.initial_weights import load_initial_weights
from strnet_core.training.settings import AugmentationSettings, TrainingSettings, decode_settings, encode_settings
from strnet_core.training.variants import STAGES, build_trainee, size_for
from tests.conftest import ROOT

SMALL = PreprocessingSettings(size_px=64)


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings(preprocessing=SMALL, **changes)  # type: ignore[arg-type]


def test_the_default_network_is_strnet_to_the_parameter():
    with torch.device("meta"):
        trainee = build_trainee(TrainingSettings())
    assert isinstance(trainee.network, StrNet)
    assert count_parameters(trainee.network) == PARAMETERS


def test_the_comparison_has_eleven_backbones_and_the_documentation_names_them():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert len({each.backbone for each in COMPARISON}) == 11
    assert {each.backbone for each in COMPARISON if each.named} == {"resnet50", "vgg19", "vit_b_16"}
    assert {each.backbone for each in COMPARISON} <= set(backbone_names())
    for each in COMPARISON:
        assert f"| `{each.backbone}` | {each.label} | {'the text' if each.named else 'chosen here'} |" in page


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "efficientnet_b0"])
def test_a_backbone_takes_grey_images_and_gives_the_features_it_names(name):
    backbone = build(name, 64)
    with torch.inference_mode():
        assert backbone.module.eval()(torch.zeros(2, 1, 64, 64)).shape == (2, backbone.features)


def test_a_transformer_has_its_own_size():
    with torch.device("meta"):
        backbone = build("vit_b_16", 384)
        assert backbone.module.eval()(torch.zeros(1, 1, 384, 384)).shape == (1, backbone.features)
    assert (size_for("vit_b_16", None), size_for("resnet50", None), size_for("resnet50", 256)) == (FIXED_SIZES["vit_b_16"], 512, 256)
    with pytest.raises(TrainingSettingsError, match="384"):
        size_for("vit_b_16", 512)
    with pytest.raises(TrainingSettingsError, match="no classification model"):
        build("resnet51", 64)


def test_every_stage_of_the_ablation_adds_its_part():
    images, covariates, counts = torch.zeros(2, 1, 64, 64), torch.zeros(2, 3), []
    for stage in STAGES:
        trainee = build_trainee(settings(backbone="shufflenet_v2_x0_5", stage=stage)).eval()
        outputs = trainee(images, covariates)
        assert (outputs.severity is not None) is (stage >= "B2")
        assert (outputs.t_score is not None) is (stage >= "B3")
        counts.append(count_parameters(trainee))
    neck, severity, t_score, routing = np.diff(counts).tolist()
    assert (neck, severity, t_score, routing) == (1024 * 128 + 128 + 129 - 1025, 129, 15_713, 165_568)


def test_published_weights_of_a_backbone_lose_their_colours_and_their_classifier(tmp_path):
    torch.manual_seed(3)
    published = torchvision_models().resnet50(weights=None).state_dict()
    torch.save(published, tmp_path / "resnet50.pth")
    trainee = build_trainee(settings())
    random_start = load_initial_weights(trainee, tmp_path / "resnet50.pth")
    network = trainee.network
    assert isinstance(network, StrNet)
    assert torch.equal(network.backbone[0].weight, published["conv1.weight"].mean(dim=1, keepdim=True))
    assert torch.equal(network.backbone[7][2].conv3.weight, published["layer4.2.conv3.weight"])
    assert all(not name.startswith("backbone.") for name in random_start)
    torch.save({"conv1.weight": torch.zeros(2, 2), "surprise": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(TrainingSettingsError, match="surprise"):
        load_initial_weights(trainee, tmp_path / "other.pth")


def test_the_default_protocol_is_table_2_of_the_paper():
    chosen = TrainingSettings()
    optimisation, losses, augmentation = chosen.optimisation, chosen.losses, chosen.augmentation
    assert (chosen.backbone, chosen.stage, chosen.preprocessing.size_px, chosen.seed) == ("resnet50", "B4", 512, 42)
    assert (optimisation.learning_rate, optimisation.weight_decay, optimisation.batch_size) == (1e-4, 1e-4, 32)
    assert (optimisation.plateau_factor, optimisation.plateau_patience, optimisation.max_gradient_norm) == (0.5, 20, 1.0)
    assert (optimisation.max_epochs, optimisation.stop_patience) == (100, 30)
    assert (losses.severity_weight, losses.t_score_weight, losses.t_score_warmup_epochs, losses.false_positive_weight) == (0.3, 0.1, 5, 0.0)
    assert (augmentation.flip_probability, augmentation.max_rotation_degrees, augmentation.max_translation) == (0.5, 8.0, 0.04)
    assert (augmentation.min_scale, augmentation.max_scale, augmentation.border_probability, augmentation.max_border) == (
        0.95,
        1.05,
        0.5,
        0.04,
    )
    assert decode_settings(encode_settings(chosen)) == chosen
    with pytest.raises(TrainingSettingsError, match=r"plan\.surplus"):
        decode_settings(encode_settings(chosen).replace('"folds": 5', '"folds": 5, "surplus": 1'))


def test_augmentation_does_what_it_says_and_the_same_again():
    image = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
    still = {"max_rotation_degrees": 0.0, "max_translation": 0.0, "min_scale": 1.0, "max_scale": 1.0}
    flipped = augmented(image, AugmentationSettings(flip_probability=1.0, border_probability=0.0, **still), np.random.default_rng(1))
    assert np.array_equal(flipped, image[:, ::-1])
    masked = augmented(image, AugmentationSettings(flip_probability=0.0, border_probability=1.0, **still), np.random.default_rng(1))
    changed = np.argwhere(masked != image)
    assert len(changed)
    assert set(masked[masked != image].tolist()) == {49}
    assert all(min(row, column, 99 - row, 99 - column) < 4 for row, column in changed)
    moved = [augmented(image, AugmentationSettings(), np.random.default_rng(seed)) for seed in (7, 7, 8)]
    assert np.array_equal(moved[0], moved[1])
    assert not np.array_equal(moved[0], moved[2])


def test_translation_goes_no_further_than_it_may():
    image = np.zeros((100, 100), np.uint8)
    image[48:52, 48:52] = 255
    only = AugmentationSettings(flip_probability=0.0, border_probability=0.0, max_rotation_degrees=0.0, min_scale=1.0, max_scale=1.0)
    shifts = []
    for seed in range(40):
        rows, columns = np.nonzero(augmented(image, only, np.random.default_rng(seed)) > 127)
        shifts.append(max(abs(rows.mean() - 49.5), abs(columns.mean() - 49.5)))
    assert 2.0 < max(shifts) <= 4.5
