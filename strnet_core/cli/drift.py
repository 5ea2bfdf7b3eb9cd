"""`strnet drift`: each device's weeks beside its own past."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strnet_core.cli.console import OUT, PROGRESS, remedy_instead_of_traceback, table

if TYPE_CHECKING:
    from strnet_core.evaluation.drift_weeks import DeviceWeek, Drift, Studies


def drift(
    export: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV of `strnet-gateway audit export`.")],
    *,
    weeks: Annotated[
        int, typer.Option(min=1, max=520, help="The last so many weeks are looked at; what lies before is the reference.")
    ] = 8,
    reference_until: Annotated[datetime | None, typer.Option(help="The reference is all before this day.", formats=["%Y-%m-%d"])] = None,
    minimum: Annotated[int, typer.Option(min=5, help="Weeks with fewer studies of a device are not tested.")] = 20,
    minimum_reference: Annotated[int, typer.Option(min=30, help="Nor are devices with fewer assessed studies before.")] = 100,
    false_discoveries: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Share of false ones among a week's alarms.")] = 0.01,
    bundle: Annotated[str, typer.Option(help="The bundle whose hash begins so, where the export has several.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Flagged share, refusals and scores by device and week, with limits that know how many studies there are.

    Exit code 1 when a device's last two tested weeks both alarm.
    """
    from strnet_core.evaluation.drift_weeks import DriftSettings
    from strnet_core.evaluation.drift_weeks import drift as found_drift
    from strnet_core.evaluation.site_export import read_site_export

    settings = DriftSettings(
        weeks=weeks,
        reference_until=None if reference_until is None else reference_until.date(),
        minimum=minimum,
        minimum_reference=minimum_reference,
        false_discoveries=false_discoveries,
    )
    with remedy_instead_of_traceback(), PROGRESS.status("measuring"):
        found = found_drift(read_site_export(export, bundle).knees, settings)
    if as_json:
        sys.stdout.write(json.dumps(_document(found), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print(found)
    raise typer.Exit(1 if found.persistent else 0)


def _document(found: Drift) -> dict[str, Any]:
    """Without the scores of single studies."""
    names = ("manufacturer", "model", "station")
    weeks = [
        {
            **{name: getattr(week, name) for name in names},
            "monday": week.monday.isoformat(),
            "studies": _counts(week.studies),
            "reference": _counts(week.reference),
            "flagged_limits": None if week.flagged_limits is None else list(week.flagged_limits),
            "p": dict(week.p),
            "alarms": list(week.alarms),
            "untested": week.untested,
        }
        for week in found.weeks
    ]
    settings = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(found.settings).items()}
    persistent = [dict(zip((*names, "stream"), one, strict=True)) for one in found.persistent]
    return {
        "reference_until": found.reference_until.isoformat(),
        "settings": settings,
        "without_date": found.without_date,
        "weeks": weeks,
        "persistent": persistent,
    }


def _counts(studies: Studies) -> dict[str, Any]:
    return {
        "n": studies.n,
        "flagged": studies.flagged,
        "refused": studies.refused,
        "score_quantiles": [round(value, 2) for value in studies.score_quantiles],
    }


def _print(found: Drift) -> None:
    columns = ("week of", "device", "studies", "flagged", "no alarm", "before", "refused", "before ", "scores 10/50/90 %", "alarms")
    rows: list[dict[str, str | int | bool | None]] = [dict(zip(columns, _row(week), strict=True)) for week in found.weeks]
    OUT.print(table(columns, rows))
    if found.without_date:
        OUT.print(f"{found.without_date} knees of studies without a date are in no week")
    for manufacturer, model, station, stream in found.persistent:
        device = " ".join(part for part in (manufacturer, model, station) if part) or "unnamed"
        OUT.print(f"drift: {device}: {stream}, two weeks running", style="red", markup=False, highlight=False)


def _row(week: DeviceWeek) -> tuple[str | int, ...]:
    now, before = week.studies, week.reference
    return (
        week.monday.isoformat(),
        " ".join(part for part in week.device if part) or "unnamed",
        now.n,
        f"{now.flagged}/{now.assessed}",
        "" if week.flagged_limits is None else "{} to {}".format(*week.flagged_limits),
        f"{before.flagged}/{before.assessed}",
        f"{now.refused}/{now.n}",
        f"{before.refused}/{before.n}",
        "/".join(f"{value:.0f}" for value in now.score_quantiles),
        " ".join(week.alarms) or (f"not tested: {week.untested}" if week.untested else "none"),
    )
