"""Runs and judges the figures of harness.sh. Everything is written into a temporary folder, which is removed.

A figure is ok when the whole distribution-free 95% interval of its median lies below the target, missed when all of it
lies above, and undecided when the target lies in it (docs/method.md)."""
import argparse
import copy
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
SYNTHETIC = "synthetic:pack:8 [numa] l3:4 core:16 pu:2"
PLAN_CELLS = 10000
REPORT_CELLS = (500, 1000, 2000)


class Absent(Exception):
    """Something that a figure needs is not there, or did not work."""


def prony(*arguments, cwd, limit_s=300):
    """Seconds of wall time from start to end of one prony process, and its standard output."""
    begun = time.monotonic()
    run = subprocess.run([PRONY, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=limit_s, check=False)
    seconds = time.monotonic() - begun
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["(it said nothing)"])[-1]
        raise Absent(f"prony {' '.join(arguments)[:120]} ended with {run.returncode}: {last}")
    return seconds, run.stdout


def load(folder):
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as text:
        return json.load(text)


def find(value, key):
    """The first number under this key, anywhere in a JSON value; None when there is none."""
    if isinstance(value, dict):
        if isinstance(value.get(key), (int, float)):
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for found in (find(item, key) for item in value) if found is not None), None)
    return None


def interval(values):
    """The distribution-free 95% interval of the median, as prony_median_interval has it; none below six values."""
    ordered, n = sorted(values), len(values)
    k = 0
    while k < n // 2 and 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n >= 0.95:
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (None, None)


class Figures:
    def __init__(self, folder):
        self.folder = folder
        self.values = {}

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def listing(self):
        seconds, out = prony("list", cwd=self.folder)
        if "serial" not in out:
            raise Absent("prony list does not show the engine serial")
        self.note("list-ms", 1e3 * seconds)

    def plan(self):
        seconds, out = prony("run", "-e", "serial,thread", "-w", "square,primes", "-n", "1",
                             "-p", f"items=1..{PLAN_CELLS // 4}", "--dry-run", cwd=self.folder)
        if len(out.splitlines()) < PLAN_CELLS and str(PLAN_CELLS) not in out.replace(",", ""):
            raise Absent(f"a dry run of {PLAN_CELLS} cells does not show them")
        self.note("plan-10000-cells-ms", 1e3 * seconds)

    def topology(self):
        seconds, out = prony("topo", "--topology", SYNTHETIC, "-n", "1024", cwd=self.folder)
        if "1023" not in out:
            raise Absent("the topology of 1,024 PUs does not show the last of them")
        self.note("topology-1024-pus-ms", 1e3 * seconds)

    def overhead(self):
        folder = tempfile.mkdtemp(prefix="overhead-", dir=self.folder)
        prony("run", "-e", "null", "-w", "empty", "-n", "1", "-p", "empty.items=1", "-p", "repeats=1",
              "--counters", "none", "-q",
              "-o", os.path.join(folder, "run"), cwd=self.folder)
        report = load(os.path.join(folder, "run"))
        shutil.rmtree(folder)
        cells = [cell for cell in report["cells"] if cell["engine"] == "null" and cell["status"] == "ok"]
        if not cells:
            raise Absent("no cell of null and empty was measured")
        self.note("timed-overhead-ns", cells[0]["stats"]["median"])
        between = find(report, "bookkeeping_ns")
        if between is not None:
            self.note("bookkeeping-us", between / 1e3)

    def quick(self):
        folder = tempfile.mkdtemp(prefix="quick-", dir=self.folder)
        seconds, _ = prony("run", "quick", "-q", "-o", os.path.join(folder, "run"), cwd=self.folder, limit_s=400)
        if not any(cell["status"] == "ok" for cell in load(os.path.join(folder, "run"))["cells"]):
            raise Absent("the quick suite measured nothing")
        shutil.rmtree(folder)
        self.note("quick-suite-s", seconds)

    def make_reports(self):
        """Reports of 500, 1,000 and 2,000 cells, from the cells of a real one under new names."""
        source = os.path.join(self.folder, "source")
        prony("run", "-e", "serial,thread,fork", "-w", "square,primes", "-n", "1", "--visits", "6", "-q", "-o", source,
              cwd=self.folder)
        report = load(source)
        real = [cell for cell in report["cells"] if cell["status"] == "ok"]
        if not real:
            raise Absent("the report to multiply has no measured cell")
        for count in REPORT_CELLS:
            report["cells"] = [copy.deepcopy(real[i % len(real)]) for i in range(count)]
            for i, cell in enumerate(report["cells"]):
                cell["id"] += f"/copy={i // len(real)}"
            folder = os.path.join(self.folder, f"cells-{count}")
            os.mkdir(folder)
            with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as out:
                json.dump(report, out)

    def report(self, count):
        folder = os.path.join(self.folder, f"cells-{count}")
        seconds = 0
        for form in ("json", "html"):
            path = os.path.join(folder, "out." + form)
            seconds += prony("report", folder, "--out", f"{form}:{path}", cwd=self.folder)[0]
            if os.path.getsize(path) < 100 * count:
                raise Absent(f"a report of {count} cells came out with {os.path.getsize(path)} bytes of {form}")
            os.remove(path)
        self.note(f"report-{count}-cells-s", seconds)

    def growth(self):
        """Time a cell from 1,000 to 2,000 against from 500 to 1,000: 1 when linear, 2 when quadratic."""
        small, middle, large = (self.values[f"report-{count}-cells-s"] for count in REPORT_CELLS)
        self.values["report-growth"] = [(c - b) / (2 * (b - a)) for a, b, c in zip(small, middle, large) if b > a]


