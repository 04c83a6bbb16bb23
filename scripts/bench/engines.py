"""Runs and judges the figures of engines.sh: every value is a process of its own, engines, peers and floors alternate.

A figure is the median over rounds of a ratio within a round; ok when its distribution-free 95% interval lies on the right
side of the target, missed when it lies on the other, else undecided. Line RT is taken before and after each round; a
round in which it moved by more than a quarter is repeated, up to as many times again as there are rounds."""
import argparse
import concurrent.futures
import contextlib
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time

RATE_LINE_NS = 130  # rates in tasks a second are promised only while the cores are this near


def interval(values):
    ordered, n = sorted(values), len(values)
    k = 0
    while k < n // 2 and 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n >= 0.95:
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (min(values), max(values))


def square(number):
    return number * number


def python_submit(kind, tasks=3000):
    """Tasks a second through a real Python pool of one worker, a waitable handle each."""
    if kind == "pool":
        with multiprocessing.Pool(1) as pool:
            pool.apply(square, (1,))
            begun = time.perf_counter()
            handles = [pool.apply_async(square, (i,)) for i in range(tasks)]
            right = [handle.get() for handle in handles]
            seconds = time.perf_counter() - begun
    else:
        maker = concurrent.futures.ThreadPoolExecutor if kind == "threads" else concurrent.futures.ProcessPoolExecutor
        with maker(1) as pool:
            pool.submit(square, 1).result()
            begun = time.perf_counter()
            handles = [pool.submit(square, i) for i in range(tasks)]
            right = [handle.result() for handle in handles]
            seconds = time.perf_counter() - begun
    if right != [i * i for i in range(tasks)]:
        raise SystemExit("engines: Python gave a wrong result")
    return tasks / seconds


def python_completed(kind, tasks=3000):
    """ns a task to submit them to a real Python executor of one worker and take all from as_completed."""
    maker = concurrent.futures.ThreadPoolExecutor if kind == "threads" else concurrent.futures.ProcessPoolExecutor
    with maker(1) as pool:
        pool.submit(square, 1).result()
        begun = time.perf_counter()
        handles = [pool.submit(square, i) for i in range(tasks)]
        right = sum(handle.result() for handle in concurrent.futures.as_completed(handles))
        seconds = time.perf_counter() - begun
    if right != sum(i * i for i in range(tasks)):
        raise SystemExit("engines: Python gave a wrong result")
    return seconds / tasks * 1e9


# engines in programs of their own, which engines.sh builds where it can: program, what starts it, why it may be absent
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n"]
APART = {"tbb": ("engines_tbb", [], "no program over oneTBB could be built (libtbb-dev, g++)"),
         "mpi": ("engines_mpi", [*MPIRUN, "2"], "no program over MPI could be built (libopenmpi-dev, openmpi-bin)")}


class Absent(Exception):
    """A peer is not there; says why."""


class Round:
    """The values of one round, each measured when it is first asked for."""

    def __init__(self, folder, env):
        self.folder, self.env, self.values = folder, env, {}

    def command(self, engine, metric):
        program, start, reason = APART.get(engine, ("engines", [], ""))
        program = os.path.join(self.folder, program)
        if engine in APART and not os.access(program, os.X_OK):
            raise Absent(reason)
        return [*start, program, engine, metric]

    def __call__(self, engine, metric):
        key = engine, metric
        if key not in self.values:
            if engine.startswith("python-"):
                self.values[key] = (python_completed if metric == "completed" else python_submit)(engine[7:])
            else:
                run = subprocess.run(self.command(engine, metric), capture_output=True, text=True, timeout=120,
                                     env=self.env, check=False)
                if run.returncode != 0:
                    raise SystemExit(f"engines: {engine} {metric}: {run.stderr.strip()}")
                self.values[key] = float(run.stdout)
        return self.values[key]


