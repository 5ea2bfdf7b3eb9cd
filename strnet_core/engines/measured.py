"""The times of one run of `strnet bench`, and what they mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from strnet_core.engines.bench_files import UNCOMPRESSED
from strnet_core.engines.benchmark import GFLOP_PER_IMAGE, SaliencyPrice, Times, engine_pass
from strnet_core.engines.machine import processor
from strnet_core.engines.profiles import Arithmetic, Profile

GRAD_CAM = "grad-cam package, full Grad-CAM"
SURVEY = "decode, preprocess, count and measure knees, uncompressed"
Line = tuple[str, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplication:
    """A pass that measures the machine's limit."""

    arithmetic: Arithmetic
    device: str
    gigaflop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the names of the passes stand for."""

    profiles: tuple[Profile, ...]
    batches: tuple[int, ...]
    multiplications: dict[str, Multiplication] = field(default_factory=dict)
    prices: list[SaliencyPrice] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """Pass by short name of the transfer syntax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times of all passes and what follows from them: speeds of the best times, overheads compared within each round."""

    plan: Plan
    times: dict[str, Times]

    def document(self) -> dict[str, object]:
        """For JSON; null where something was not measured or cannot be."""
        overheads = self.saliency_overheads()
        return {
            "processor": processor(),
            "ms_per_image": {
                profile.name: {str(batch): self._per_image(profile, batch) for batch in self.plan.batches} for profile in self.plan.profiles
            },
            "gemm_gflops": {each: self.limit(each, "cpu") for each in ("float32", "bfloat16")},
            "gemm_gflops_cuda": {each: self.limit(each, "cuda") for each in ("float32", "bfloat16")},
            "gflops": {profile.name: self.gflops(profile) for profile in self.plan.profiles},
            "saliency_overhead": max(overheads.values(), default=None),
            "saliency_overhead_by_engine": overheads,
            "full_gradcam_overhead": self.grad_cam_overhead(),
            "overheads_are": "ratio - 1, to the network alone, median over the rounds",
            "decode_preprocess_ms": self._decode_ms().get(UNCOMPRESSED),
            "decode_preprocess_ms_by_syntax": self._decode_ms(),
            "decode_survey_ms": self.times[SURVEY].median if SURVEY in self.times else None,
        }

    def lines(self) -> Iterator[Line]:
        """For the table: name, median, best, and where they mean something GFLOP/s and images/s."""
        batches = {engine_pass(profile.name, batch): batch for profile in self.plan.profiles for batch in self.plan.batches}
        for name, times in self.times.items():
            batch = batches.get(name)
            work = GFLOP_PER_IMAGE * batch if batch is not None else None
            if name in self.plan.multiplications:
                work = self.plan.multiplications[name].gigaflop
            speed = None if work is None else f"{work / times.best * 1000.0:.0f}"
            yield name, f"{times.median:.2f}", f"{times.best:.2f}", speed, None if batch is None else f"{batch / times.best * 1000.0:.2f}"

    def remarks(self) -> Iterator[str]:
        """What the table does not say by itself."""
        for profile in self.plan.profiles:
            limit, reached = self.limit(profile.arithmetic, profile.device), self.gflops(profile)
            if limit is not None and reached is not None:
                yield f"{profile.name}: {reached:.0f} GFLOP/s, {reached / limit:.0%} of the machine's matrix multiplication"
        for name, overhead in self.saliency_overheads().items():
            yield f"{name}: the saliency adds {overhead:.1%} to the network"
        full = self.grad_cam_overhead()
        if full is not None:
            yield f"full Grad-CAM by the package adds {full:.0%} to the network"

    def gflops(self, profile: Profile) -> float | None:
        """The most over all batches."""
        times = [(batch, self.times.get(engine_pass(profile.name, batch))) for batch in self.plan.batches]
        return max((GFLOP_PER_IMAGE * batch / each.best * 1000.0 for batch, each in times if each is not None), default=None)

    def limit(self, arithmetic: str, device: str) -> float | None:
        """GFLOP/s of the best library's multiplication."""
        speeds = [
            each.gigaflop / self.times[name].best * 1000.0
            for name, each in self.plan.multiplications.items()
            if each.arithmetic == arithmetic and each.device == device
        ]
        return max(speeds, default=None)

    def saliency_overheads(self) -> dict[str, float]:
        """By engine: how much longer the network takes with its saliency, as ratio - 1."""
        return {
            price.without.partition(",")[0]: self.times[price.with_saliency].over(self.times[price.without]) - 1.0
            for price in self.plan.prices
        }

    def grad_cam_overhead(self) -> float | None:
        """The package's Grad-CAM against torch's network alone, as ratio - 1."""
        if GRAD_CAM not in self.times or not self.plan.prices:
            return None
        return self.times[GRAD_CAM].over(self.times[self.plan.prices[0].without]) - 1.0

    def _per_image(self, profile: Profile, batch: int) -> dict[str, float] | None:
        times = self.times.get(engine_pass(profile.name, batch))
        return None if times is None else {"median": times.median / batch, "best": times.best / batch}

    def _decode_ms(self) -> dict[str, float]:
        return {name: self.times[each].median for name, each in self.plan.files.items()}
