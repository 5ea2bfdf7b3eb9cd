"""`strnet bundle equivalence`: which ways to compute a bundle may be used on this machine."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, BundleFolder, remedy_instead_of_traceback, table
from strnet_core.errors import DecodeError

if TYPE_CHECKING:
    from strnet_core.bundle import PreprocessingSettings
    from strnet_core.engines.profiles import Profile
    from strnet_core.engines.reports import EquivalenceReport
    from strnet_core.preprocessing import UInt8Image


def equivalence(
    folder: BundleFolder,
    reports: Annotated[Path, typer.Option(file_okay=False, help="Where the reports go, and where `open_engine` looks for them.")],
    profile: Annotated[str, typer.Option(help="A profile's name, or all that this machine can run")] = "all",
    images: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Knee radiographs: DICOM, PNG, JPEG.")] = None,
    allowed_flips: Annotated[int, typer.Option(min=0, help="Decisions that may flip next to the threshold.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the processor; without it each engine's own choice.")] = None,
) -> None:
    """Compare ways to compute with the reference, on the golden set and on radiographs; write a report of each.

    Only a profile whose report passed is used for results. Exit code 1 where one fails. The last line is JSON.
    """
    from strnet_core.bundle import load_bundle
    from strnet_core.engines.choose import open_profile
    from strnet_core.engines.equivalence import compare, golden_images, report_on
    from strnet_core.engines.profiles import REFERENCE
    from strnet_core.engines.reports import write_report
    from strnet_core.engines.verification import verify_bundle

    with remedy_instead_of_traceback():
        bundle = load_bundle(folder)
        with PROGRESS.status("opening the engines"):
            reference = open_profile(bundle, REFERENCE, threads)
            others = [open_profile(bundle, each, threads, allow_cpu_fallback=False) for each in _profiles(profile)]
            verify_bundle(bundle, reference)
        seen = _Seen(images, bundle.preprocessing)
        pairs = compare(reference, others, chain(golden_images(bundle), seen.knees()))
        made = [report_on(engine, pairs[engine.profile], bundle, threads=_threads(), allowed_flips=allowed_flips) for engine in others]
        files = [write_report(reports, report) for report in made]
    OUT.print(table(("measured", *(report.profile.name for report in made)), _rows(made)))
    for report in made:
        for reason in report.reasons:
            OUT.print(f"{report.profile.name}: {reason}", style="red", markup=False)
    if seen.unreadable:
        OUT.print(f"left out, unreadable: {', '.join(seen.unreadable)}", markup=False)
    sys.stdout.write(json.dumps(_summary(made, files, seen)) + "\n")
    if not made or not all(report.passed for report in made):
        raise typer.Exit(1)


class _Seen:
    """The films of a folder while they are read."""

    def __init__(self, folder: Path | None, settings: PreprocessingSettings) -> None:
        self._folder = folder
        self._settings = settings
        self.films = 0
        self.unreadable: list[str] = []

    def knees(self) -> Iterator[UInt8Image]:
        """Each knee of each film, with a progress bar over the films; what cannot be read is noted by its file's name."""
        from strnet_core.engines.films import films_in, knees_on

        films = films_in(self._folder) if self._folder is not None else ()
        for film in track(films, "comparing", console=PROGRESS, transient=True, disable=not films):
            try:
                knees = list(knees_on(film, self._settings))
            except DecodeError as error:
                self.unreadable.append(f"{film.name} ({error.code})")
                continue
            self.films += 1
            yield from knees


def _profiles(name: str) -> tuple[Profile, ...]:
    """What is to be compared with the reference. Raises ProfileUnavailableError."""
    from strnet_core.engines.choose import available_profiles
    from strnet_core.engines.profiles import REFERENCE, profile_named
    from strnet_core.errors import ProfileUnavailableError

    if name == "all":
        return tuple(each for each in available_profiles() if each != REFERENCE)
    asked = profile_named(name)
    if asked == REFERENCE or asked not in available_profiles((asked,)):
        raise ProfileUnavailableError(f"{name} cannot be compared with the reference here")
    return (asked,)


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _rows(made: list[EquivalenceReport]) -> list[dict[str, str | int | bool | None]]:
    """One line per figure, one column per profile, the limit behind the figure where there is one."""
    from strnet_core.engines.reports import Figures

    limited = {"max_logit": "logit", "max_score": "score", "max_t_score": "t_score", "max_saliency": "saliency", "max_batch": "batch"}
    rows: list[dict[str, str | int | bool | None]] = []
    for field in dataclasses.fields(Figures):
        row: dict[str, str | int | bool | None] = {"measured": field.name}
        for report in made:
            value = getattr(report.figures, field.name)
            limit = getattr(report.limits, limited[field.name]) if field.name in limited else None
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            row[report.profile.name] = text if limit is None else f"{text} (at most {limit:g})"
        rows.append(row)
    return [*rows, {"measured": "passed", **{report.profile.name: report.passed for report in made}}]


def _summary(made: list[EquivalenceReport], files: list[Path], seen: _Seen) -> dict[str, object]:
    from strnet_core.engines.reports import report_document

    return {
        "films": seen.films,
        "unreadable": len(seen.unreadable),
        "passed": bool(made) and all(report.passed for report in made),
        "reports": [{"file": file.name, **report_document(report)} for file, report in zip(files, made, strict=True)],
    }
