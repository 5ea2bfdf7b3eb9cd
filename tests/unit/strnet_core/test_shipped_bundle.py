"""The bundle that comes with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from strnet_core.bundle import SHIPPED, IntendedUse, ModelBundle, card_text, copy_shipped_bundle, load_bundle, read_golden
from strnet_core.cli.main import app
from strnet_core.engines.torch_engine import open_torch_engine
from strnet_core.engines.verification import verify_bundle
from strnet_core.errors import BundleExistsError, WeightsDamagedError
from tests.conftest import ROOT

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def shipped() -> ModelBundle:
    return load_bundle(SHIPPED)


def test_it_answers_its_golden_vectors_here(shipped: ModelBundle) -> None:
    verified = verify_bundle(shipped, open_torch_engine(shipped, torch.device("cpu")))
    assert verified.vectors == len(read_golden(shipped).vectors) > 0


def test_it_is_for_demonstration_decides_and_stays_small(shipped: ModelBundle) -> None:
    assert shipped.intended_use is IntendedUse.DEMONSTRATION
    assert shipped.screening_threshold is not None
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= 50 * MEGABYTE


@pytest.mark.parametrize(
    "told",
    [
        "10.17632/fxjm8fb6mw",
        "CC BY 4.0",
        "quantitative ultrasound",
        "No evidence at 50 and over",
        "Age alone",
        "not better than chance",
        "square, tall",
    ],
)
def test_its_card_tells_origin_labels_figures_and_limits(shipped: ModelBundle, told: str) -> None:
    assert told in card_text(shipped)


def test_nothing_but_the_bundle_lies_beside_it(shipped: ModelBundle) -> None:
    """Above all no radiograph: the labels' data are others'."""
    held = {path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*") if path.is_file()}
    assert held == {"bundle.json", "weights.safetensors", "card.md", "golden/golden.json"}


def test_its_sha256_is_the_one_that_is_told(shipped: ModelBundle) -> None:
    assert shipped.weights_sha256 in (ROOT / "docs/shipped-bundle.md").read_text(encoding="utf-8")


def test_copy_is_the_same_bundle_and_overwrites_none(shipped: ModelBundle, tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["bundle", "create-demo", str(tmp_path / "bundle")])
    assert made.exit_code == 0, made.output
    assert load_bundle(tmp_path / "bundle").bundle_hash == shipped.bundle_hash
    with pytest.raises(BundleExistsError):
        copy_shipped_bundle(tmp_path / "bundle")


def test_damaged_package_gives_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "package"
    copy_shipped_bundle(damaged)
    with (damaged / "weights.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        last = weights.read(1)
        weights.seek(-1, 2)
        weights.write(bytes([last[0] ^ 1]))
    monkeypatch.setattr("strnet_core.bundle.shipped.SHIPPED", damaged)
    with pytest.raises(WeightsDamagedError):
        copy_shipped_bundle(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
