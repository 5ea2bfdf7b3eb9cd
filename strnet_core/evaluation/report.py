"""The report as files: one HTML page that needs nothing else, and the same as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strnet_core.errors import EvaluationError, ResearchExtraMissingError
from strnet_core.evaluation.characteristics import Summary
from strnet_core.evaluation.comparison import Compared, spreads
from strnet_core.evaluation.document import document, plain
from strnet_core.evaluation.estimate import Estimate
from strnet_core.evaluation.evaluation import Evaluation
from strnet_core.evaluation.plots import plots
from strnet_core.evaluation.validation import Validation

if TYPE_CHECKING:
    from strnet_core.bundle import ModelBundle

_RATE_NAMES = {"ppv": "PPV", "npv": "NPV", "balanced_accuracy": "balanced accuracy", "f1": "F1", "youden": "Youden's J", "mcc": "MCC"}
HTML_NAME, JSON_NAME = "report.html", "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where predictions come from."""

    name: str
    """Of the table of predictions or labels."""
    sha256: str
    """Of that file (hex)."""
    bundle_version: str = ""
    bundle_hash: str = ""
    weights_sha256: str = ""
    profile: str = ""
    """How the network was computed."""


def source_of(path: Path, bundle: ModelBundle | None = None, profile: str = "") -> Source:
    """Of a file that exists, and the bundle that predicted, if one did."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if bundle is None:
        return Source(name=path.name, sha256=digest)
    return Source(
        name=path.name,
        sha256=digest,
        bundle_version=bundle.version,
        bundle_hash=bundle.bundle_hash,
        weights_sha256=bundle.weights_sha256,
        profile=profile,
    )


def report_document(
    evaluation: Evaluation, source: Source, compared: tuple[Compared, ...] = (), *, validation: Validation | None = None
) -> dict[str, Any]:
    """What report.json holds."""
    found = {"software": f"strnet-gateway {version('strnet-gateway')}", "source": plain(source), **document(evaluation)}
    if validation is not None:
        found["validation"] = plain(validation)
    return {**found, "compared": plain(compared), "compared_spread": plain(spreads(compared))} if compared else found


def write_report(
    folder: Path, evaluation: Evaluation, source: Source, compared: tuple[Compared, ...] = (), *, validation: Validation | None = None
) -> tuple[Path, Path]:
    """report.html and report.json in a folder, made if need be; both written anew. Raises EvaluationError, ResearchExtraMissingError."""
    told = report_document(evaluation, source, compared, validation=validation)
    page = render(evaluation, source, told["software"], compared, validation=validation)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html, values = folder / HTML_NAME, folder / JSON_NAME
        html.write_text(page, encoding="utf-8")
        values.write_text(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"the report cannot be written: {type(error).__name__}") from error
    return html, values


def render(
    evaluation: Evaluation, source: Source, software: str, compared: tuple[Compared, ...] = (), *, validation: Validation | None = None
) -> str:
    """The HTML page: plots as data, no script, nothing fetched. Raises ResearchExtraMissingError."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ResearchExtraMissingError("jinja2") from error
    # no loader: the one template is a text, and every value in it is escaped
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(figure=figure, number=number, summary=summary, share=_share, rate=rate_name, threshold="{:.4g}".format)
    text = files("strnet_core.evaluation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    pictures = {name: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode() for name, svg in plots(evaluation).items()}
    return environment.from_string(text).render(
        e=evaluation, source=source, software=software, plots=pictures, compared=compared, spreads=spreads(compared), v=validation
    )


def figure(shown: Estimate | None, decimals: int = 3) -> str:
    """`0.904 (0.843 to 0.943), 123/136`, or why there is no figure."""
    if shown is None:
        return "-"
    if shown.value is None:
        return f"cannot be measured: {shown.missing}"
    text = f"{shown.value:.{decimals}f}"
    if shown.low is not None and shown.high is not None:
        text += f" ({shown.low:.{decimals}f} to {shown.high:.{decimals}f})"
    return text if shown.denominator is None else f"{text}, {shown.numerator}/{shown.denominator}"


def rate_name(name: str) -> str:
    """As readers write it."""
    return _RATE_NAMES.get(name, name)


def number(value: float | None, decimals: int = 3) -> str:
    """A dash where there is none."""
    return "-" if value is None else f"{value:.{decimals}f}"


def summary(shown: Summary) -> str:
    """`62.7 ± 12.0`, or `26 (37.7 %)`."""
    if shown.n == 0:
        return "-"
    if shown.count is not None:
        return f"{shown.count} ({100.0 * shown.count / shown.n:.1f} %)"
    return f"{shown.mean:.2f} ± {shown.sd:.2f}" if shown.sd is not None else f"{shown.mean:.2f}"


def _share(k: int, n: int) -> str:
    return f"{100.0 * k / n:.1f} %" if n else "-"
