"""The bundle that comes with the package: trained on public knee radiographs, for demonstration. Its card tells what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from strnet_core.bundle.durable_file import write_durably
from strnet_core.bundle.files import load_bundle
from strnet_core.bundle.folder import CARD_FILE, DOCUMENT_FILE, WEIGHTS_FILE
from strnet_core.bundle.golden import GOLDEN_FILE
from strnet_core.bundle.model_bundle import ModelBundle
from strnet_core.bundle.writing import refuse_existing

SHIPPED: Final = Path(__file__).parents[1] / "shipped"
"""The bundle's folder, to be read only: an update replaces it."""


def copy_shipped_bundle(folder: Path) -> ModelBundle:
    """Write a copy durably, bundle.json last, and load it.

    Raises BundleExistsError, BundleFolderError where something else lies in the folder, other BundleErrors where the package is damaged.
    """
    refuse_existing(folder)
    load_bundle(SHIPPED)
    (folder / GOLDEN_FILE).parent.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, CARD_FILE, GOLDEN_FILE, DOCUMENT_FILE):
        write_durably(folder / name, (SHIPPED / name).read_bytes())
    return load_bundle(folder)
