"""Runs ipc_loops and its peers and judges the figures of ipc.sh. Everything is written into a temporary folder, which is
removed.

A launch is a fresh pair of processes, reduced to medians over its own rounds; launches of all measurements alternate in a
seeded order. A figure is ok when the whole distribution-free interval of its median over launches lies on the right side of
the target, missed when all of it lies on the other, and undecided when the target lies in it (docs/method.md). What is
undecided after N launches is launched again, up to 2 N and to 4 N; the intervals of these three looks are together wrong in
at most 5% (looks.py)."""
import argparse
import fnmatch
import json
import math
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from harness import Absent
from looks import Looks

BUILD = os.environ["BUILD"]
LOOPS = os.path.join(BUILD, "bin", "ipc_loops")
FOLDER = os.path.dirname(os.path.abspath(__file__))
QUICK_LINE_NS = 130
MOVED = 1.25
SPIN = ("pipe", "fifo", "vmsplice", "unix-stream", "unix-dgram", "unix-seqpacket", "tcp", "udp", "posix-mq", "sysv-mq",
        "eventfd", "sysv-shm-sem", "signal", "signalfd", "process-vm", "memfd-pass", "io-uring", "zeromq", "mp-queue")
SLOW = ("io-uring", "zeromq", "mp-queue", "memfd-pass")  # tens of us a round trip
MEMORY = ("futex", "posix-sem-shm", "mutex-cond")  # no system call while they spin: stated in ns
# They call the kernel only if the other side sleeps, or if nothing is there yet. When answers come within the time of a
# call, a few ns decide how many calls there are, in bare loops too. Each message is kept back until the other side sleeps.
HELD = MEMORY + ("signal", "signalfd")
HOLD_NS = 20000
SIZES = (64, 256, 4096, 65536, 1 << 20)
SHORT_NS, LONG_NS = (5000, 25000), (200000, 1000000)
LIMIT_S, LAST_S = 480, 540  # after which no launch begins beyond the seventh; and nothing at all
LOOKS = (1, 2, 4)  # times the number of launches
RING_S = 5  # a launch whose line RT keeps moving is not repeated for longer


def run(command, limit_s=120, **more):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s,
                              check=False, **more)
    except (OSError, subprocess.TimeoutExpired) as why:
        raise Absent(f"{os.path.basename(command[0])}: {why}") from why
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["(it said nothing)"])[-1]
        raise Absent(f"{' '.join(command)[-120:]} ended with {done.returncode}: {last}")
    return done.stdout, done.stderr


def rows(*arguments):
    return [[float(word) for word in line.split()] for line in run([LOOPS, *map(str, arguments)])[0].splitlines()]


def steady(before, after):
    return max(before, after) <= MOVED * min(before, after)


