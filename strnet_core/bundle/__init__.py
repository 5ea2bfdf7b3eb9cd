"""A model bundle: weights hash, architecture, preprocessing, labels, thresholds and card as one value, verified on load."""

from strnet_core.bundle.covariates import CovariateScaling
from strnet_core.bundle.decision import decision_logit, is_reached, score
from strnet_core.bundle.document import decode_covariates, decode_preprocessing
from strnet_core.bundle.files import card_text, load_bundle, read_golden, read_weights
from strnet_core.bundle.golden import Golden, GoldenVector, Tolerance
from strnet_core.bundle.model_bundle import ARCHITECTURE, BUNDLE_NAME, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.bundle.shipped import SHIPPED, copy_shipped_bundle
from strnet_core.bundle.statistics import QUANTILE_LEVELS, ReferenceStatistics, Spread
from strnet_core.bundle.writing import BundleDraft, refuse_existing, write_bundle

__all__ = [
    "ARCHITECTURE",
    "BUNDLE_NAME",
    "QUANTILE_LEVELS",
    "SHIPPED",
    "BundleDraft",
    "CovariateScaling",
    "Golden",
    "GoldenVector",
    "IntendedUse",
    "ModelBundle",
    "PreprocessingSettings",
    "ReferenceStatistics",
    "Spread",
    "Tolerance",
    "card_text",
    "copy_shipped_bundle",
    "decision_logit",
    "decode_covariates",
    "decode_preprocessing",
    "is_reached",
    "load_bundle",
    "read_golden",
    "read_weights",
    "refuse_existing",
    "score",
    "write_bundle",
]