# name, at least (+1) or at most (-1), target, the value of a round, what it is
FIGURES = [
    ("submit-thread/openmp", 1, 2.5, lambda r: r("thread", "submit") / r("openmp", "submit"),
     "tasks with a future each; libgomp's caller runs tasks itself, prony's does not (its share is 0)"),
    ("submit-thread/openmp-produce", 1, 2.5, lambda r: r("thread", "submit") / r("openmp", "submit-produce"),
     "the same where libgomp's caller runs no task either"),
    ("submit-thread-M/s", 1, 30, lambda r: r("thread", "submit") / 1e6, f"while line RT is under {RATE_LINE_NS} ns"),
    ("submit-fork/mpi", 1, 5, lambda r: r("fork", "submit") / r("mpi", "submit"),
     "processes, beside messages of Open MPI, 32 tasks ahead of the results; one worker on the second PU as well"),
    ("submit-fork/python-pool", 1, 100, lambda r: r("fork", "submit") / r("python-pool", "submit"),
     "processes, beside multiprocessing.Pool.apply_async"),
    ("submit-futures/python-threads", 1, 1, lambda r: r("thread", "submit") / r("python-threads", "submit"),
     "beside ThreadPoolExecutor.submit"),
    ("submit-futures/python-processes", 1, 1, lambda r: r("fork", "submit") / r("python-processes", "submit"),
     "beside ProcessPoolExecutor.submit"),
    ("completed-thread-100k/1k", -1, 1.5, lambda r: r("thread", "completed-100000") / r("thread", "completed-1000"),
     "ns a task to submit 100,000 and take them as completed, over the same for 1,000"),
    ("completed-fork-100k/1k", -1, 1.5, lambda r: r("fork", "completed-100000") / r("fork", "completed-1000"),
     "the same over processes"),
    ("completed-python/thread", 1, 1, lambda r: r("python-threads", "completed") / r("thread", "completed-1000"),
     "ns a task beside as_completed over ThreadPoolExecutor"),
    ("completed-python/fork", 1, 1, lambda r: r("python-processes", "completed") / r("fork", "completed-1000"),
     "ns a task beside as_completed over ProcessPoolExecutor"),
    ("map-thread", 1, 0.95, lambda r: r("thread", "map"), "1,000,000 squares, share of 2 x serial"),
    ("map-fork", 1, 0.90, lambda r: r("fork", "map"), "1,000,000 squares, share of 2 x serial"),
    ("hot-thread/line", -1, 2, lambda r: r("thread", "hot") / r("floor", "hot"), "submit to result, remote worker"),
    ("hot-fork/line", -1, 2, lambda r: r("fork", "hot") / r("floor", "hot"), "submit to result, remote worker"),
    ("hot-thread/openmp", -1, 0.25, lambda r: r("thread", "hot") / r("openmp", "hot"), "submit to result"),
    ("hot-fork/openmp", -1, 0.25, lambda r: r("fork", "hot") / r("openmp", "hot"), "submit to result"),
    ("idle-thread/futex", -1, 1.15, lambda r: r("thread", "idle") / r("floor", "idle"), "submit to result after 1 ms"),
    ("idle-thread-cores", -1, 0.2, lambda r: r("thread", "idle-cpu"), "CPU time over wall time meanwhile"),
    ("helped-thread-us", -1, 0.2, lambda r: r("thread", "helped") / 1e3,
     "result() of a task that nobody has begun: the caller runs it"),
    ("life-thread/threads", -1, 1.3, lambda r: r("thread", "life") / r("floor", "life"), "2 workers, one task, stop"),
    ("life-fork/forks", -1, 1.6, lambda r: r("fork", "life") / r("floor", "life-fork"), "2 workers, one task, stop"),
    ("copy-thread/openmp", 1, 1.2, lambda r: r("thread", "copy") / r("openmp", "copy"), "64 KiB in and out"),
    ("copy-thread/tbb", 1, 1.05, lambda r: r("thread", "copy") / r("tbb", "copy"), "64 KiB in and out, beside oneTBB"),
    ("copy-fork/memcpy", 1, 1.3, lambda r: r("fork", "copy") / r("floor", "copy"), "64 KiB, in place, over one core"),
    ("carry-fork/memcpy", 1, 0.3, lambda r: r("fork", "carry") / r("floor", "copy"),
     "64 KiB, copied by the caller into the arena and out of it"),
    ("carry-fork/mpi", 1, 3.5, lambda r: r("fork", "carry") / r("mpi", "copy"),
     "the same, beside messages of 64 KiB of Open MPI"),
    ("uneven-guided/static", 1, 1, lambda r: r("thread", "uneven-guided") / r("thread", "uneven-static"),
     "rows of the Mandelbrot set a second, default chunks over a half for each worker"),
]
for grain, default, unit in ((100, .93, .87), (1000, .97, .965), (10000, .975, .98)):
    for of, target in (("grain", default), ("unit", unit)):
        text = "default chunk" if of == "grain" else "chunks of 1"
        key = f"{of}-{grain}"
        FIGURES.append((f"{key}-thread", 1, target, lambda r, k=key: r("thread", k),
                        f"efficiency at {grain} ns an item, {text}"))
        FIGURES.append((f"{key}-thread-openmp", 1, -0.02 if of == "grain" else 0,
                        lambda r, k=key: r("thread", k) - r("openmp", k), "difference of efficiencies"))
