"""`strnet evaluate`: how good predictions are."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, device_named, remedy_instead_of_traceback, table
from strnet_core.cli.evaluate_counts import print_counts, print_published

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strnet_core.evaluation import Case, Evaluation, EvaluationSettings, Source

_MANY = 10
_RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
_PREDICTIONS_NAME = "predictions.csv"


def evaluate(
    predictions: Annotated[
        Path | None, typer.Argument(dir_okay=False, exists=True, help="CSV of predictions; see docs/evaluation.md.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(file_okay=False, help="Predict with this bundle; needs --images and --labels.")] = None,
    images: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Films: DICOM, PNG, JPEG.")] = None,
    labels: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="CSV: image, patient_id, label_cls, covariates.")] = None,
    counts: Annotated[str | None, typer.Option(help="TP,FN,TN,FP: only what follows from four counts.")] = None,
    totals: Annotated[str | None, typer.Option(help="P,N: what --counts must sum to.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="The paper's printed counts, recomputed.")] = False,
    beside: Annotated[list[Path] | None, typer.Option(exists=True, dir_okay=False, help="More predictions to compare; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Write report.html and report.json here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    unit: Annotated[str, typer.Option(help="patient or image")] = "patient",
    threshold: Annotated[float | None, typer.Option(min=0.01, max=0.99, help="Score 0..1; else the bundle's, else it is searched.")] = None,
    threshold_from: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The threshold that another cohort's report.json has searched.")
    ] = None,
    severity_threshold: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Severity score 0..1; else the bundle's, else 0.5.")
    ] = None,
    prevalence: Annotated[list[float] | None, typer.Option(min=0.001, max=0.999, help="Local prevalence; repeatable.")] = None,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Of the bootstrap, for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 42,
    assess_refused: Annotated[bool, typer.Option("--assess-refused", help="Also knees that quality flags refuse.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch, openvino or a profile")] = "auto",
    reports: Annotated[Path | None, typer.Option(file_okay=False, help="Equivalence reports, for profiles besides the reference.")] = None,
) -> None:
    """Evaluate a table of predictions, a bundle on labelled films, or printed counts.

    Exit code 1 where the cases cannot be evaluated, or a labelled film is missing or unreadable.
    """
    _one_of(predictions, bundle, counts, paper=paper)
    if threshold is not None and threshold_from is not None:
        raise typer.BadParameter("give --threshold or --threshold-from", param_hint="--threshold-from")
    tables = _named([path for path in (predictions or labels, *(beside or ())) if path is not None])
    from strnet_core.evaluation.bootstrap import Resampling

    resampling = Resampling(replicates=resamples, seed=seed)
    if paper or counts is not None:
        with remedy_instead_of_traceback():
            if counts is None:
                print_published(resampling, as_json=as_json)
            else:
                print_counts(counts, totals, resampling, as_json=as_json)
        return
    from strnet_core.evaluation import EvaluationSettings
    from strnet_core.evaluation.prevalence import DEFAULT_PREVALENCES

    settings = EvaluationSettings(
        unit=_unit(unit),
        threshold=threshold,
        severity_threshold=severity_threshold if severity_threshold is not None else 0.5,
        prevalences=tuple(prevalence or DEFAULT_PREVALENCES),
        resampling=resampling,
    )
    with remedy_instead_of_traceback():
        if bundle is None:
            rows, source = _read(predictions or Path())
        else:
            if images is None or labels is None:
                raise typer.BadParameter("needs --images and --labels", param_hint="--bundle")
            opened = _Opened(bundle, engine, device, reports)
            rows = opened.predict(labels, images, assess_refused=assess_refused)
            source = opened.source(labels)
            settings = opened.thresholds(settings, severity_given=severity_threshold is not None)
        if threshold_from is not None:
            settings = _borrowed(settings, threshold_from, source)
        _report(rows, settings, source, out, tables, as_json=as_json, keep_predictions=bundle is not None)
    if bundle is not None and _lost(rows):
        raise typer.Exit(1)


def _one_of(predictions: Path | None, bundle: Path | None, counts: str | None, *, paper: bool) -> None:
    given = [predictions is not None, bundle is not None, counts is not None, paper]
    if sum(given) != 1:
        raise typer.BadParameter("give one of: a CSV of predictions, --bundle, --counts, --paper")


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Tables by their paths below the folder that holds all of them, so that those of two runs differ in name."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise typer.BadParameter("a table stands beside itself", param_hint="--beside")
    shared = os.path.commonpath([path.parent for path in resolved]) if resolved else ""
    return {path.relative_to(shared).as_posix(): path for path in resolved}


def _unit(name: str) -> Literal["patient", "image"]:
    if name == "patient":
        return "patient"
    if name == "image":
        return "image"
    raise typer.BadParameter("patient or image", param_hint="--unit")


def _read(path: Path) -> tuple[tuple[Case, ...], Source]:
    from strnet_core.evaluation import read_predictions
    from strnet_core.evaluation.report import source_of

    return read_predictions(path), source_of(path)


def _borrowed(settings: EvaluationSettings, report: Path, source: Source) -> EvaluationSettings:
    """A threshold that was searched on other people is not optimistic here."""
    from dataclasses import replace

    from strnet_core.evaluation.searched_threshold import read_searched

    found = read_searched(report, besides_sha256=source.sha256)
    return replace(settings, threshold=found.threshold, threshold_origin=found.origin)


class _Opened:
    """A bundle with its engine, while films are predicted."""

    def __init__(self, folder: Path, engine: str, device: str, reports: Path | None) -> None:
        from strnet_core.bundle import load_bundle
        from strnet_core.engines.choose import open_engine

        chosen = device_named(device)
        with PROGRESS.status("opening the bundle"):
            self._bundle = load_bundle(folder)
            self._engine = open_engine(self._bundle, engine, device=chosen, reports=reports)

    def predict(self, labels: Path, images: Path, *, assess_refused: bool) -> tuple[Case, ...]:
        """A case per knee, with a progress bar over the films."""
        from strnet_core.evaluation import read_labels
        from strnet_core.evaluation.bundle_cases import predict_films

        films = read_labels(labels)
        found = predict_films(films, images, self._bundle, self._engine, refuse=not assess_refused)
        shown = track(found, "assessing", total=len(films), console=PROGRESS, transient=True, disable=len(films) < _MANY)
        return tuple(case for film in shown for case in film)

    def source(self, labels: Path) -> Source:
        """What was evaluated, by its hashes."""
        from strnet_core.evaluation.report import source_of

        return source_of(labels, self._bundle, self._engine.profile)

    def thresholds(self, settings: EvaluationSettings, *, severity_given: bool) -> EvaluationSettings:
        """The bundle's, where none was given."""
        from dataclasses import replace

        if settings.threshold is None and self._bundle.screening_threshold is not None:
            origin = f"the bundle's: {self._bundle.threshold_origin or 'origin not stated'}"
            settings = replace(settings, threshold=self._bundle.screening_threshold, threshold_origin=origin)
        if not severity_given and self._bundle.severity_threshold is not None:
            settings = replace(settings, severity_threshold=self._bundle.severity_threshold)
        return settings


