"""The losses' masks, weights and warm-ups, and that they train what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from strnet_core.bundle import PreprocessingSettings
from strnet_core.training.batches import Batch, Targets
from strnet_core.training.films import Film
from strnet_core.training.fit_state import Machinery
from strnet_core.training.knee_set import Knee
from strnet_core.training.losses import Counts, PositiveWeights, losses, positive_weights
from strnet_core.training.settings import RELEASED_LOSSES, LossSettings, TrainingSettings
from strnet_core.training.stepping import train_step
from strnet_core.training.variants import Outputs, Trainee, build_trainee

TARGETS = Targets(
    bone_loss=torch.tensor([0.0, 1.0, 1.0, 1.0]),
    osteoporosis=torch.tensor([0.0, 0.0, 1.0, 1.0]),
    t_score=torch.tensor([-0.5, -1.5, -3.0, 0.0]),
    has_t_score=torch.tensor([1.0, 1.0, 1.0, 0.0]),
    covariates=torch.full((4, 3), 0.5),
)
EVEN = PositiveWeights(screening=1.0, severity=1.0)
COUNTS = Counts.of(TARGETS)


def outputs(screening: list[float], severity: list[float], t_score: list[float]) -> Outputs:
    return Outputs(torch.tensor(screening), torch.tensor(severity), torch.tensor(t_score))


def test_severity_is_asked_of_bone_loss_only_and_t_scores_where_they_are_known():
    one = losses(outputs([0.0] * 4, [5.0, 0.0, 0.0, 0.0], [9.0, -1.5, -3.0, 7.0]), TARGETS, COUNTS, EVEN, LossSettings(), 9)
    assert float(one.severity) == pytest.approx(0.6931472)
    # smooth L1 of 9.5 is 9.0, over the three that are known
    assert float(one.t_score) == pytest.approx(3.0)
    assert float(one.screening) == pytest.approx(0.6931472)


@pytest.mark.parametrize(("epoch", "counts"), [(0, False), (4, False), (5, True)])
def test_t_score_and_the_released_codes_loss_wait_for_five_epochs(epoch, counts):
    one = losses(outputs([2.0] * 4, [0.0] * 4, [0.0] * 4), TARGETS, COUNTS, EVEN, RELEASED_LOSSES, epoch)
    assert (float(one.t_score) > 0.0) is counts
    # one normal knee with the score 0.881: (0.881 - 0.30)^2
    assert float(one.false_positive) == pytest.approx(0.3373 if counts else 0.0, abs=1e-4)


def test_the_paper_has_three_losses_with_its_weights():
    one = losses(outputs([2.0] * 4, [1.0] * 4, [0.0] * 4), TARGETS, COUNTS, EVEN, LossSettings(), 9)
    total = float(one.screening) + 0.3 * float(one.severity) + 0.1 * float(one.t_score)
    assert float(one.total(LossSettings())) == pytest.approx(total)
    assert float(one.false_positive) == 0.0


def knees(normal: int, osteopenia: int, osteoporosis: int) -> list[Knee]:
    labels = [0] * normal + [1] * osteopenia + [2] * osteoporosis
    return [Knee(name="", film=Film(name="", path=Path(), label=label), family="", sha256="") for label in labels]


@pytest.mark.parametrize(
    ("kind", "screening", "severity"), [("released", 1.0, 450 / 391), ("balanced", 279 / 841, 450 / 391), ("none", 1.0, 1.0)]
)
def test_positive_weights_on_the_papers_counts(kind, screening, severity):
    settings = LossSettings(screening_positive_weight=kind, severity_positive_weight=kind)
    weights = positive_weights(knees(279, 450, 391), settings)
    assert (weights.screening, weights.severity) == pytest.approx((screening, severity))


def test_a_positive_weight_counts_positive_knees_more():
    heavy = losses(outputs([0.0] * 4, [0.0] * 4, [0.0] * 4), TARGETS, COUNTS, replace(EVEN, screening=3.0), LossSettings(), 0)
    assert float(heavy.screening) == pytest.approx(0.6931472 * (1 + 3 * 3) / 4)


def trained(settings: TrainingSettings) -> tuple[Trainee, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    trainee = build_trainee(settings)
    # no batch norm, no dropout: pieces of a batch are then the batch
    trainee.eval()
    before = {name: tensor.clone() for name, tensor in trainee.network.state_dict().items()}
    optimizer = torch.optim.SGD(trainee.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    machinery = Machinery(network=trainee.network, optimizer=optimizer, schedule=schedule, device=torch.device("cpu"))
    images = torch.rand((4, 1, 64, 64), generator=torch.Generator().manual_seed(1)).numpy()
    train_step(Batch(images=images, targets=TARGETS), trainee, machinery, EVEN, settings, 9)
    return trainee, before


SMALL = TrainingSettings(backbone="alexnet", preprocessing=PreprocessingSettings(size_px=64))


def test_a_batch_in_pieces_is_the_same_step():
    pieces = replace(SMALL, optimisation=replace(SMALL.optimisation, micro_batch_size=2))
    (whole, _), (cut, _) = trained(SMALL), trained(pieces)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_t_score_loss_stops_before_the_routing():
    """49,600 parameters of the route are never trained, as in the released code; the branch behind the stop is."""
    alone = replace(SMALL, losses=LossSettings(severity_weight=0.0))
    trainee, before = trained(alone)
    changed = {name for name, tensor in trainee.network.state_dict().items() if not torch.equal(tensor, before[name])}
    route = {name for name in before if name.startswith("tarr.") and "_tscore" in name}
    assert sum(before[name].numel() for name in route) == 49_600
    assert not changed & route
    assert {"img_adapter.0.weight", "tscore_head.weight", "tarr.out_screen.weight", "head.weight"} <= changed
