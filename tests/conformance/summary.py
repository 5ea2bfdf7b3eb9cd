"""What the validators said, for a reader: validator by validator, errors one by one, warnings by kind with why they remain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from .validators import VALIDATORS, Verdict, kind_of, reason_of


def by_validator(verdicts: Iterable[Verdict]) -> Iterator[str]:
    verdicts = list(verdicts)
    for validator in VALIDATORS:
        errors = [(verdict.file.name, line) for verdict in verdicts for name, line in verdict.errors if name == validator]
        warnings = [line for verdict in verdicts for name, line in verdict.warnings if name == validator]
        yield f"{validator}: {len(errors)} errors, {len(warnings)} warnings"
        yield from (f"    ERROR {file}: {line}" for file, line in errors)
        # the reason is in the words of the whole line, the kind leaves some of them out
        kinds = Counter((kind_of(line), reason_of(line)) for line in warnings)
        yield from (f"    {count} x {kind}\n        remains because {reason}" for (kind, reason), count in kinds.most_common())
