"""Measures the fan-out against a floor in C and against its peers, the evening, the registrations and the small groups, and says
whether the targets are met.

Every server runs on one core, every load client on another. All are connected, but only one pair works at a time: they take
turns of about half a second (A B C A B C …), so that a noisy minute of the machine hits them all. What counts is CPU time of
the server's processes per delivery; a ratio is that of two servers in the same turn; of both, the median of all turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench import evening, processes, registrations, small_groups
from tests.bench.cases import Case, build, cases, install_peers
from tests.bench.load import DELIVERIES, Load, Row

DEFAULT = ("c-floor", "product-c", "product-python", "node-ws", "socket.io", "starlette-loop")

TARGETS = {
    "python": {"c-floor": 0.70, "node-ws": 1.25, "socket.io": 2.0, "starlette-loop": 2.0},
    "c": {"c-floor": 0.90, "node-ws": 1.6, "socket.io": 2.4, "starlette-loop": 2.5},
}
"""Deliveries per CPU second, as a multiple of the other's; by what writes ours."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, writes the measurements; returns 1 if a target is missed."""
    given = parser().parse_args(arguments)
    build()
    result: Row = {"machine": machine(), "targets": []}
    for part in (evening, processes, registrations, small_groups):
        name = part.__name__.rpartition(".")[2]
        if given.only in (None, name):
            result[name], judged = part.measure(given.repeats)
            result["targets"] += judged
            print(*(line(one) for one in judged), sep="\n", flush=True)
    if given.only in (None, "fanout"):
        result |= fanout(given)
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {given.output}")
    return 0 if all(one["met"] for one in [*result["targets"], *result.get("fanout_targets", [])]) else 1


def fanout(given: argparse.Namespace) -> Row:
    """The fan-out against its peers, printed."""
    if {"node-ws", "socket.io"} & {*given.cases}:
        install_peers()
    known = cases()
    measured = measure([known[name] for name in given.cases], given.connections, given.turns)
    summary, judged = summarise(measured), judge(measured)
    print(table(summary))
    print(verdict(judged))
    return {"summary": summary, "fanout_targets": judged, "measurements": measured}


def line(one: Row) -> str:
    """What came of a target."""
    return f"{one['name']:55} {one['value']:12,.1f}  target {one['target']:,}  {'met' if one['met'] else 'MISSED'}"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=cases(), default=DEFAULT, metavar="CASE", help=" ".join(cases()))
    parser.add_argument("--connections", nargs="+", type=int, default=[1000, 5000])
    parser.add_argument("--turns", type=int, default=15, help="how often each server of the fan-out is measured")
    parser.add_argument("--repeats", type=int, default=5, help="how often all but the fan-out is measured")
    parts = ("fanout", "evening", "processes", "registrations", "small_groups")
    parser.add_argument("--only", choices=parts, help="leave the rest out")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    return parser


def measure(chosen: Sequence[Case], sizes: Sequence[int], turns: int) -> list[Row]:
    """What the load clients printed about all cases."""
    measured: list[Row] = []
    for size in sizes:
        with ExitStack() as running:
            loads: dict[str, Load] = {}
            for case in chosen:
                served = running.enter_context(case.serve())
                loads[case.name] = running.enter_context(Load(served, size, max(20, DELIVERIES // size), turns))
                measured.append({"case": case.name, "turn": 0, **loads[case.name].opened})
                print(f"{size:6d} {case.name:18s} connected", flush=True)
            for turn in range(turns):
                rows = [{"case": name, "turn": turn, **load.block()} for name, load in loads.items()]
                said = ", ".join(f"{row['case']} {row['cpu_us']:.2f}" for row in rows)
                print(f"{size:6d} turn {turn + 1:2d}, µs per delivery: {said}", flush=True)
                measured += rows
    return measured


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
                what = {"connections": size, "case": case, "peer": peer, "floor": ratio(turns(measured, size, "c-floor"), theirs)}
                reached = ratio(ours, theirs)
                judged.append({**what, "ratio": reached, "target": target, "met": reached >= target})
    return judged


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times cheaper ours are, turn by turn; 0 if one of them was not measured."""
    return statistics.median([their / our for our, their in zip(ours, theirs, strict=False)] or [0.0])


def turns(measured: Sequence[Row], size: int, case: str) -> list[float]:
    """CPU time per delivery in each turn, in µs."""
    rows = [row for row in measured if row["kind"] == "block" and row["case"] == case and row["connections"] == size + 1]
    return [row["cpu_us"] for row in sorted(rows, key=lambda row: int(row["turn"]))]


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
        + f"{'met' if one['met'] else 'MISSED':7} (plain C: {one['floor']:.2f})"
        for one in judged
    )


def machine() -> Row:
    """What was measured on, without names of machines or people."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {"python": platform.python_version(), "kernel": platform.release()}
    return {"cpu": model[0].partition(": ")[2] if model else "", "cores": os.cpu_count(), **versions}


if __name__ == "__main__":
    sys.exit(main())
