"""`strnet-gateway audit rebuild` and `audit recompute`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, short, watched
from gateway.config import load_settings
from gateway.store.queries import Queries

if TYPE_CHECKING:
    from gateway.workers.rebuild_results import RebuiltResult

KeyArgument = Annotated[
    str, typer.Argument(help="Accession number, or SOP, series or study instance UID; without one, everything.", show_default=False)
]


def rebuild(
    key: KeyArgument = "",
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    into: Annotated[Path | None, typer.Option(help="Write the files made again into this folder, named by SOP Instance UID.")] = None,
    json: JsonOption = False,
) -> None:
    """Make stored results again from what was kept of them and compare the files. Exit code 1 when one is not equal."""
    from gateway.app.recheck import rebuild as rebuilt
    from gateway.workers.rebuild_results import Comparison

    settings = load_settings(config)
    answers: list[RebuiltResult] = []
    with open_database(settings) as database:
        studies = Queries(database).studies(key) if key else None
        for answer in watched(rebuilt(settings, database, studies), "results"):
            answers.append(answer)
            if into is not None and answer.content:
                into.mkdir(parents=True, exist_ok=True)
                (into / f"{answer.sop_instance_uid}.dcm").write_bytes(answer.content)
    if json:
        shown = ("study_instance_uid", "revision", "kind", "sop_instance_uid", "sha256", "rebuilt_sha256", "comparison")
        print_json([{name: getattr(answer, name) for name in shown} for answer in answers])
    else:
        rows = [
            (short(a.study_instance_uid), a.revision, a.kind, a.sha256[:16], (a.rebuilt_sha256 or "-")[:16], a.comparison) for a in answers
        ]
        print_table(
            "Results made again", ("study", "revision", "kind", "stored sha256", "again", "comparison"), rows, whole=("comparison",)
        )
        print(", ".join(f"{name}: {count}" for name, count in sorted(Counter(a.comparison.value for a in answers).items())) or "no results")
    sys.exit(0 if all(answer.comparison is Comparison.EQUAL for answer in answers) else 1)


def recompute(key: KeyArgument = "", config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """Assess images again from the spool and compare with the rows. Exit code 1 when a decision differs, which is an alarm too, or when
    every image was assessed by another bundle or under other settings."""
    from gateway.app.recheck import recompute as recomputed

    settings = load_settings(config)
    with open_database(settings) as database:
        studies = Queries(database).studies(key) if key else None
        answers = list(watched(recomputed(settings, database, studies), "images"))
    compared = [answer for answer in answers if answer is not None]
    if json:
        print_json(compared)
    else:
        rows = [
            (
                short(a.study_instance_uid),
                short(a.sop_instance_uid),
                a.knees,
                " ".join(a.differences) or "none",
                "-" if a.largest_score_difference is None else f"{a.largest_score_difference:.6f}",
            )
            for a in compared
        ]
        print_table("Assessed again", ("study", "instance", "knees", "differences", "score differs by"), rows, whole=("differences",))
        left = len(answers) - len(compared)
        print(f"{len(compared)} images compared" + (f"; {left} were assessed by another bundle or under other settings" if left else ""))
    nothing_to_compare = bool(answers) and not compared
    sys.exit(1 if nothing_to_compare or any(answer.differences for answer in compared) else 0)
