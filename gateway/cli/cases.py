"""`strnet-gateway audit cases`, and how a case is told."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.story import CaseStory
from gateway.store.case_stories import list_cases

_SAID: Final = ("code", "reason", "calling_ae_title", "destination", "release", "count")


def cases(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option(help="At most so many, the last ones.", min=1)] = 200,
    json: JsonOption = False,
) -> None:
    """Corrections that came in: each case with its state. Exit code 1 while one is held for a person."""
    with open_database(load_settings(config)) as database:
        found = list_cases(database, limit=limit)
    if json:
        print_json(found)
    else:
        rows = [
            (c.case_id, c.opened_at, c.opened_by, c.reason, c.state, len({image.sop_instance_uid for image in c.images}), c.waits_for)
            for c in found
        ]
        print_table("Cases", ("case", "opened (UTC)", "by", "reason", "state", "images", "not here yet"), rows, whole=("case", "state"))
    raise typer.Exit(1 if any(c.state == "held" for c in found) else 0)


def print_case(case: CaseStory) -> None:
    """One line for each thing that happened. Times are UTC."""
    print(f"case {case.case_id}: {case.reason}, {case.state}, opened {case.opened_at:%F %T} UTC by {case.opened_by or 'an unknown sender'}")
    for entry in case.events:
        detail = entry.detail
        named = detail.get("sop_instance_uid") or detail.get("study_instance_uid") or ""
        said = ", ".join(str(detail[key]) for key in _SAID if detail.get(key) not in (None, case.case_id))
        print(f"  {entry.at:%F %T} UTC {entry.event:<24} {short(str(named))}{f': {said}' if said else ''}")
    for image in case.images:
        if image.instance_id is None:
            print(f"  {image.role}, not here yet: {image.sop_instance_uid} ({image.reason})")
