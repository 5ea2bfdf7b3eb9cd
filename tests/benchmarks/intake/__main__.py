"""Interleaved rounds over all servers; a table, what bounds a missed ratio, and one last line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.intake.disk import durable_mb_per_s
from tests.benchmarks.intake.figures import Cell, Round, bound, ratio
from tests.benchmarks.intake.objects import LARGE, SMALL, Load, write_objects
from tests.benchmarks.intake.processes import MemoryWatch, cpu_seconds, machine_cpu_seconds
from tests.benchmarks.intake.sending import send
from tests.benchmarks.intake.servers import STARTERS, Server, start_gateway

LOADS = {"large": LARGE, "small": SMALL}
SERVERS = ["gateway", *STARTERS]
Key = tuple[str, Load, int]
TARGETS = {("dcmtk", 1): 1.5, ("dcmtk", 4): 1.0, ("dcmtk", 16): 1.0, ("orthanc", 1): 2.0, ("orthanc", 4): 1.5, ("orthanc", 16): 1.5}


def main() -> int:
    options = _options()
    scratch = Path(tempfile.mkdtemp(prefix="strnet-bench-", dir=options.folder))
    servers: list[Server] = []
    try:
        for name in options.servers:
            (scratch / name).mkdir()
            starter = STARTERS.get(name)
            servers.append(starter(scratch / name) if starter else start_gateway(scratch / name, processes=options.processes))
            print(f"{name}: port {servers[-1].port}", flush=True)
        cells = _measure(servers, options, scratch)
        disk = {load: durable_mb_per_s(scratch, megabytes=load.megabytes, threads=4) for load in _loads(options)}
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    _print_table(cells, options)
    for load, (rate, fsync) in disk.items():
        print(f"disk, {load.name} by 4 plain threads: {rate:.0f} MB/s durable, median fsync {1000 * fsync:.1f} ms")
    missed = _print_ratios(cells, options, {load: rate for load, (rate, _) in disk.items()})
    print(json.dumps(_summary(cells, options, missed)))
    return 0


def _loads(options: argparse.Namespace) -> list[Load]:
    return [LOADS[name] for name in options.loads]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-intake", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="receiver.processes of the gateway")
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--loads", nargs="+", choices=sorted(LOADS), default=sorted(LOADS))
    parser.add_argument("--folder", type=Path, default=Path("build"), help="on a real file system: memory would make fsync free")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    return options


def _measure(servers: list[Server], options: argparse.Namespace, scratch: Path) -> dict[Key, Cell]:
    found: dict[Key, list[Round]] = defaultdict(list)
    for number in range(-1, options.rounds):
        for load in _loads(options):
            for associations in options.associations if number >= 0 else [1]:
                folder = scratch / "objects"
                folder.mkdir()
                batches = write_objects(folder, load, associations)
                # each round begins with another server: what the machine does beside hits them in turn
                for server in servers[number % len(servers) :] + servers[: number % len(servers)]:
                    measured = _one(server, load, batches, scratch)
                    if number >= 0:
                        found[server.name, load, associations].append(measured)
                shutil.rmtree(folder)
        print(f"round {number + 1} of {options.rounds}" if number >= 0 else "warmed up", file=sys.stderr, flush=True)
    return {key: Cell(tuple(rounds)) for key, rounds in found.items()}


def _one(server: Server, load: Load, batches: list[list[Path]], scratch: Path) -> Round:
    # what another server has left unwritten is not this one's burden
    os.sync()
    before, machine_before = cpu_seconds(server.process.pid), machine_cpu_seconds()
    with MemoryWatch(server.process.pid) as memory:
        sent = send(batches, port=server.port, called=server.ae_title, folder=scratch)
    server_cpu, machine_cpu = cpu_seconds(server.process.pid) - before, machine_cpu_seconds() - machine_before
    objects = sum(len(batch) for batch in batches)
    if sent.stored != objects:
        raise RuntimeError(f"{server.name} stored {sent.stored} of {objects}")
    return Round(
        megabytes=objects * load.megabytes,
        objects=objects,
        seconds=sent.seconds,
        object_seconds=sent.object_seconds,
        sender_cpu=sent.cpu_seconds,
        server_cpu=server_cpu,
        others_cpu=max(0.0, machine_cpu - sent.cpu_seconds - server_cpu),
        peak_mb=memory.peak_mb,
    )


def _print_table(cells: dict[Key, Cell], options: argparse.Namespace) -> None:
    print(f"\nreceiver.processes = {options.processes}, rounds {options.rounds}, cores {os.cpu_count()}; CPU per object: sender + server")
    for load in _loads(options):
        for associations in options.associations:
            print(f"\n{load.name}, {associations} associations, {load.per_association[associations]} objects each")
            for name in options.servers:
                cell = cells[name, load, associations]
                sender, server = cell.cpu_ms_per_object()
                print(
                    f"  {name:8} {cell.mb_per_s:7.1f} MB/s {cell.objects_per_s:7.1f} objects/s  p50 {cell.percentile_ms(0.5):7.1f} ms"
                    f"  p95 {cell.percentile_ms(0.95):7.1f} ms  peak {cell.peak_mb:6.0f} MB  CPU {sender:6.2f} + {server:6.2f} ms"
                )
    print()


def _print_ratios(cells: dict[Key, Cell], options: argparse.Namespace, disk: dict[Load, float]) -> int:
    missed = 0
    for load in _loads(options):
        for associations in options.associations:
            ours = cells.get(("gateway", load, associations))
            for other in options.servers:
                if ours is None or other == "gateway":
                    continue
                reached, target = ratio(ours, cells[other, load, associations]), TARGETS.get((other, associations))
                verdict = "" if target is None else f"target {target}: {'reached' if reached >= target else 'missed'}"
                print(f"{load.name}, {associations} associations: {reached:.2f} x {other}  {verdict}")
                if target is not None and reached < target:
                    missed += 1
                    for name in ("gateway", other):
                        cell = cells[name, load, associations]
                        held = bound(cell, cores=os.cpu_count() or 1, disk_mb_per_s=disk[load], associations=associations)
                        print(f"    {name} bound by {held}")
    return missed


def _summary(cells: dict[Key, Cell], options: argparse.Namespace, missed: int) -> dict[str, object]:
    """Ratios and MB/s from the large objects, objects/s from the small ones."""

    def ratios(other: str, load: Load) -> dict[str, float]:
        pairs = [(n, cells.get(("gateway", load, n)), cells.get((other, load, n))) for n in options.associations]
        return {str(n): round(ratio(ours, theirs), 2) for n, ours, theirs in pairs if ours is not None and theirs is not None}

    def by_server(load: Load, figure: str) -> dict[str, dict[str, float]]:
        return {
            name: {str(n): round(getattr(cells[name, load, n], figure), 1) for n in options.associations if (name, load, n) in cells}
            for name in options.servers
        }

    return {
        "mb_per_s": by_server(LARGE, "mb_per_s"),
        "objects_per_s": by_server(SMALL, "objects_per_s"),
        **{f"ratio_vs_{other}": ratios(other, LARGE) for other in ("dcmtk", "orthanc", "stock")},
        **{f"ratio_small_vs_{other}": ratios(other, SMALL) for other in ("dcmtk", "orthanc", "stock")},
        "peak_rss_mb": {
            name: round(max(cell.peak_mb for (server, _, _), cell in cells.items() if server == name)) for name in options.servers
        },
        "processes": options.processes,
        "targets_missed": missed,
    }


if __name__ == "__main__":
    sys.exit(main())