# name, target (None: stated only), what is in the figure
TARGETS = (
    ("list-ms", 50, "prony list, process start included"),
    ("quick-suite-s", 60, "prony run quick"),
    ("timed-overhead-ns", 200, "null engine, empty workload: a sample of one task, inside the clock"),
    ("bookkeeping-us", None, "between two visits, outside the clock"),
    ("plan-10000-cells-ms", 1000, "--dry-run, process start included"),
    ("topology-1024-pus-ms", 100, "prony topo on " + SYNTHETIC + ", process start included"),
    ("report-500-cells-s", None, "read, written as JSON, rendered as a page"),
    ("report-1000-cells-s", None, "the same"),
    ("report-2000-cells-s", 10, "the same"),
    ("report-growth", 1.5, "time a cell, the second thousand against the second 500: linear 1, quadratic 2"),
)


def judge(name, values, target):
    """ok, missed or undecided; what is run once is judged by that one value."""
    if target is None:
        return "ok"
    low, high = interval(values) if len(values) > 1 else (values[0], values[0])
    if low is None:
        return "undecided"
    return "ok" if high < target else "missed" if low >= target else "undecided"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if options.rounds < 7:
        parser.error("at least 7 rounds")
    folder = tempfile.mkdtemp(prefix="prony-harness-")
    absent = missed = False
    try:
        figures = Figures(folder)
        tasks = {"list": figures.listing, "plan": figures.plan, "topology": figures.topology,
                 "overhead": figures.overhead}
        try:
            figures.make_reports()
            tasks.update({f"report-{count}": lambda count=count: figures.report(count) for count in REPORT_CELLS})
        except (Absent, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as why:
            absent = True
            print(f"harness: reports: {why}", file=sys.stderr)
        order = random.Random(1821)
        for turn in range(options.rounds):
            names = list(tasks) + (["quick"] if options.full or turn == 0 else [])
            order.shuffle(names)
            for name in names:
                if sys.stderr.isatty():
                    print(f"\r\033[Kround {turn + 1} of {options.rounds}: {name}", end="", file=sys.stderr, flush=True)
                try:
                    tasks.get(name, figures.quick)()
                except (Absent, OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as why:
                    absent = True
                    tasks.pop(name, None)
                    print(f"harness: {name}: {why}", file=sys.stderr)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if all(f"report-{count}" in tasks for count in REPORT_CELLS):
            figures.growth()
        for name, target, what in TARGETS:
            values = figures.values.get(name)
            if not values:
                absent = True
                print(f"{name} - {'-' if target is None else target} undecided # not measured: {what}")
                continue
            verdict = judge(name, values, target)
            missed |= verdict == "missed"
            middle = statistics.median(values)
            print(f"{name} {middle:.4g} {'-' if target is None else target} {verdict} # median of {len(values)},"
                  f" {min(values):.4g} to {max(values):.4g}; {what}")
    finally:
        shutil.rmtree(folder)
    return 1 if missed else 3 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
