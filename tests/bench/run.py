"""Measures the fan-out against a floor in C and against its peers, and the evening, and says whether the targets are met.

Every measurement is a fresh server on one core and a fresh load client on another; cases take turns (A B C A B C …), so that a
noisy minute hits them all. What counts is CPU time of the server's process per delivery, the median of all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import evening
from tests.bench.cases import CACHE, CLIENT_CORE, Case, Served, build, cases, family, install_peers, pinned

WARM_UP_ROUNDS = 20
"""As in load.c: the kernel allocates each socket's buffers during the first ones."""
BLOCKS = 2
DELIVERIES = 100_000
"""Per block, so that it takes about half a second of CPU time."""
DEFAULT = ("c-floor", "product-c", "product-python", "node-ws", "socket.io", "starlette-loop")

TARGETS = {
    "python": {"c-floor": 0.70, "node-ws": 1.25, "socket.io": 2.0, "starlette-loop": 2.0},
    "c": {"c-floor": 0.90, "node-ws": 1.6, "socket.io": 2.4, "starlette-loop": 2.5},
}
"""Deliveries per CPU second, as a multiple of the other's; by what writes ours."""

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, writes the measurements; returns 1 if a target is missed."""
    given = parser().parse_args(arguments)
    evening_rows, evening_targets = ([], []) if given.only == "fanout" else evening.measure(given.repeats)
    if given.only == "evening":
        return finish(given.output, {"machine": machine(), "evening": evening_rows, "evening_targets": evening_targets})
    build()
    if {"node-ws", "socket.io"} & {*given.cases}:
        install_peers()
    known = cases()
    measured = measure([known[name] for name in given.cases], given.connections, given.repeats)
    summary = summarise(measured)
    judged = judge(measured)
    print(table(summary))
    print(verdict(judged))
    result = {"machine": machine(), "summary": summary, "targets": judged, "measurements": measured}
    return finish(given.output, {**result, "evening": evening_rows, "evening_targets": evening_targets})


def finish(output: Path, result: Row) -> int:
    """Says what came of the evening's targets, writes everything; 1 if a target is missed."""
    for one in result["evening_targets"]:
        print(f"{one['name']:55} {one['value']:12,.1f}  target {one['target']:,}  {'met' if one['met'] else 'MISSED'}")
    output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {output}")
    return 0 if all(one["met"] for one in [*result.get("targets", []), *result["evening_targets"]]) else 1


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=cases(), default=DEFAULT, metavar="CASE", help=" ".join(cases()))
    parser.add_argument("--connections", nargs="+", type=int, default=[1000, 5000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("fanout", "evening"), help="leave the other half out")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    return parser


def measure(chosen: Sequence[Case], sizes: Sequence[int], repeats: int) -> list[Row]:
    """What the load client printed about all cases, in turns."""
    measured: list[Row] = []
    for size in sizes:
        for repeat in range(repeats):
            for case in chosen:
                with case.serve() as served:
                    rows = load(served, size, max(20, DELIVERIES // size))
                measured += [{"case": case.name, "repeat": repeat, **row} for row in rows]
                said = ", ".join(f"{row['cpu_us']:.2f}" for row in rows if row["kind"] == "block")
                print(f"{size:6d} {case.name:18s} {said} µs", flush=True)
    return measured


def load(served: Served, connections: int, rounds: int) -> list[Row]:
    """Runs the load client on a server; returns what it printed. Raises CalledProcessError, SystemExit."""
    wait_for(served.port)
    with tempfile.TemporaryDirectory() as folder:
        options = [*served.options, *file_option(folder, "say", [*map(served.lines, range(rounds * BLOCKS + WARM_UP_ROUNDS))])]
        options += file_option(folder, "cookies", served.cookies[: connections + 1])
        options += file_option(folder, "openings", served.openings[: connections + 1])
        options += ["--port", str(served.port), "--pids", ",".join(map(str, family(served.pid)))]
        options += ["--connections", str(connections)]
        options += ["--rounds", str(rounds), "--blocks", str(BLOCKS)]
        with pinned(CLIENT_CORE):
            done = subprocess.run([str(CACHE / "load"), *options], stdout=subprocess.PIPE, text=True, check=True)
    rows: list[Row] = [json.loads(line) for line in done.stdout.splitlines()]
    broken = [row for row in rows if row.get("wrong") or row.get("ended")]
    if broken:
        raise SystemExit(f"wrong or lost deliveries: {broken}")
    return rows


def wait_for(port: int, seconds: float = 30) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def file_option(folder: str, name: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    path = Path(folder) / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return [f"--{name}", str(path)]


def summarise(measured: Sequence[Row]) -> list[Row]:
    """Medians per size and case."""
    keys = dict.fromkeys((row["connections"] - 1, row["case"]) for row in measured)
    return [{"connections": size, "case": case, **medians(measured, size, case)} for size, case in keys]


def medians(measured: Sequence[Row], size: int, case: str) -> Row:
    rows = [row for row in measured if row["case"] == case and row["connections"] == size + 1]
    blocks = [row for row in rows if row["kind"] == "block"]
    opens = [row for row in rows if row["kind"] == "open"]
    return {
        **{name: statistics.median(row[name] for row in blocks) for name in ("cpu_us", "p50_ms", "p99_ms", "bytes")},
        "best_cpu_us": min(row["cpu_us"] for row in blocks),
        "open_cpu_us": statistics.median(row["cpu_us"] for row in opens),
        "open_kb": statistics.median(row["resident_kb"] for row in opens),
    }


def judge(measured: Sequence[Row]) -> list[Row]:
    """Every target for which both sides were measured: the median of the ratios of the turns."""
    judged = []
    for size, case in dict.fromkeys((row["connections"] - 1, row["case"]) for row in measured):
        for peer, target in TARGETS.get(case.rpartition("-")[2], {}).items():
            ours, theirs = turns(measured, size, case), turns(measured, size, peer)
            if theirs:
                ratio = statistics.median(peers / own for own, peers in zip(ours, theirs, strict=True))
                judged.append(
                    {"connections": size, "case": case, "peer": peer, "ratio": ratio, "target": target, "met": ratio >= target}
                )
    return judged


def turns(measured: Sequence[Row], size: int, case: str) -> list[float]:
    """CPU time per delivery in each turn, in µs."""
    rows = [row for row in measured if row["kind"] == "block" and row["case"] == case and row["connections"] == size + 1]
    repeats = dict.fromkeys(row["repeat"] for row in rows)
    return [statistics.median(row["cpu_us"] for row in rows if row["repeat"] == repeat) for repeat in repeats]


def table(summary: Sequence[Row]) -> str:
    head = f"\n{'connections':>11}  {'case':18} {'µs/delivery':>11} {'best':>6} {'p50 ms':>7} {'p99 ms':>7} {'bytes':>6}"
    lines = [head + f" {'µs/handshake':>12} {'kB/conn.':>8}"]
    for row in summary:
        lines.append(
            f"{row['connections']:11d}  {row['case']:18} {row['cpu_us']:11.2f} {row['best_cpu_us']:6.2f} {row['p50_ms']:7.1f} "
            f"{row['p99_ms']:7.1f} {row['bytes']:6.0f} {row['open_cpu_us']:12.0f} {row['open_kb']:8.1f}"
        )
    return "\n".join(lines)


def verdict(judged: Sequence[Row]) -> str:
    return "\n" + "\n".join(
        f"{one['connections']:11d}  {one['case']:18} {one['ratio']:5.2f} × {one['peer']:15} target {one['target']:.2f}  "
        + ("met" if one["met"] else "MISSED")
        for one in judged
    )


def machine() -> Row:
    """What was measured on, without names of machines or people."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {"python": platform.python_version(), "kernel": platform.release()}
    return {"cpu": model[0].partition(": ")[2] if model else "", "cores": os.cpu_count(), **versions}


if __name__ == "__main__":
    sys.exit(main())
