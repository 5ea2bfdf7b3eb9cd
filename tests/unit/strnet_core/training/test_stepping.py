"""What a card is told while it trains and predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from strnet_core.bundle import PreprocessingSettings
from strnet_core.training import fitting, stepping
from strnet_core.training.batches import Loader
from strnet_core.training.films import Film
from strnet_core.training.knee_set import Knee, KneeSet
from strnet_core.training.losses import positive_weights
from strnet_core.training.settings import OptimisationSettings, TrainingSettings
from strnet_core.training.variants import build_trainee


@pytest.mark.parametrize(("arithmetic", "is_exact"), [("float32", True), ("bfloat16", False)])
def test_float32_is_exact_and_keeps_cudnn_in_training_and_prediction(tmp_path, monkeypatch, arithmetic, is_exact):
    settings = TrainingSettings(
        backbone="shufflenet_v2_x0_5",
        preprocessing=PreprocessingSettings(size_px=48),
        optimisation=OptimisationSettings(batch_size=4),
        arithmetic=arithmetic,
    )
    films = [Film(name=f"{number}", path=tmp_path, label=number % 2) for number in range(4)]
    knees = tuple(Knee(name=film.name, film=film, family="", sha256=film.name) for film in films)
    data = KneeSet(knees=knees, images=np.zeros((4, 48, 48), np.uint8), left_out=())
    trainee = build_trainee(settings)
    machinery = fitting._machinery(trainee, settings, torch.device("cpu"))
    seen: list[tuple[str, bool, bool]] = []

    def note(where: str) -> None:
        seen.append((where, torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))

    trainee.register_forward_hook(lambda *_: note("forward"))
    backward = torch.Tensor.backward

    def noted(tensor: torch.Tensor, *words: Any, **named: Any) -> None:
        note("backward")
        backward(tensor, *words, **named)

    monkeypatch.setattr(torch.Tensor, "backward", noted)
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    with Loader(data, settings, 1) as loader:
        places = np.arange(4)
        batch = next(iter(loader.plain(places)))
        stepping.train_step(batch, trainee, machinery, positive_weights(list(knees), settings.losses), settings, 0)
        stepping.predict(trainee, loader, places, torch.device("cpu"), settings, arithmetic)
    allowed = False if is_exact else before[1]
    assert seen == [("forward", True, allowed), ("backward", True, allowed), ("forward", True, allowed)]
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before
