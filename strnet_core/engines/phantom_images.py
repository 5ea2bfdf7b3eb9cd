"""Phantoms as the network sees them, without the way over a file."""

from __future__ import annotations

import numpy as np

from strnet_core.bundle import PreprocessingSettings
from strnet_core.phantom import MAX_VALUE, PhantomParameters, draw
from strnet_core.preprocessing import Preprocessed, preprocess
from strnet_core.radiograph import Radiograph
from strnet_core.radiograph.stored import digest_of_stored


def phantom_radiograph(parameters: PhantomParameters, seed: int) -> Radiograph:
    """A phantom as a radiograph, value / 4095."""
    stored = draw(parameters, seed)
    return Radiograph(
        words=stored,
        table=np.clip(np.arange(1 << 16) / MAX_VALUE, 0.0, 1.0),
        valid=np.ones(stored.shape, np.bool_),
        pixel_digest=digest_of_stored(stored),
        notes=("phantom",),
    )


def phantom_image(parameters: PhantomParameters, seed: int, settings: PreprocessingSettings) -> Preprocessed:
    """A phantom as the network sees it."""
    return preprocess(phantom_radiograph(parameters, seed), settings)
