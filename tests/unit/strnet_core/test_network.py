from __future__ import annotations

import numpy as np
import pytest
import torch

from strnet_core import errors
from strnet_core.bundle import CovariateScaling
from strnet_core.network.build import PARAMETERS, build_strnet_with, count_parameters, weights_of
from strnet_core.network.strnet import StrNet
from strnet_core.network.torchvision_import import torchvision_models


def test_the_parts_have_the_published_numbers_of_parameters(network: StrNet):
    counts = {name: count_parameters(module) for name, module in network.named_children()}
    assert counts["backbone"] == 23_501_760
    assert counts["neck"] == 262_272
    assert counts["tarr"] == 165_568
    assert counts["head"] + counts["severe_head"] == 258
    t_score = ("img_adapter", "tabular_encoder", "fusion_mlp", "tscore_head")
    assert sum(counts[name] for name in t_score) == 15_713
    assert count_parameters(network) == PARAMETERS == 23_945_571


def test_names_are_the_authors(network: StrNet):
    names = set(network.state_dict())
    assert {f"backbone.{number}" for number in (0, 1, 4, 5, 6, 7)} == {
        ".".join(n.split(".")[:2]) for n in names if n.startswith("backbone")
    }
    assert {n.split(".")[0] for n in names} == {
        "backbone", "neck", "tarr", "head", "severe_head", "img_adapter", "tabular_encoder", "fusion_mlp", "tscore_head",
    }  # fmt: skip
    assert {"neck.0.weight", "head.weight", "tarr.out_tscore.weight"} <= names


def test_one_pass_has_the_documented_shapes_and_no_t_score_without_covariates(network: StrNet):
    with torch.inference_mode():
        output = network(torch.zeros(2, 1, 64, 96))
        assert output.features.shape == (2, 2048, 2, 3)
        assert output.pooled.shape == (2, 2048)
        assert output.screening.shape == output.severity.shape == (2,)
        assert output.t_score is None
        covariates = torch.tensor([CovariateScaling().encode(65.0, male=False, bmi=25.0)] * 2)
        with_covariates = network(torch.zeros(2, 1, 64, 96), covariates)
    assert with_covariates.t_score is not None
    assert with_covariates.t_score.shape == (2,)
    assert torch.equal(with_covariates.screening, output.screening)


def test_what_lies_behind_the_pooling_is_the_same_network(network: StrNet):
    with torch.inference_mode():
        output = network(torch.randn(2, 1, 64, 64))
        assert torch.allclose(network.screening_of(output.pooled), output.screening, atol=1e-6)


def test_weights_must_fit_exactly(network: StrNet):
    weights = weights_of(network)
    with pytest.raises(errors.ArchitectureError, match=r"head\.bias"):
        build_strnet_with({name: array for name, array in weights.items() if name != "head.bias"})
    with pytest.raises(errors.ArchitectureError, match="extra"):
        build_strnet_with({**weights, "extra": np.zeros(1, np.float32)})
    with pytest.raises(errors.ArchitectureError, match=r"head\.bias"):
        build_strnet_with({**weights, "head.bias": np.zeros(2, np.float32)})
    with pytest.raises(errors.ArchitectureError, match=r"head\.bias"):
        build_strnet_with({**weights, "head.bias": np.array([np.nan], np.float32)})
    with pytest.raises(errors.ArchitectureError, match=r"head\.bias"):
        build_strnet_with({**weights, "head.bias": np.zeros(1, np.float16)})


def test_torchvision_is_importable_beside_this_torch_and_twice():
    assert torchvision_models() is torchvision_models()
    assert hasattr(torchvision_models(), "resnet50")
