"""Runs and judges the figures of gbench.sh. Everything is written into a temporary folder, which is removed.

Each round takes every figure once, both sides of a ratio next to each other in random order; a figure is the median of
its rounds' ratios, judged by the distribution-free 95% interval of that median (docs/method.md)."""
import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

BIN = os.path.join(os.environ["BUILD"], "bin")
MIN_TIME_S = 0.1
SPIN = {"items": 100, "steps": 20000}


class Absent(Exception):
    """Something that a figure needs did not work."""


def run(program, *arguments):
    done = subprocess.run([os.path.join(BIN, program), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["(it said nothing)"])[-1]
        raise Absent(f"{program} {' '.join(arguments)} ended with {done.returncode}: {last}")
    return done.stdout


def gbench(program, name, *arguments):
    """The library's wall time of an iteration, in ns."""
    out = run(program, f"--benchmark_filter=^{name}($|/)", f"--benchmark_min_time={MIN_TIME_S}",
              "--benchmark_format=json", *arguments)
    (row,) = json.loads(out)["benchmarks"]
    return row["real_time"]


def spin_by_gbench(_):
    params = [f"--prony_param=spin.{key}={value}" for key, value in SPIN.items()]
    return gbench("prony-gbench", "kernel/spin/serial", "--prony_counters=none", *params)


def spin_by_prony(folder):
    """The same kernel, by prony's own clock in a cell host."""
    out = tempfile.mkdtemp(prefix="spin-", dir=folder)
    params = [word for key, value in SPIN.items() for word in ("-p", f"spin.{key}={value}")]
    run("prony", "run", "-e", "serial", "-w", "spin", "-n", "1", "--counters", "none", "--visits", "6", "-q", *params,
        "-o", os.path.join(out, "run"))
    with open(os.path.join(out, "run", "report.json"), encoding="utf-8") as text:
        cells = [cell for cell in json.load(text)["cells"] if cell["status"] == "ok"]
    shutil.rmtree(out)
    if not cells:
        raise Absent("prony measured no cell of spin")
    return cells[0]["stats"]["median"]


# name, least and most that are right, the two sides, what is compared
FIGURES = (
    ("gbench-spin-against-prony", 0.98, 1.02, spin_by_gbench, spin_by_prony,
     "spin: Google Benchmark's real time over prony's, same kernel and size"),
    ("gbench-loop-c-against-cpp", None, 1.10, lambda _: gbench("gbench_loops", "loop/c"),
     lambda _: gbench("gbench_loops", "loop/cpp"), "an empty iteration: PRONY_GBENCH_EACH over the library's range-for"),
    ("gbench-pause-c-against-cpp", None, 1.10, lambda _: gbench("gbench_loops", "pause/c"),
     lambda _: gbench("gbench_loops", "pause/cpp"), "pause and resume: the shim's over the library's"),
)


def interval(values):
    """The distribution-free 95% interval of the median; none below six values."""
    ordered, n = sorted(values), len(values)
    k = 0
    while k < n // 2 and 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n >= 0.95:
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (-math.inf, math.inf)


def judge(values, least, most):
    """ok: the whole interval is right; missed: none of it is; else undecided."""
    low, high = interval(values)
    least = -math.inf if least is None else least
    if least <= low and high <= most:
        return "ok"
    return "missed" if high < least or low > most else "undecided"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if options.rounds < 7:
        parser.error("at least 7 rounds")
    folder = tempfile.mkdtemp(prefix="prony-gbench-")
    sides = {figure[0]: ([], []) for figure in FIGURES}
    order = random.Random(1821)
    absent = missed = False
    try:
        for _ in range(options.rounds):
            for name, _, _, ours, theirs, _ in order.sample(FIGURES, len(FIGURES)):
                if sides[name] is None:
                    continue
                try:
                    for i in order.sample((0, 1), 2):
                        sides[name][i].append((ours, theirs)[i](folder))
                except (Absent, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as why:
                    print(f"gbench: {name}: {why}", file=sys.stderr)
                    sides[name], absent = None, True
        for name, least, most, _, _, what in FIGURES:
            target = f"{most}" if least is None else f"{least}..{most}"
            if sides[name] is None:
                print(f"{name} - {target} undecided # not measured: {what}")
                continue
            ratios = [a / b for a, b in zip(*sides[name])]
            verdict = judge(ratios, least, most)
            missed |= verdict == "missed"
            ours, theirs = (statistics.median(side) for side in sides[name])
            print(f"{name} {statistics.median(ratios):.4g} {target} {verdict} # {ours:.6g} ns against {theirs:.6g} ns,"
                  f" ratios {min(ratios):.4g} to {max(ratios):.4g} of {len(ratios)}; {what}")
    finally:
        shutil.rmtree(folder)
    return 1 if missed else 3 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
