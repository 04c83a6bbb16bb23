"""The trials of truth.sh: prony ab against a program with a known slowdown, which it must see, and with none (A/A), which
it must not. A gate is one verdict on two benchmarks with a margin of 1%; it is red when either has regressed. Trials of
all kinds are shuffled together, so that a drift of the machine meets them alike."""
import argparse
import collections
import fcntl
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PRONY = os.environ["PRONY"]
HERE = os.path.dirname(os.path.abspath(__file__))
QUICK_S = 570
# Two benchmarks a gate; a launch takes some 25 ms.
GATES = ("alu:10:15000 chase:10:75000", "alloc:10:25000 copy:10:500")
# Every launch of these differs from the last one by up to 100%: nothing can be told, and nothing wrong must be.
NOISY = "noisy:5:15000 branch:5:600"
# Slowdown in percent: in how many trials it must be seen.
SEEN = {5: 0.95, 3: 0.85, 2: 0.60}
RED_MOST = (2, 300)
COST_S = 3.0


class Absent(Exception):
    """Something that a trial needs is not there, or did not work."""


def wilson(hits, n, z=1.959964):
    """The 95% interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share, scale = hits / n, 1 + z * z / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def upper(hits, n):
    """The exact upper 95% bound of a share (Clopper and Pearson, one-sided), by bisection."""
    low, high = hits / n, 1.0
    for _ in range(60):
        p = (low + high) / 2
        tail = sum(math.comb(n, i) * p ** i * (1 - p) ** (n - i) for i in range(hits + 1))
        low, high = (p, high) if tail > 0.05 else (low, p)
    return high


def trial(load, work, slower, seed):
    """One verdict: seconds, and the verdicts by benchmark."""
    begun = time.monotonic()
    run = subprocess.run([PRONY, "ab", "--base", f"{load} 0 {work}", "--head", f"{load} {slower} {work}", "--read",
                          "numbers", "--seed", str(seed), "--json", "-q"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=300, check=False)
    seconds = time.monotonic() - begun
    if run.returncode not in (0, 1):
        raise Absent(f"prony ab ended with {run.returncode}: {run.stderr.strip()[-200:]}")
    said = json.loads(run.stdout)
    verdicts = {row["benchmark"]: row["verdict"] for row in said["benchmarks"] if row["primary"]}
    if (run.returncode == 1) != ("regressed" in verdicts.values()):
        raise Absent(f"exit code {run.returncode} does not agree with {verdicts}")
    widths = {row["benchmark"]: row["interval_percent"][1] - row["interval_percent"][0]
              for row in said["benchmarks"] if row["primary"]}
    return {"s": seconds, "verdicts": verdicts, "widths": widths}


def measure(arguments, jobs, load):
    results = collections.defaultdict(list)
    deadline = time.monotonic() + (math.inf if arguments.full else QUICK_S)
    lock = open(arguments.lock, "w", encoding="utf-8") if arguments.lock else None
    raw = open(arguments.raw, "a", encoding="utf-8") if arguments.raw else None
    while jobs and time.monotonic() < deadline:
        if lock:
            waited = time.monotonic()
            fcntl.flock(lock, fcntl.LOCK_EX)
            deadline += time.monotonic() - waited
        until = time.monotonic() + 45
        while jobs and time.monotonic() < min(until, deadline):
            kind, slower, work, seed = jobs.pop()
            result = trial(load, work, slower, seed)
            results[kind, slower].append(result)
            if raw:
                raw.write(json.dumps({"kind": kind, "slower": slower, "work": work, **result}) + "\n")
                raw.flush()
        if lock:
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.5)
        if sys.stderr.isatty():
            print(f"\rtruth: {len(jobs)} trials left ", end="", file=sys.stderr, flush=True)
    return results


def red(results):
    return sum("regressed" in result["verdicts"].values() for result in results)


def wrong_sign(results):
    return sum("improved" in result["verdicts"].values() for result in results)


def figures(results):
    """(name, value, target, state, remark) of each."""
    same = results["gate", 0]
    n, hits = len(same), red(same)
    most, of = RED_MOST
    state = "undecided" if n < of / 2 else "ok" if hits * of <= most * max(n, of) else "missed"
    bound = f"upper 95% bound {100 * upper(hits, n):.2f}%" if n else "no trials"
    yield "ab-same-red", f"{hits}/{n}", f"<={most}/{of}", state, \
        f"two benchmarks, margin 1%, unchanged code; {bound}; called improved: {wrong_sign(same)}"
    for slower, target in SEEN.items():
        slow = results["gate", slower]
        n, hits = len(slow), red(slow)
        state = "ok" if n and hits / n >= target else "missed" if wilson(hits, n)[1] < target else "undecided"
        low, high = wilson(hits, n)
        yield f"ab-seen-{slower}%", f"{hits}/{n}", f">={100 * target:.0f}%", state, \
            f"slower by {slower}%; 95% interval {100 * low:.0f}% to {100 * high:.0f}%"
    slow = [result for slower in SEEN for result in results["gate", slower]]
    yield "ab-wrong-sign", f"{wrong_sign(slow)}/{len(slow)}", "0", "missed" if wrong_sign(slow) else \
        "ok" if slow else "undecided", "slower code that was called improved"
    noisy, noisy_slow = results["noisy", 0], results["noisy", 5]
    wrong = red(noisy) + wrong_sign(noisy) + wrong_sign(noisy_slow)
    verdicts = [v for result in noisy + noisy_slow for v in result["verdicts"].values()]
    yield "ab-noisy-wrong", f"{wrong}/{len(noisy) + len(noisy_slow)}", "0", "missed" if wrong else \
        "ok" if verdicts else "undecided", \
        f"too noisy to tell: {verdicts.count('inconclusive')} of {len(verdicts)} benchmarks inconclusive"
    costs = sorted(result["s"] for kind, trials in results.items() if kind[0] == "gate" for result in trials)
    if costs:
        median = statistics.median(costs)
        yield "ab-cost", f"{median:.2f}s", f"<={COST_S:g}s", "ok" if median <= COST_S else "missed", \
            f"median of a verdict; {costs[0]:.2f} to {costs[-1]:.2f} s, p95 {costs[int(0.95 * len(costs))]:.2f} s"


def main():
    parser = argparse.ArgumentParser(prog="truth.sh")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lock")
    parser.add_argument("--raw")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    same, slow, noisy = (600, 200, 60) if arguments.full else (300, 40, 10)
    kinds = [("gate", 0)] * same + [("gate", slower) for slower in SEEN for _ in range(slow)]
    jobs = [(kind, slower, GATES[i % len(GATES)], draw.randrange(2 ** 31)) for i, (kind, slower) in enumerate(kinds)]
    jobs += [("noisy", slower, NOISY, draw.randrange(2 ** 31)) for slower in (0, 5) for _ in range(noisy)]
    draw.shuffle(jobs)
    folder = tempfile.mkdtemp(prefix="prony-truth-")
    load = os.path.join(folder, "load")
    try:
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", load, os.path.join(HERE, "load.c")], check=True)
        results = measure(arguments, jobs, load)
    except (Absent, OSError, subprocess.SubprocessError) as reason:
        print(f"truth: {reason}", file=sys.stderr)
        return 3
    finally:
        shutil.rmtree(folder)
    missed = False
    for name, value, target, state, remark in figures(results):
        print(f"{name} {value} {target} {state} # {remark}")
        missed |= state == "missed"
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
