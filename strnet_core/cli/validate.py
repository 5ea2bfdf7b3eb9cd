"""`strnet validate`: a gateway's export beside the hospital's DXA results."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strnet_core.cli.console import OUT, PROGRESS, remedy_instead_of_traceback, table

if TYPE_CHECKING:
    from strnet_core.evaluation.dxa import SiteRule
    from strnet_core.evaluation.dxa_join import Joined
    from strnet_core.evaluation.validation import Validation

_DEFAULT_SITES = "lumbar_spine,total_hip,femoral_neck"
_PREDICTIONS_NAME = "predictions.csv"


def validate(
    export: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV of `strnet-gateway audit export`.")],
    dxa: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="CSV: patient_id, date, site, t_score; docs/validation.md.")],
    window_days: Annotated[int, typer.Option(min=0, max=3650, help="A DXA counts within so many days before or after the image.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Write report.html, report.json and predictions.csv here.")],
    *,
    site_rule: Annotated[str, typer.Option(help="lowest T-score of the sites; complete: only where all of them were measured")] = "lowest",
    sites: Annotated[str, typer.Option(help="Sites that count, by commas, as the DXA table names them.")] = _DEFAULT_SITES,
    issuer: Annotated[str, typer.Option(help="Issuer of patient ids of DXA rows that name none.")] = "",
    key_file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The key that the export was made with.")] = None,
    bundle: Annotated[str, typer.Option(help="The bundle whose hash begins so, where the export has several.")] = "",
    prevalence: Annotated[list[float] | None, typer.Option(min=0.001, max=0.999, help="Local prevalence; repeatable.")] = None,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Of the bootstrap, for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 42,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Evaluate a bundle on the hospital's own patients, by patient. Thresholds are proposed, and nothing is changed.

    Exit code 1 where the tables cannot be used or too few patients are left.
    """
    from strnet_core.evaluation import EvaluationSettings, evaluate, write_predictions, write_report
    from strnet_core.evaluation.bootstrap import Resampling
    from strnet_core.evaluation.dxa import read_dxa
    from strnet_core.evaluation.dxa_join import join
    from strnet_core.evaluation.prevalence import DEFAULT_PREVALENCES
    from strnet_core.evaluation.report import Source, report_document
    from strnet_core.evaluation.site_export import read_site_export
    from strnet_core.evaluation.validation import JoinRule, dxa_file, validation_of

    rule = JoinRule(window_days=window_days, sites=_names(sites), rule=_rule(site_rule))
    key = None if key_file is None else key_file.read_bytes().strip()
    with remedy_instead_of_traceback():
        with PROGRESS.status("joining"):
            found = read_site_export(export, bundle)
            reference = read_dxa(dxa, rule.sites, rule.rule, issuer=issuer)
            joined = join(found, reference, window_days=window_days, key=key)
        # before anything can be refused: why so few are left is what a site has to know then
        _tell_join(joined)
        out.mkdir(parents=True, exist_ok=True)
        write_predictions(out / _PREDICTIONS_NAME, joined.cases)
        settings = EvaluationSettings(
            threshold=found.threshold,
            threshold_origin="the bundle's, by which the gateway decided",
            prevalences=tuple(prevalence or DEFAULT_PREVALENCES),
            resampling=Resampling(replicates=resamples, seed=seed),
        )
        with PROGRESS.status("measuring"):
            measured = evaluate(joined.cases, settings)
            profiles = sorted({knee.engine_profile for knee in found.knees if knee.engine_profile})
            source = Source(name=export.name, sha256=_sha256(export), bundle_hash=found.bundle_hash, profile=", ".join(profiles))
            told = validation_of(found, joined, rule, dxa_file(dxa.name, _sha256(dxa), reference), measured)
            written = write_report(out, measured, source, validation=told)
    if as_json:
        document: dict[str, Any] = report_document(measured, source, validation=told)
        sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
        return
    _print(told)
    for note in measured.notes:
        OUT.print(f"note: {note}", style="yellow", markup=False, highlight=False)
    for path in written:
        OUT.print(str(path), markup=False, highlight=False)


def _names(sites: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in sites.split(",") if name.strip())
    if not found:
        raise typer.BadParameter("names no site", param_hint="--sites")
    return found


def _rule(name: str) -> SiteRule:
    if name == "lowest":
        return "lowest"
    if name == "complete":
        return "complete"
    raise typer.BadParameter("lowest or complete", param_hint="--site-rule")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tell_join(joined: Joined) -> None:
    rows: list[dict[str, str | int | bool | None]] = [{"left out because": step.reason, "knees": step.left_out} for step in joined.flow]
    patients = len({case.patient_id for case in joined.cases})
    PROGRESS.print(f"{len(joined.cases)} of {joined.knees} knees joined, of {patients} patients")
    PROGRESS.print(table(("left out because", "knees"), rows))


def _print(told: Validation) -> None:
    from strnet_core.evaluation.report import figure

    ages, proposed = told.intended_ages, told.proposal
    OUT.print(f"bundle {told.bundle_hash}", markup=False, highlight=False)
    OUT.print(f"{ages.from_years} and over: {ages.with_bone_loss} with bone loss, {ages.normal} normal", highlight=False)
    for name, shown in (("AUROC", ages.auroc), ("sensitivity", ages.sensitivity), ("specificity", ages.specificity)):
        OUT.print(f"  {name} {figure(shown)}", markup=False, highlight=False)
    OUT.print(
        f"threshold in use {proposed.in_use:.4g}; the search proposes {proposed.threshold:.2f} (sensitivity {proposed.sensitivity:.3f}, "
        f"specificity {proposed.specificity:.3f} on these very patients). Nothing was changed.",
        highlight=False,
    )
    for note in told.notes:
        OUT.print(f"note: {note}", style="yellow", markup=False, highlight=False)