for engine in ("thread", "fork", "futures-thread", "futures-process"):
    for many in (16, 64, 256):
        FIGURES.append((f"many-{many}-{engine}", 1, 0.5,
                        lambda r, e=engine, n=many: r(e, f"many-{n}") / r(e, "many-2"),
                        f"tasks of 1 us: rate of {many} workers over that of 2, nobody bound"))

# name, the values of a round, how their medians are told: figures without a target
NOTES = [("helped-openmp", lambda r: (r("openmp", "helped") / 1e3,), "{:.3g} us: libgomp's taskwait, a task's share"),
         ("submit-fork/mpi-windows", lambda r: (r("fork", "submit") / r("mpi", "windows"),),
          "x{:.3g}: beside windows of 64 messages of Open MPI that do not wait, whose results come together"),
         ("copy-limit", lambda r: tuple(r(*side) / r("floor", "copy")
                                        for side in (("thread", "copy"), ("openmp", "copy"), ("floor", "copy-two"))),
          "64 KiB in and out over one-core memcpy: prony {:.3g}, libgomp {:.3g}, two bare threads {:.3g}")]
for engine in ("thread", "fork"):
    for policy in ("spin", "adaptive", "park"):
        NOTES.append((f"idle-{engine}-{policy}",
                      lambda r, e=engine, p=f"wait-{policy}": (r(e, p) / 1e3, r("floor", "idle") / 1e3, r(e, f"{p}-cpu")),
                      "submit to result after 1 ms {:.3g} us (a futex wake {:.3g} us), {:.2g} cores meanwhile"))


def measure(folder, rounds, values):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    kept, lines, moved = [], [], 0
    while len(kept) < rounds:
        taken = Round(folder, env)
        before = taken("floor", "hot")
        for value in values:
            with contextlib.suppress(Absent):
                value(taken)
        after = Round(folder, env)("floor", "hot")
        if not 0.8 <= before / after <= 1.25 and moved < rounds:
            moved += 1
            continue
        kept.append(taken)
        lines.append(after)
    return kept, lines, moved


def judge(figure, kept, lines):
    """True: missed; None: a peer is absent."""
    name, side, target, value, what = figure
    try:
        values = [value(taken) for taken in kept]
    except Absent as absent:
        print(f"{name} null {'>=' if side > 0 else '<='}{target:g} undecided # {what}: {absent}")
        return None
    if name == "submit-thread-M/s":
        values = [v for v, line in zip(values, lines) if line < RATE_LINE_NS]
        if not values:
            print(f"{name} null {target} undecided # line RT was never under {RATE_LINE_NS} ns")
            return False
    middle = statistics.median(values)
    low, high = interval(values)
    good, bad = (low >= target, high < target) if side > 0 else (high <= target, low > target)
    state = "ok" if good else "missed" if bad else "undecided"
    print(f"{name} {middle:.3g} {'>=' if side > 0 else '<='}{target:g} {state} # {what}; 95% interval {low:.3g} to "
          f"{high:.3g}, {len(values)} rounds")
    return state == "missed"


