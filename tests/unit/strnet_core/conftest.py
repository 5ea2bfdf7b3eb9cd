"""What the tests of the research core share: the network and the demonstration bundle are made once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from strnet_core.bundle import ModelBundle, load_bundle

SHARED = Path(__file__).resolve().parents[4] / "shared"


@pytest.fixture(scope="session")
def cases() -> Path:
    folder = SHARED / "cases"
    if not folder.is_dir():
        pytest.skip("../shared/cases is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def knee_films() -> Path:
    folder = SHARED / "knees" / "images"
    if not folder.is_dir():
        pytest.skip("../shared/knees is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    from strnet_core.engines.demonstration import create_demonstration_bundle

    return create_demonstration_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def engine(demonstration: ModelBundle):
    from strnet_core.engines.torch_engine import open_torch_engine

    return open_torch_engine(load_bundle(demonstration.folder), device="cpu")


@pytest.fixture(scope="session")
def network(demonstration: ModelBundle):
    from strnet_core.bundle import read_weights
    from strnet_core.network.build import build_strnet_with

    return build_strnet_with(read_weights(demonstration))


@pytest.fixture(scope="session")
def openvino_engine(demonstration: ModelBundle):
    from strnet_core.engines.openvino_engine import open_openvino_engine

    return open_openvino_engine(demonstration, threads=2)
