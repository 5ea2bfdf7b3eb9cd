"""Small bundles for tests of everything that is refused before a network is built, and ways to spoil them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from strnet_core.bundle import (
    BundleDraft,
    Golden,
    GoldenVector,
    IntendedUse,
    ModelBundle,
    ReferenceStatistics,
    Spread,
    Tolerance,
    write_bundle,
)

WEIGHTS = {"layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "layer.count": np.array(3, np.int64)}
STATISTICS = ReferenceStatistics(
    over="two synthetic knees",
    n=2,
    logit_quantiles=tuple(float(level) for level in range(11)),
    screening_logit=Spread(mean=5.0, sd=1.0),
    input_mean=Spread(mean=120.0, sd=2.0),
    input_sd=Spread(mean=60.0, sd=3.0),
    crop_share=Spread(mean=0.5, sd=0.1),
    fallback_rate=0.5,
)


def golden() -> Golden:
    return Golden(
        tolerances={"float32": Tolerance(logit=2e-3, t_score=1e-3, saliency=2e-3)},
        vectors=(
            GoldenVector(
                phantom={"side": "L"},
                seed=1,
                image_sha256="0" * 64,
                age_years=60.0,
                sex="F",
                bmi=25.0,
                screening_logit=0.25,
                severity_logit=-1.5,
                t_score=-2.0,
                saliency=((0.0, 0.5), (1.0, 0.25)),
            ),
        ),
    )


def make(folder: Path, **changes: object) -> ModelBundle:
    values = {
        "version": "1",
        "parameters": 12,
        "weights": WEIGHTS,
        "intended_use": IntendedUse.RESEARCH,
        "card": "# card",
        "screening_threshold": 0.44,
        "severity_threshold": 0.5,
        **changes,
    }
    return write_bundle(folder, BundleDraft(**values))


def edit(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "bundle.json") -> None:
    """Change a JSON file in place; its hash, where one is kept, no longer fits."""
    path = folder / name
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_golden(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the golden vectors as somebody would who can also write bundle.json."""
    edit(folder, change, "golden/golden.json")
    digest = hashlib.sha256((folder / "golden" / "golden.json").read_bytes()).hexdigest()
    edit(folder, lambda document: document.update(golden_sha256=digest))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def copied(bundle: ModelBundle, folder: Path) -> Path:
    """The bundle's files under another folder; the weights are not copied but linked (a second name, no symbolic link)."""
    (folder / "golden").mkdir(parents=True)
    for name in ("bundle.json", "card.md", "golden/golden.json"):
        (folder / name).write_bytes((bundle.folder / name).read_bytes())
    os.link(bundle.folder / "weights.safetensors", folder / "weights.safetensors")
    return folder