class Bench:
    def __init__(self, options, folder):
        self.pus, self.full, self.folder = options.pus, options.full, folder
        self.values, self.notes, self.null = {}, {}, {}
        self.lines, self.marked = [], 0

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def kernel(self, channel, wait, name, hold_ns):
        memory = wait == "spin" and channel in MEMORY
        counts = (400, 4 if hold_ns else 10) if wait == "block" else (80, 25 if channel in SLOW else 250)
        [[ratio, null, ours, bare]] = rows("kernel", self.pus, channel, wait, *counts, hold_ns)
        self.note(name, (ours - bare) / 2 if memory else math.exp(ratio))
        self.null.setdefault(name, []).append(math.exp(null))
        self.notes.setdefault(name, []).append((ours, bare))

    def ring(self):
        """Rounds in which line RT moved are marked and repeated."""
        found = {name: [] for name in ("slots", "bytes", "one-slots", "one-bytes")}
        begun = time.monotonic()
        for _ in range(4):
            for before, slots, many, after, one_slots, one_bytes, last in rows("ring", self.pus, 60):
                line = (before + after) / 2
                self.lines.append(line)
                if steady(before, after):
                    found["slots"].append(slots / line)
                    found["bytes"].append(many / line)
                if steady(after, last):
                    if max(after, last) < QUICK_LINE_NS:
                        found["one-slots"].append(1e3 / one_slots)
                        found["one-bytes"].append(1e3 / one_bytes)
                if not (steady(before, after) and steady(after, last)):
                    self.marked += 1
            if len(found["slots"]) >= 30 or time.monotonic() - begun > RING_S:
                break
        for name, values in found.items():
            if len(values) >= 15:
                self.note("ring-" + name, statistics.median(values))

    def size(self, bytes_):
        got = rows("size", self.pus, 15, bytes_, "wait=spin")
        ring, bare = (statistics.median(row[i] for row in got) for i in (1, 2))
        self.lines += [row[0] for row in got]
        if bytes_ >= 4096:
            past = statistics.median(row[1] for row in rows("size", self.pus, 15, bytes_, "wait=spin,nontemporal=4Ki"))
            self.note(f"ring-handoff-{bytes_}", statistics.median(row[2] / row[1] for row in got))
            self.note(f"ring-nontemporal-{bytes_}", ring / past)
        return ring, statistics.median(row[0] for row in got)

    def sizes(self, peer):
        ring = {bytes_: self.size(bytes_) for bytes_ in SIZES}
        if self.full:
            self.size(16 << 20)
        if peer is None:
            return
        out, _ = run(["mpirun", "-np", "2", "--bind-to", "none", "--oversubscribe", "--mca", "btl", "self,vader", peer,
                      self.pus, "15", *map(str, SIZES)], cwd=self.folder,
                     env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"))
        times = {}
        for line in out.splitlines():
            bytes_, one, many = line.split()
            times.setdefault(int(bytes_), []).append(min(float(one), float(many)))
        for bytes_, values in times.items():
            ours, line = ring[bytes_]
            name = f"ring-openmpi-{bytes_}"
            if bytes_ >= 4096 or line < QUICK_LINE_NS:
                self.note(name, statistics.median(values) / ours)
                self.notes.setdefault(name, []).append((ours, statistics.median(values)))

    def pace(self, channel, gap_ns):
        messages = max(50, min(300, int(6e7 / gap_ns)))
        got = rows("pace", self.pus, 5, channel, gap_ns, messages)
        spin, block, adaptive, _, block_cpu, cpu = (statistics.median(row[i] for row in got) for i in range(6))
        name = f"adaptive-{channel}-{gap_ns // 1000}us"
        if gap_ns in SHORT_NS:
            self.note(name, adaptive / spin)
            self.notes.setdefault(name, []).append((adaptive, spin))
        else:
            self.note(name, adaptive / block)
            self.notes.setdefault(name, []).append((adaptive, block))
            self.note(name + "-cpu", cpu / block_cpu)
            self.notes.setdefault(name + "-cpu", []).append((cpu, block_cpu))

    def outside(self):
        """perf's own loop over pipes, both sides on one PU, beside ours there."""
        pu = self.pus.split(",")[0]
        if shutil.which("perf") is None or shutil.which("taskset") is None:
            raise Absent("perf or taskset is not installed")
        out, _ = run(["taskset", "-c", pu, "perf", "bench", "-f", "simple", "sched", "pipe", "-l", "20000"])
        theirs = float(out.split()[0]) * 1e9 / 20000
        ours = statistics.median(row[1] for row in rows("trips", f"{pu},{pu}", 20, "pipe", "wait=block", 4, 1000))
        self.note("pipe-perf-bench", ours / theirs)
        self.notes.setdefault("pipe-perf-bench", []).append((ours, theirs))

    def suite(self, name):
        folder = os.path.join(self.folder, name)
        begun = time.monotonic()
        run([os.environ["PRONY"], "run", name, "-q", "-o", folder], limit_s=1800, cwd=self.folder)
        self.note(f"suite-{name}-s", time.monotonic() - begun)
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as text:
            states = [cell["status"] for cell in json.load(text)["cells"]]
        shutil.rmtree(folder)
        self.notes[f"suite-{name}-s"] = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))


