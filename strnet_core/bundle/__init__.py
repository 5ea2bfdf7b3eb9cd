"""A model bundle: weights hash, architecture, preprocessing, labels, thresholds and card as one value, verified on load."""

from strnet_core.bundle.decision import decision_logit, is_reached, score
from strnet_core.bundle.files import BundleDraft, card_text, load_bundle, read_weights, refuse_existing, write_bundle
from strnet_core.bundle.golden import GoldenVector, read_golden
from strnet_core.bundle.model_bundle import ARCHITECTURE, BUNDLE_NAME, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings

__all__ = [
    "ARCHITECTURE",
    "BUNDLE_NAME",
    "BundleDraft",
    "GoldenVector",
    "IntendedUse",
    "ModelBundle",
    "PreprocessingSettings",
    "card_text",
    "decision_logit",
    "is_reached",
    "load_bundle",
    "read_golden",
    "read_weights",
    "refuse_existing",
    "score",
    "write_bundle",
]
