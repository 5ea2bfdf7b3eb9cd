"""Which way to compute is taken, and the one door to an engine for whoever makes results.

The rule. The reference (`torch-cpu-float32`) may always be used. Any other profile needs a stored equivalence report that passed,
for this bundle, this processor (and card) and these library versions. `auto` takes the fastest of what may be used, speed being
that of the report, side by side with the reference; so without reports `auto` is the reference, also on a machine with a card.
What is asked for by name, engine or device and may not be used is an error, never replaced by something else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from strnet_core.bundle import ModelBundle
from strnet_core.engines.base import Engine
from strnet_core.engines.machine import has_bfloat16, this_machine
from strnet_core.engines.profiles import ALL_PROFILES, REFERENCE, Profile, profile_named
from strnet_core.engines.reports import mismatch, read_report, report_file
from strnet_core.errors import DeviceUnavailableError, EquivalenceMissingError, EquivalenceReportError, ProfileUnavailableError

DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the stored reports say about the profiles of a machine."""

    time_share: Mapping[Profile, float] = field(default_factory=dict)
    """Of the profiles that passed: their time per image as a share of the reference's in the same run."""
    refused: Mapping[Profile, str] = field(default_factory=dict)
    """Of the others: why."""


def open_engine(
    bundle: ModelBundle,
    engine: str = "auto",
    *,
    device: DeviceChoice = "auto",
    threads: int | None = None,
    reports: Path | None = None,
    allow_cpu_fallback: bool = True,
) -> Engine:
    """The engine that the rule gives: `auto`, `torch`, `openvino` or a profile's name, on `auto`, `cpu` or `cuda`.

    `allow_cpu_fallback`: where the card's memory is too small for one image, the reference computes it, and the prediction says so.
    Raises EquivalenceMissingError, EquivalenceReportError, ProfileUnavailableError, DeviceUnavailableError, BundleError subclasses.
    """
    asked = wanted(engine, device)
    available = available_profiles(asked) if asked != (REFERENCE,) else asked
    evidence = read_evidence(bundle.bundle_hash, available, reports)
    return open_profile(bundle, choose(engine, device, available, evidence), threads, allow_cpu_fallback=allow_cpu_fallback)


def wanted(engine: str, device: DeviceChoice) -> tuple[Profile, ...]:
    """The profiles that fit the words, on any machine. Raises ProfileUnavailableError where none does."""
    named = ALL_PROFILES if engine in ("auto", "torch", "openvino") else (profile_named(engine),)
    fitting = tuple(profile for profile in named if engine in ("auto", profile.engine, profile.name) and device in ("auto", profile.device))
    if not fitting:
        raise ProfileUnavailableError(f"{engine} on {device}")
    return fitting


def choose(engine: str, device: DeviceChoice, available: Collection[Profile], evidence: Evidence) -> Profile:
    """The profile that the rule of this module gives. Pure.

    Raises ProfileUnavailableError, DeviceUnavailableError and EquivalenceMissingError.
    """
    asked = wanted(engine, device)
    candidates = [profile for profile in asked if profile in available]
    if not candidates:
        if all(profile.device == "cuda" for profile in asked):
            raise DeviceUnavailableError("cuda")
        raise ProfileUnavailableError(f"{engine} on {device}")
    shares = {profile: evidence.time_share[profile] for profile in candidates if profile in evidence.time_share}
    if REFERENCE in candidates:
        shares[REFERENCE] = 1.0
    if not shares:
        told = [f"{profile.name}: {evidence.refused.get(profile, 'no report')}" for profile in candidates]
        raise EquivalenceMissingError("; ".join(told))
    # where two are equally fast the reference is taken
    return min(shares, key=lambda profile: (shares[profile], profile != REFERENCE, profile))


def read_evidence(bundle_hash: str, profiles: Collection[Profile], reports: Path | None) -> Evidence:
    """What the folder of reports says. A damaged report is no evidence; it is told as the reason."""
    shares: dict[Profile, float] = {}
    refused: dict[Profile, str] = {}
    for profile in profiles:
        if profile == REFERENCE:
            continue
        if reports is None:
            refused[profile] = "no folder of reports"
            continue
        try:
            report = read_report(report_file(reports, bundle_hash, profile))
        except EquivalenceReportError as error:
            refused[profile] = str(error)
            continue
        reason = "no report" if report is None else mismatch(report, bundle_hash, this_machine(profile))
        if report is not None and report.profile != profile:
            reason = f"the file holds a report of {report.profile.name}"
        if report is None or reason is not None:
            refused[profile] = reason or "no report"
        else:
            shares[profile] = report.figures.profile_ms / report.figures.reference_ms
    return Evidence(time_share=shares, refused=refused)


def available_profiles(among: Collection[Profile] = ALL_PROFILES) -> tuple[Profile, ...]:
    """Those that this machine computes natively. Imports only the engines that are asked about."""
    return tuple(profile for profile in ALL_PROFILES if profile in among and _runs_here(profile))


def open_profile(bundle: ModelBundle, profile: Profile, threads: int | None = None, *, allow_cpu_fallback: bool = True) -> Engine:
    """An engine of this very profile. Asks for no report: for measuring only; whoever makes results takes `open_engine`.

    Raises DeviceUnavailableError, ProfileUnavailableError and BundleError subclasses.
    """
    if profile.engine == "openvino":
        from strnet_core.engines.openvino_engine import open_openvino_engine

        return open_openvino_engine(bundle, threads, profile.arithmetic)
    from strnet_core.engines.torch_engine import open_torch_engine

    return open_torch_engine(bundle, profile.device, threads, profile.arithmetic, allow_cpu_fallback=allow_cpu_fallback)


def _runs_here(profile: Profile) -> bool:
    if profile.engine == "openvino":
        from strnet_core.engines.openvino_import import is_installed

        if not is_installed():
            return False
        from strnet_core.engines.openvino_engine import arithmetics

        return profile.arithmetic in arithmetics()
    if profile.device == "cuda":
        import torch

        return torch.cuda.is_available() and (profile.arithmetic == "float32" or torch.cuda.is_bf16_supported(including_emulation=False))
    return profile.arithmetic == "float32" or has_bfloat16()
