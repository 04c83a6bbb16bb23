#!/usr/bin/env bash
# What reading counters costs: one event, and the default events, of each provider that counts here; at least 7 rounds,
# interleaved. One line a figure: NAME VALUE TARGET ok|missed|undecided # medians, spread. Exit 1 when a target is missed,
# 3 when nothing could be measured.
set -eu
cd "$(dirname "$0")/../.."
program=${PRONY:-build/release/bin/prony}
if [ ! -x "$program" ]; then
    echo "counters: no $program: cmake --preset release && cmake --build --preset release" >&2
    exit 3
fi
PRONY=$(realpath "$program") exec python3 -B - "$@" <<'END'
import json, os, statistics, subprocess, sys, tempfile
PRONY, ROUNDS, TARGET_NS = os.environ["PRONY"], 7, 1500
CASES = {"software-one-event": "software:task-clock", "software-defaults": "software",
         "perf-one-event": "perf:task-clock",
         "papi-one-event": "papi:PAPI_TOT_INS", "none": "none"}
costs = {name: [] for name in CASES}
reasons = {}
with tempfile.TemporaryDirectory(prefix="prony-counters-") as folder:
    for turn in range(ROUNDS):
        for name, counters in CASES.items():
            out = os.path.join(folder, f"{name}-{turn}")
            done = subprocess.run([PRONY, "run", "-e", "thread", "-w", "primes", "-n", "1", "--visits", "6", "--samples",
                                   "5", "--counters", counters, "-q", "-o", out], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                reasons[name] = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                continue
            with open(os.path.join(out, "report.json"), encoding="utf-8") as file:
                cell = json.load(file)["cells"][0]
            counted = cell["counters"]["workers"][0]["events"]
            if counters == "none":
                costs[name].append(cell["counters"]["read_ns"] or 0)
            elif any(event["status"] == "counted" for event in counted.values()):
                costs[name].append(cell["counters"]["read_ns"])
            else:
                reasons[name] = next(event["reason"] for event in counted.values())
status = 3 if not any(costs.values()) else 0
for name, values in costs.items():
    target = 0 if name == "none" else TARGET_NS if "one-event" in name else None
    if not values:
        print(f"counter-read-{name}-ns - {target} undecided # {reasons.get(name)}")
        continue
    middle = statistics.median(values)
    low, high = min(values), max(values)  # of 7 rounds: the 98% interval of the median
    verdict = "ok" if target is None or high <= target else "missed" if low > target else "undecided"
    status = 1 if verdict == "missed" else status
    print(f"counter-read-{name}-ns {middle:.4g} {'-' if target is None else target} {verdict} # median of {len(values)},"
          f" {low:.4g} to {high:.4g}; one read in a worker, outside the timed region")
sys.exit(status)
END