def figures(options):
    """name, target (None: stated only), whether at least and not at most, what."""
    for name, target in (("ipc", 120),) + ((("ipc-full", 900),) if options.full else ()):
        if options.suites:
            yield f"suite-{name}-s", target, False, "wall time"
    yield "ring-slots", 1.45, False, "round trip of 64 B, spinning, fixed slots, over line RT"
    yield "ring-bytes", 2.2, False, "the same, the byte ring"
    yield "ring-one-bytes", 25, True, f"M messages/s of 64 B one way, read in batches, while line RT < {QUICK_LINE_NS} ns"
    yield "ring-one-slots", None, True, "the same, each message told of by itself"
    large = [size for size in SIZES if size >= 4096] + ([16 << 20] if options.full else [])
    for size in large:
        yield f"ring-handoff-{size}", 0.85, True, "rate over that of a bare hand-off by two processes"
    for size in large:
        yield f"ring-nontemporal-{size}", None, True, "rate with stores past the cache over that without"
    if options.peers:
        for size in SIZES:
            yield f"ring-openmpi-{size}", 1.2, True, "rate over Open MPI's; ns a message"
    for channel in adaptive_channels(options):
        for gap in SHORT_NS:
            yield f"adaptive-{channel}-{gap // 1000}us", 1.15, False, "latency over spin's, the gap under the budget"
        for gap in LONG_NS:
            yield f"adaptive-{channel}-{gap // 1000}us", 1.25, False, "latency over block's, the gap over the budget"
            yield f"adaptive-{channel}-{gap // 1000}us-cpu", 1.25, False, "CPU time of the reader over block's"
    for channel in SPIN:
        yield f"{channel}-spin", 1.07 if channel == "pipe" else 1.03, False, "round trip over a bare loop's; ns"
    for channel in SPIN + MEMORY:
        how = f", each message kept back for {HOLD_NS // 1000} us, which are left out" if channel in HELD else ""
        yield f"{channel}-block", 1.03, False, f"round trip over a bare loop's{how}; ns"
    for channel in HELD:
        yield f"{channel}-block-race", None, False, "the same, none kept back: a race for the number of calls; ns"
    for channel in MEMORY:
        yield f"{channel}-spin-ns", None, False, "ns of an operation over a bare loop's; ns a round trip"
    yield "pipe-perf-bench", None, False, "round trip on one PU over that of perf bench sched pipe; ns"


def adaptive_channels(options):
    return ("shm-ring", "pipe", "futex", "unix-stream", "udp") if options.full else ("shm-ring", "pipe")


def fits(options, name):
    return any(fnmatch.fnmatch(name, glob) for glob in options.only.split(","))


def tasks(bench, options, peer):
    """name: what to call for a launch, and the figures it is for."""
    every = {}
    for channel in SPIN + MEMORY:
        kinds = [("spin", "-ns" if channel in MEMORY else "", 0), ("block", "", HOLD_NS if channel in HELD else 0)]
        for wait, ending, hold_ns in kinds + [("block", "-race", 0)] * (channel in HELD):
            name = f"{channel}-{wait}{ending}"
            every[name] = lambda n=name, c=channel, w=wait, h=hold_ns: bench.kernel(c, w, n, h), [name]
    every["ring"] = bench.ring, ["ring-slots", "ring-bytes", "ring-one-slots", "ring-one-bytes"]
    every["sizes"] = (lambda: bench.sizes(peer),
                      [f"ring-{kind}-{size}" for kind in ("handoff", "openmpi", "nontemporal") for size in SIZES])
    for channel in adaptive_channels(options):
        for gap in SHORT_NS + LONG_NS:
            figure = f"adaptive-{channel}-{gap // 1000}us"
            every[f"adaptive-{channel}-{gap}"] = lambda c=channel, g=gap: bench.pace(c, g), [figure, figure + "-cpu"]
    every["perf"] = bench.outside, ["pipe-perf-bench"]
    return {name: task for name, task in every.items() if any(fits(options, figure) for figure in task[1])}


def build_peer(folder):
    program = os.path.join(folder, "ipc_mpi")
    if shutil.which("mpicc") is None or shutil.which("mpirun") is None:
        raise Absent("mpicc and mpirun were not found: install openmpi-bin and libopenmpi-dev, or say --no-peers")
    run(["mpicc", "-O2", "-D_GNU_SOURCE", "-o", program, os.path.join(FOLDER, "ipc_mpi.c")])
    return program


class Judge:
    """What is decided of a figure: its looks, and those of the bare loop beside itself."""

    def __init__(self, name, target, least):
        self.name, self.target = name, target
        self.looks = None if target is None else Looks(target, least)
        self.null = None if target is None else Looks(math.log(max(target, 1)))

    def look(self, bench, last):
        """ok, missed, undecided."""
        values, null = bench.values.get(self.name), bench.null.get(self.name)
        if self.target is None:
            return "ok"
        verdict = self.looks.look(values, last) if values else "undecided"
        if null and self.null.look([abs(math.log(n)) for n in null], last) != "ok":
            return "undecided"
        return verdict


