"""The grey scale pipeline: modality LUT, VOI LUT or window, polarity last (PS3.4 N.2). Works on a table of all stored values.

At most 65,536 stored values exist, so each step runs once per value in float64 instead of once per pixel. What is worked out for
values that do not occur is never looked up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.errors import MissingAttributeError
from strnet_core.radiograph.header import number, text
from strnet_core.radiograph.histogram import Counts

Table = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GreyScale:
    """Presentation values 0..1 of consecutive stored values, with codes of what was applied."""

    table: Table
    notes: tuple[str, ...]


def grey_scale(stored_values: Table, counts: Counts, dataset: Dataset, settings: PreprocessingSettings, *, inverted: bool) -> GreyScale:
    """Presentation values of `stored_values` (n,) float64, of which `counts` (n,) int64 says how often each is in a valid pixel.

    `voi_policy` decides what spans 0..1: `tags` the VOI LUT or window of the header, else every value that occurs; `none` every
    value that occurs; `percentile` what lies between the two percentiles. Padding is never among what occurs.
    Raises MissingAttributeError for a malformed LUT.
    """
    used = counts > 0
    modality = _modality(stored_values, used, dataset)
    output, note = _values_of_interest(modality, counts, dataset, settings)
    # last: inverting before the VOI step would apply the window to the wrong end
    table = 1.0 - output if inverted else output
    return GreyScale(table=table, notes=(note,) if note else ())


def _modality(values: Table, used: npt.NDArray[np.bool_], dataset: Dataset) -> Table:
    """Modality LUT sequence, else rescale slope and intercept (PS3.3 C.11.1)."""
    sequence = dataset.get("ModalityLUTSequence")
    if sequence:
        entries, first, _ = _lut(sequence[0], signed_input=bool(values[used].min() < 0))
        return _look_up(values, entries, first)
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    slope = 1.0 if slope is None or slope == 0.0 else slope
    return values * slope + (intercept or 0.0)


def _values_of_interest(values: Table, counts: Counts, dataset: Dataset, settings: PreprocessingSettings) -> tuple[Table, str]:
    if settings.voi_policy == "percentile":
        low, high = (_percentile(values, counts, share) for share in (settings.voi_low_percentile, settings.voi_high_percentile))
        return _spread(values, low, high), "voi_percentile"
    occurring = values[counts > 0]
    if settings.voi_policy == "tags":
        sequence = dataset.get("VOILUTSequence")
        if sequence:
            entries, first, bits = _lut(sequence[0], signed_input=bool(occurring.min() < 0))
            return np.clip(_look_up(values, entries, first) / (2.0**bits - 1.0), 0.0, 1.0), "voi_lut"
        windowed = _window(values, dataset)
        if windowed is not None:
            return windowed
    return _spread(values, float(occurring.min()), float(occurring.max())), "no_window"


def _window(values: Table, dataset: Dataset) -> tuple[Table, str] | None:
    """Window of index 0 to 0..1, or None where there is none that can be applied (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    function = text(dataset, "VOILUTFunction") or "LINEAR"
    if centre is None or width is None or width <= 0.0:
        return None
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width)), "sigmoid"
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0), "linear_exact"
    if width < 1.0:
        return None
    if width == 1.0:
        return (values > centre - 0.5).astype(np.float64), ""
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0), ""


def _percentile(values: Table, counts: Counts, share: float) -> float:
    """The smallest value that at least `share` per cent of the valid pixels do not exceed (numpy's `inverted_cdf`)."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    wanted = max(1, math.ceil(share / 100.0 * int(cumulative[-1])))
    return float(values[order[np.searchsorted(cumulative, wanted)]])


def _spread(values: Table, low: float, high: float) -> Table:
    if high <= low:
        return np.zeros_like(values)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _look_up(values: Table, entries: Table, first: int) -> Table:
    """Values outside of the table take its first or last entry (PS3.3 C.11.1.1.1)."""
    index = np.clip(np.rint(values) - first, 0, entries.size - 1).astype(np.intp)
    return np.asarray(entries[index], np.float64)


def _lut(item: Dataset, *, signed_input: bool) -> tuple[Table, int, int]:
    """Entries, first value mapped and bits per entry of a LUT item (PS3.3 C.11.1.1, C.11.2.1.1)."""
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    if descriptor is None or data is None or len(descriptor) != 3:  # noqa: PLR2004
        raise MissingAttributeError("LUTDescriptor or LUTData")
    count, first, bits = int(descriptor[0]) or 65536, int(descriptor[1]), int(descriptor[2])
    if not 1 <= bits <= 16:  # noqa: PLR2004
        raise MissingAttributeError("LUTDescriptor")
    if signed_input and first >= 1 << 15:
        first -= 1 << 16  # written as US although the input is signed
    entries = _entries(data, count)
    if entries.size < count:
        raise MissingAttributeError("LUTData")
    # some writers declare fewer bits than they fill: the largest entry then says what full brightness is
    return entries[:count], first, max(bits, int(entries[:count].max()).bit_length())


def _entries(data: object, count: int) -> Table:
    if isinstance(data, bytes | bytearray):
        # 8-bit entries may be packed two to a word
        kind = np.dtype("<u2") if len(data) >= 2 * count else np.dtype(np.uint8)
        return np.frombuffer(data[: len(data) - len(data) % kind.itemsize], kind).astype(np.float64)
    return np.atleast_1d(np.asarray(data, dtype=np.float64)) if data else np.empty(0)
