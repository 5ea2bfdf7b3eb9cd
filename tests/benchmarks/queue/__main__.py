"""A table of both measurements, and one last line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

from strnet_core.engines.demonstration import create_demonstration_bundle
from tests.benchmarks.queue import claims, images
from tests.benchmarks.queue.claims import Costs
from tests.benchmarks.queue.images import Run

_FLAT = 2.0


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="strnet-bench-queue-", dir=options.folder))
    try:
        costs = claims.measure(folder, options.jobs, rounds=options.rounds, claims=options.claims) if options.jobs else {}
        _print_costs(costs)
        runs = _images(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(_summary(costs, runs)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-queue", description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1_000, 100_000, 1_000_000], help="finished jobs in the table")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--claims", type=int, default=25, help="per round")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("build"), help="on a real file system: memory would make fsync free")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    options.folder = options.folder.resolve()
    return options


def _images(folder: Path, options: argparse.Namespace) -> list[Run]:
    if not options.workers:
        return []
    create_demonstration_bundle(folder / "bundle")
    found = []
    for workers in options.workers:
        (folder / str(workers)).mkdir()
        found.append(images.measure(folder / str(workers), folder / "bundle", workers=workers, images=options.images))
        _print_run(found[-1])
    return found


def _print_costs(costs: dict[str, dict[int, Costs]]) -> None:
    for database, by_size in costs.items():
        print(f"\n{database}: median ms per call (fastest tenth)")
        for size, cost in by_size.items():
            figures = "  ".join(f"{what} {cost.ms(what):.3f} ({cost.undisturbed_ms(what):.3f})" for what in cost.calls)
            print(f"  {size:>9} finished  {figures}  ({1000 / cost.ms('claim'):.0f} claims/s)", flush=True)


def _print_run(run: Run) -> None:
    idle = ", ".join(f"{100 * share:.1f} %" for share in run.idle)
    print(
        f"\n{run.workers} worker(s), {run.images} images, {os.cpu_count()} cores: {run.images_per_s:.2f} images/s,"
        f" engine idle while jobs waited: {idle}, largest batch {run.largest_batch}",
        flush=True,
    )


def _ratio(by_size: dict[int, Costs], what: str) -> float:
    """Dearest by cheapest over the sizes, of the fastest tenths."""
    costs = [cost.undisturbed_ms(what) for cost in by_size.values()]
    return round(max(costs) / min(costs), 2)


def _summary(costs: dict[str, dict[int, Costs]], runs: list[Run]) -> dict[str, object]:
    return {
        "claim_ms": {name: {str(size): round(cost.ms("claim"), 3) for size, cost in found.items()} for name, found in costs.items()},
        "claims_per_s": {
            name: {str(size): round(1000 / cost.ms("claim")) for size, cost in found.items()} for name, found in costs.items()
        },
        "idle_look_ms": {
            name: {str(size): round(cost.ms("idle look"), 3) for size, cost in found.items()} for name, found in costs.items()
        },
        "ratio_claim": {name: _ratio(found, "claim") for name, found in costs.items()},
        "ratio_idle_look": {name: _ratio(found, "idle look") for name, found in costs.items()},
        "flat": None if not costs else all(_ratio(found, what) <= _FLAT for found in costs.values() for what in ("claim", "idle look")),
        "images_per_s": {str(run.workers): round(run.images_per_s, 2) for run in runs},
        "engine_idle_share": {str(run.workers): [round(share, 3) for share in run.idle] for run in runs},
    }


if __name__ == "__main__":
    raise SystemExit(main())