def line_of(bench, judge, least, what):
    """One figure's line, and its verdict; None where there is nothing."""
    name, target, values = judge.name, judge.target, bench.values.get(judge.name)
    shown = "-" if target is None else f"{'>=' if least else '<='}{target:g}"
    if not values:
        print(f"{name} - {shown} undecided # not measured: {what}")
        return None
    verdict = judge.look(bench, True)
    said = f"median of {len(values)}, {min(values):.4g} to {max(values):.4g}; {what}"
    notes = bench.notes.get(name)
    if isinstance(notes, str):
        said += ": " + notes
    elif notes:
        said += " {:.4g} and {:.4g}".format(*(statistics.median(pair[i] for pair in notes) for i in (0, 1)))
    if name in bench.null:
        said += f"; bare over bare {statistics.median(bench.null[name]):.4f}"
        if target is not None and judge.null.verdict != "ok":
            said += ", which does not pass itself"
    print(f"{name} {statistics.median(values):.4g} {shown} {verdict} # {said}", flush=True)
    return verdict


def parse():
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--launches", type=int, default=10)
    parser.add_argument("--pus", default=",".join(map(str, allowed[:2])))
    parser.add_argument("--only", default="*")
    parser.add_argument("--no-suites", dest="suites", action="store_false")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    options = parser.parse_args()
    if options.launches < 7:
        parser.error("at least 7 launches")
    try:
        if len({int(pu) for pu in options.pus.split(",")} & set(allowed)) != 2:
            raise ValueError
    except ValueError:
        print(f"ipc: two processing units are needed, of {allowed}: {options.pus}", file=sys.stderr)
        sys.exit(3)
    return options


def launch(bench, task, name, label):
    """Runs it once; returns whether that did not work."""
    if sys.stderr.isatty():
        print(f"\r\033[K{label}: {name}", end="", file=sys.stderr, flush=True)
    try:
        task()
    except (Absent, OSError, ValueError, KeyError, IndexError) as why:
        print(f"ipc: {name}: {why}", file=sys.stderr)
        return True
    return False


def measure(bench, options, judges, listed):
    """Runs suites, then launches; returns whether something was absent."""
    absent = False
    begun = time.monotonic()
    order = random.Random(1821)
    for name in ("ipc",) + (("ipc-full",) if options.full else ()):
        if options.suites and fits(options, f"suite-{name}-s"):
            absent |= launch(bench, lambda n=name: bench.suite(n), f"suite-{name}-s", "once")
    for turn in range(options.launches * LOOKS[-1]):
        if turn in [options.launches * times for times in LOOKS]:
            open_ = {name for name, judge in judges.items() if judge.look(bench, False) == "undecided"}
            listed = {name: task for name, task in listed.items() if open_ & set(task[1])}
        names = list(listed)
        order.shuffle(names)
        over = 0 if options.full else time.monotonic() - begun
        if names and turn >= 7 and over > LIMIT_S:
            print(f"ipc: the time is up after {turn} launches: what is undecided stays so", file=sys.stderr)
            break
        for name in names:
            if not options.full and time.monotonic() - begun > LAST_S:
                print(f"ipc: the time is up after {turn} whole launches", file=sys.stderr)
                return absent
            if launch(bench, listed[name][0], name, f"launch {turn + 1}"):
                absent |= name != "perf"
                del listed[name]
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return absent


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the folder is removed, and what runs is ended
    folder = tempfile.mkdtemp(prefix="prony-ipc-")
    bench = Bench(options, folder)
    shown = [figure for figure in figures(options) if fits(options, figure[0])]
    judges = {name: Judge(name, target, least) for name, target, least, _ in shown}
    peer, missed = None, False
    try:
        absent = False
        if options.peers and any(fits(options, f"ring-openmpi-{size}") for size in SIZES):
            try:
                peer = build_peer(folder)
            except Absent as why:
                absent = True
                print(f"ipc: Open MPI: {why}", file=sys.stderr)
        absent |= measure(bench, options, judges, tasks(bench, options, peer))
    finally:
        shutil.rmtree(folder)
    lines = f"line RT {statistics.median(bench.lines):.0f} ns" if bench.lines else "no line RT"
    print(f"# PUs {options.pus}, Linux {platform.release()}, {lines}; {bench.marked} rounds in which it moved by over 25%,"
          " not counted")
    for name, _, least, what in shown:
        missed |= line_of(bench, judges[name], least, what) == "missed"
    return 1 if missed else 3 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