def _report(
    rows: tuple[Case, ...],
    settings: EvaluationSettings,
    source: Source,
    out: Path | None,
    tables: Mapping[str, Path],
    *,
    as_json: bool,
    keep_predictions: bool,
) -> None:
    from strnet_core.evaluation import evaluate as measured
    from strnet_core.evaluation import read_predictions, write_predictions, write_report
    from strnet_core.evaluation.comparison import compare
    from strnet_core.evaluation.report import report_document

    if out is not None and keep_predictions:
        # before anything can be refused: the predictions took the time
        out.mkdir(parents=True, exist_ok=True)
        write_predictions(out / _PREDICTIONS_NAME, rows)
    with PROGRESS.status("measuring"):
        found = measured(rows, settings)
        others = [(name, read_predictions(path)) for name, path in list(tables.items())[1:]]
        compared = compare([(next(iter(tables)), rows), *others], settings) if others else ()
        written = () if out is None else write_report(out, found, source, compared)
    if as_json:
        sys.stdout.write(json.dumps(report_document(found, source, compared), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _print(found)
        for path in written:
            OUT.print(str(path), markup=False, highlight=False)


def _print(found: Evaluation) -> None:
    from strnet_core.evaluation.report import figure

    screening = found.screening
    OUT.print(f"{len(found.cohort.cases)} {found.cohort.unit}s: {screening.positives} with bone loss, {screening.negatives} normal")
    OUT.print(f"AUROC {figure(screening.areas.auroc)}\nAUPRC {figure(screening.areas.auprc)}", markup=False, highlight=False)
    if found.within_folds is not None:
        folds = found.within_folds
        each_fold = ", ".join(f"{each.name}: {figure(each.auroc)}" for each in folds.folds)
        OUT.print(f"within folds, mean: AUROC {figure(folds.auroc)}, AUPRC {figure(folds.auprc)}", markup=False, highlight=False)
        OUT.print(f"AUROC of each fold: {each_fold}", markup=False, highlight=False)
    columns = ("", *(point.name if point.threshold is None else f"{point.name} {point.threshold:.4g}" for point in screening.points))
    rows: list[dict[str, str | int | bool | None]] = [
        dict(zip(columns, (rate, *(figure(point.bootstrap[rate]) for point in screening.points)), strict=True)) for rate in _RATES
    ]
    OUT.print(table(columns, rows))
    for each in found.baselines:
        told = f"cannot be measured: {each.missing}" if each.areas is None else figure(each.areas.auroc)
        OUT.print(f"AUROC of {each.name} alone: {told}", markup=False, highlight=False)
    for note in found.notes:
        OUT.print(f"note: {note}", style="yellow", markup=False, highlight=False)


def _lost(rows: tuple[Case, ...]) -> bool:
    """Says how many labelled films were not there or could not be read."""
    from strnet_core.evaluation.bundle_cases import is_lost

    lost = sum(map(is_lost, rows))
    if lost:
        PROGRESS.print(f"{lost} labelled films are missing or unreadable; the report's flow counts them", style="red", markup=False)
    return lost > 0