def judge_beside(prony, only):
    """Our engines beside those of Python's that they mirror, on every row of engines.json: the factors of one run of prony,
    which pairs its visits by blocks. True when one is missed; None when prony is not there."""
    if only and not only.startswith("beside"):
        return False
    if not os.access(prony, os.X_OK):
        print(f"# beside Python: no program at {prony}; build it, or name it with PRONY")
        return None
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([prony, "run", os.path.join(os.path.dirname(__file__), "engines.json"), "-q", "--counters", "none",
                              "-o", os.path.join(folder, "run")], capture_output=True, text=True, timeout=400, check=False)
        try:
            with open(os.path.join(folder, "run", "report.json"), encoding="utf-8") as file:
                cells = json.load(file)["cells"]
        except (OSError, ValueError):
            raise SystemExit(f"engines: prony run: {run.stderr.strip()}") from None
    missed = False
    for cell in cells:
        beside = cell.get("stats", {}).get("beside")
        if not cell["engine"].startswith("python-"):
            continue
        name = "beside-" + "-".join(part for part in cell["id"].split("/") if part != "compact")
        if only not in name:
            continue
        if beside is None:
            print(f"{name} null >=1 undecided # {cell['status']}: {cell['reason'] or 'its mirror was not measured'}")
            continue
        low, high = beside["ci95"] or (0, math.inf)
        state = "ok" if low >= 1 else "missed" if high < 1 else "undecided"
        print(f"{name} {beside['factor']:.3g} >=1 {state} # {beside['cell'].split('/')[1]} against {cell['engine']}; 95% "
              f"interval {low:.3g} to {high:.3g}, {len(cell['visits'])} visits")
        missed |= state == "missed"
    return missed


def cross_check(folder, kept):
    """Peers that prony has no part in: do they agree on who is faster?"""
    programs = sorted(entry.path for entry in os.scandir(folder) if entry.is_file() and os.access(entry.path, os.X_OK))
    if not programs:
        raise SystemExit(f"engines: no program in {folder}")
    for program in programs:
        mpi = "mpi" in os.path.basename(program)
        run = subprocess.run([*MPIRUN, "3", program] if mpi else [program], capture_output=True, text=True, timeout=120,
                             check=False)
        try:
            peer = json.loads(run.stdout.strip().splitlines()[-1])
            rates = peer["a_tasks_s"], peer["e_tasks_s"]
        except (ValueError, IndexError, KeyError):
            print(f"# {os.path.basename(program)}: no figure for submitting and copying (exit {run.returncode})")
            continue
        submit, copy = [statistics.median(taken(*metric) for taken in kept)
                        for metric in (("fork" if mpi else "thread", "submit"),
                                       ("fork", "carry") if mpi else ("thread", "copy"))]
        print(f"# {peer['peer']}: {rates[0] / 1e6:.3g} M tasks/s, prony x{submit / rates[0]:.3g}; 64 KiB in and out "
              f"{rates[1] / 1e3:.3g} k/s, prony{' copying' if mpi else ''} x{copy / rates[1]:.3g}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench/engines.sh")
    parser.add_argument("folder", help="where engines.sh built its programs")
    parser.add_argument("prony")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--peers")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    if arguments.rounds < 8:
        parser.error("--rounds takes 8 or more")
    figures = [figure for figure in FIGURES if arguments.only in figure[0]]
    notes = [note for note in NOTES if arguments.only in note[0]]
    if not figures and not notes and not arguments.only.startswith("beside"):
        parser.error(f"no figure's name holds {arguments.only!r}")
    beside = judge_beside(os.environ.get("PRONY", arguments.prony), arguments.only)
    if not figures and not notes:
        return 3 if beside is None else int(beside)
    kept, lines, moved = measure(arguments.folder, arguments.rounds,
                                 [figure[3] for figure in figures] + [note[1] for note in notes])
    print(f"# line RT {min(lines):.0f} to {max(lines):.0f} ns; {moved} rounds repeated because it moved by over 25%")
    print("# submit, hot, idle: caller on the first PU, one worker on the second; the others: workers on both, the caller "
          "shares the first and runs no task")
    if any(figure[0].startswith("submit-thread/") for figure in figures):
        share = statistics.median(taken("openmp", "submit-share") for taken in kept)
        print(f"# submit: libgomp's caller runs {100 * share:.0f}% of the tasks, prony's none")
    missed = [judge(figure, kept, lines) for figure in figures]
    for name, values, text in notes:
        try:
            middle = [statistics.median(column) for column in zip(*(values(taken) for taken in kept))]
        except Absent as absent:
            print(f"# {name}: {absent}")
            continue
        print(f"# {name}: {text.format(*middle)}")
    if arguments.peers:
        cross_check(arguments.peers, kept)
    return 1 if any(missed) or beside else 3 if beside is None or None in missed else 0


if __name__ == "__main__":
    sys.exit(main())
