"""Names of the ways to compute: engine, device and arithmetic. Each is a numerical profile of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from strnet_core.errors import ProfileUnavailableError

EngineName = Literal["torch", "openvino"]
DeviceName = Literal["cpu", "cuda"]
Arithmetic = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Profile:
    """One way to compute the network; `name` is what results, reports and settings carry."""

    engine: EngineName
    device: DeviceName
    arithmetic: Arithmetic

    @property
    def name(self) -> str:
        """`engine-device-arithmetic`, e.g. `openvino-cpu-float32`; the arithmetic comes last."""
        return f"{self.engine}-{self.device}-{self.arithmetic}"


REFERENCE = Profile(engine="torch", device="cpu", arithmetic="float32")
"""What every other profile is measured against. It runs everywhere and needs no equivalence report."""

ALL_PROFILES = (
    REFERENCE,
    Profile(engine="torch", device="cpu", arithmetic="bfloat16"),
    Profile(engine="torch", device="cuda", arithmetic="float32"),
    Profile(engine="torch", device="cuda", arithmetic="bfloat16"),
    Profile(engine="openvino", device="cpu", arithmetic="float32"),
    Profile(engine="openvino", device="cpu", arithmetic="bfloat16"),
)


def profile_named(name: str) -> Profile:
    """Raises ProfileUnavailableError for a name that no profile has."""
    for profile in ALL_PROFILES:
        if profile.name == name:
            return profile
    raise ProfileUnavailableError(f"{name!r}; there are {', '.join(profile.name for profile in ALL_PROFILES)}")
