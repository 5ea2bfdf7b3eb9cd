"""Print the table; last line JSON. Exit 0: nothing beyond what is allowed; 1: something; 2: the other decoders are not here."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import CASES

from .comparison import Row, compare
from .peers import missing
from .samples import SYNTAXES, combinations, make, real


def rows(folder: Path, cases: Path) -> Iterator[Row]:
    """Every synthetic sample, then the real cases where they are."""
    for syntax in SYNTAXES:
        for bits, signed, photometric in combinations(syntax):
            yield compare(make(folder, syntax, bits, signed=signed, photometric=photometric))
    if cases.is_dir():
        yield from (compare(sample) for sample in real(cases))


def line(row: Row) -> str:
    values = f"{row.bits:>4}  {'signed' if row.signed else 'unsigned':<8}  {row.photometric:<11}"
    differ = f"{row.differing:>9}  {row.largest:>7}  {'lossy' if row.lossy else 'lossless':<8}"
    return f"{row.syntax:<22}  {values}  {'+'.join(row.compared):<21}  {differ}  {'ok' if row.passed else 'WRONG'}"


def main() -> int:
    absent = missing()
    if absent:
        sys.stderr.write(f"decoders are missing: {', '.join(absent)}; bash tests/peers/install.sh\n")
        return 2
    print("transfer syntax         bits  sign      photometric  compared with          differing  largest  kind")
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        for row in rows(Path(temporary), CASES):
            found.append(row)
            print(line(row) + ("" if row.name.startswith(row.syntax) else f"  {row.name}"), flush=True)
    lossless, lossy = ([row for row in found if row.lossy is kind] for kind in (False, True))
    summary = {
        "files": len(found),
        "wrong": sum(not row.passed for row in found),
        "lossless_files": len(lossless),
        "lossless_differing_pixels": sum(row.differing for row in lossless),
        "lossy_files": len(lossy),
        "lossy_largest_difference_to_14_bits": max(row.largest for row in lossy if row.bits <= 14),
        "lossy_largest_difference_16_bits": max((row.largest for row in lossy if row.bits > 14), default=0),
        "syntaxes": len({row.syntax for row in found}),
    }
    print(json.dumps(summary))
    return 1 if summary["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
