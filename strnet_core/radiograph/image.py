"""A PNG or JPEG file to a radiograph, for research on exported images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from strnet_core.errors import ColourError, DecodeError, UnreadableFileError
from strnet_core.radiograph.histogram import Words
from strnet_core.radiograph.limits import ReadLimits
from strnet_core.radiograph.stored import digest_of_stored
from strnet_core.radiograph.values import Radiograph

_DEFAULT_LIMITS = ReadLimits()
_FULL_SCALE = {"L": 255.0, "I;16": 65535.0, "I;16B": 65535.0, "I": 65535.0}
_COLOUR_MODES = ("RGB", "RGBA", "LA", "P")
_GREY_TOLERANCE = 2
"""Grey written as colour JPEG comes back with channels a level or two apart."""


def read_image(path: Path, limits: ReadLimits = _DEFAULT_LIMITS) -> Radiograph:
    """Presentation values value / full scale of an 8 or 16-bit grey PNG or JPEG, brighter = denser as in the public sets.

    Grey images that are stored as RGB are accepted. Raises UnreadableFileError, ColourError, TooLargeError, DecodeError.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            limits.check(image.height, image.width)
            full_scale, lossy = _FULL_SCALE.get(image.mode, 255.0), image.format == "JPEG"
            stored = np.asarray(_grey(image))
    except (UnidentifiedImageError, FileNotFoundError, IsADirectoryError) as error:
        raise UnreadableFileError(type(error).__name__) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DecodeError(type(error).__name__) from error
    if stored.size == 0 or stored.min() < 0 or stored.max() > full_scale:
        raise DecodeError("values beyond 16 bits")
    words: Words = stored.astype(np.uint8 if full_scale < 256 else np.uint16)  # noqa: PLR2004
    return Radiograph(
        words=words,
        table=np.arange(full_scale + 1.0) / full_scale,
        valid=np.ones(words.shape, np.bool_),
        pixel_digest=digest_of_stored(words),
        notes=("lossy",) if lossy else (),
    )


def _grey(image: Image.Image) -> Image.Image:
    if image.mode in _FULL_SCALE:
        return image
    if image.mode not in _COLOUR_MODES:
        raise ColourError(image.mode)
    channels = np.asarray(image.convert("RGB")).astype(np.int16)
    if int((channels.max(axis=2) - channels.min(axis=2)).max()) > _GREY_TOLERANCE:
        raise ColourError(image.mode)
    return image.convert("RGB").getchannel("G")
