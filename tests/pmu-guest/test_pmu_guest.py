"""prony itself, cross-built for arm64, in an emulated machine that has a PMU: there hardware counters have known answers.

The emulator counts instructions for all its CPUs together, so the guest has one; workers share it, and each must still
count its own instructions alone. Everything comes from Debian's packages, kept in build/pmu-guest."""
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["PRONY_SOURCE"]
HERE = os.path.join(SOURCE, "tests", "pmu-guest")
FOLDER = os.path.join(SOURCE, "build", "pmu-guest")
TOOLS = {"qemu-system-aarch64": "qemu-system-arm", "cpio": "cpio", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
         "cmake": "cmake", "ninja": "ninja-build", "apt-get": "apt", "dpkg": "dpkg"}
ENGINES = ("serial", "thread", "fork", "futures-thread", "futures-process")
TURNS = 10_000_000
ATTACH_USES = ("counters", "base")
TOLERANCE = 0.001
MANY = ("PAPI_TOT_INS", "PAPI_TOT_CYC", "PAPI_L1_ICM", "PAPI_L1_DCA", "PAPI_L1_ICA", "PAPI_L2_DCA", "PAPI_L1_DCM",
        "PAPI_L2_DCM", "PAPI_BR_INS", "PAPI_BR_MSP")

# One event under many names: more of them than the CPU has counters, a few and far too many.
SHARED = ["r" + "0" * i + "8" for i in range(8)]
CROWD = ["r" + "0" * i + "8" for i in range(32)]

SUITE = {"suite": "guest", "summary": "every engine under a loop of known length", "visits": 2, "samples": 2,
         "launches": 1, "oversubscribe": True,
         "rows": [{"engines": list(ENGINES), "workloads": ["loop"], "workers": ["1", "2"]}]}

JOB = """set -e
./prony run guest.json --plugin ./loop.so -p turns={turns} --counters papi:PAPI_TOT_INS+PAPI_TOT_CYC -q -o /out/exact
./prony run -w ./loop.so -e serial -n 1 -p turns={turns} --visits 6 --samples 1 --counters papi:{many} -q -o /out/many
./prony run -w ./loop.so -e serial -n 1 -p turns={turns} --visits 2 --samples 1 --counters perf:{shared} -q -o /out/shared
./prony run -w ./loop.so -e serial -n 1 -p turns={turns} --visits 2 --samples 1 --counters perf:{crowd} -q -o /out/crowd
./prony run guest.json --plugin ./loop.so -p turns={turns} --only 'loop/[tf]*' --counters perf:instructions -q -o /out/perf
./prony exec --visits 2 --samples 1 --counters perf:instructions+cycles --json -- ./family {turns} 2 3 >/out/family.json
./attach >/out/attached
./prony list counters --probe --json >/out/list.json
"""
JOB_WITHOUT = """set -e
./prony run -w ./loop.so -e serial -n 1 -p turns={turns} --visits 2 --samples 1 \
    --counters papi:PAPI_TOT_INS+PAPI_TOT_CYC -q -o /out/without
"""


def unavailable():
    """What is missing here, or None."""
    missing = [f"{tool} ({package})" for tool, package in TOOLS.items() if shutil.which(tool) is None]
    return "not installed: " + ", ".join(missing) if missing else None


def call(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout + done.stderr


def build():
    """The arm64 program and the plug-in. 0, or an exit code and what was said."""
    code, said = call(os.path.join(HERE, "packages.sh"), FOLDER, timeout=300)
    if code != 0:
        return code, said
    tree = os.path.join(FOLDER, "build")
    code, said = call("cmake", "-S", SOURCE, "-B", tree, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                      "-DPRONY_TESTS=OFF", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON",
                      "-DPRONY_SYSROOT=" + os.path.join(FOLDER, "sysroot"),
                      "-DCMAKE_TOOLCHAIN_FILE=" + os.path.join(HERE, "arm64.cmake"), timeout=120)
    if code == 0:
        code, said = call("ninja", "-C", tree, "prony", timeout=500)
    if code == 0:
        code, said = call("aarch64-linux-gnu-gcc", "-O2", "-shared", "-fPIC", "-I", os.path.join(SOURCE, "include"),
                          "-o", os.path.join(tree, "loop.so"), os.path.join(HERE, "loop.c"))
    if code == 0:
        code, said = call("aarch64-linux-gnu-gcc", "-O2", "-static", "-pthread", "-o", os.path.join(tree, "family"),
                          os.path.join(HERE, "family.c"))
    if code == 0:
        libraries = [os.path.join(tree, "lib", f"libprony_{name}.a") for name in ATTACH_USES]
        code, said = call("aarch64-linux-gnu-gcc", "-O2", "-static", "-pthread", "-I", os.path.join(SOURCE, "include"), "-o",
                          os.path.join(tree, "attach"), os.path.join(HERE, "attach.c"), *libraries, "-lm")
    if code == 0:
        code, said = call("aarch64-linux-gnu-strip", "-o", os.path.join(tree, "stripped"),
                          os.path.join(tree, "bin", "prony"))
    return code, said


def boot(where, name, job, *options):
    """Runs the job in a guest; the folder with what it left. The job is text, with files beside it."""
    tree = os.path.join(FOLDER, "build")
    folder, out = os.path.join(where, "job-" + name), os.path.join(where, "out-" + name)
    os.mkdir(folder)
    shutil.copy(os.path.join(tree, "stripped"), os.path.join(folder, "prony"))
    shutil.copy(os.path.join(tree, "loop.so"), folder)
    os.chmod(os.path.join(folder, "loop.so"), 0o755)
    for program in ("family", "attach"):
        shutil.copy(os.path.join(tree, program), folder)
    with open(os.path.join(folder, "guest.json"), "w", encoding="utf-8") as suite:
        json.dump(SUITE, suite)
    with open(os.path.join(folder, "run.sh"), "w", encoding="utf-8") as script:
        script.write(job.format(turns=TURNS, many="+".join(MANY), shared="+".join(SHARED), crowd="+".join(CROWD)))
    code, said = call(os.path.join(HERE, "boot.sh"), "-s", "1", *options, FOLDER, folder, out, timeout=200)
    if code != 0:
        raise RuntimeError(f"the guest ended with {code}:\n{said}")
    return out


def load(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


class Guest(unittest.TestCase):
    """A machine with a PMU."""
    @classmethod
    def setUpClass(cls):
        cls.where = tempfile.mkdtemp(prefix="prony-guest-")
        cls.addClassCleanup(shutil.rmtree, cls.where)
        cls.out = boot(cls.where, "pmu", JOB)
        cls.without = boot(cls.where, "without", JOB_WITHOUT, "-i", "off")

    def test_every_worker_counts_its_own_instructions(self):
        cells = load(self.out, "exact", "report.json")["cells"]
        self.assertEqual({(cell["engine"], cell["workers"]) for cell in cells},
                         {(engine, n) for engine in ENGINES for n in (1, 2)} - {("serial", 2)})
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            counters = cell["counters"]
            self.assertEqual(len(counters["workers"]), cell["workers"])
            for i, worker in enumerate(counters["workers"]):
                events = worker["events"]
                known = 2 * TURNS * (i + 1) * counters["samples"] * cell["repeats"]
                self.assertEqual(events["PAPI_TOT_INS"]["status"], "counted", events)
                self.assertLessEqual(abs(events["PAPI_TOT_INS"]["value"] / known - 1), TOLERANCE, cell["id"])
                self.assertEqual(events["PAPI_TOT_CYC"]["status"], "counted", events)
                self.assertGreater(events["PAPI_TOT_CYC"]["value"], 0)
            # The emulator runs at a fixed number of cycles an instruction.
            self.assertAlmostEqual(counters["derived"]["ipc"]["value"], 0.25, places=3)

    def test_more_events_than_counters_take_turns(self):
        report = load(self.out, "many", "report.json")
        counters = report["cells"][0]["counters"]
        events = counters["workers"][0]["events"]
        self.assertEqual([name for name, event in events.items() if event["status"] == "no counter"], [])
        self.assertGreater(len(report["plan"]["counters"]["sets"]), 1)
        self.assertEqual(sorted(sum(report["plan"]["counters"]["sets"], [])), sorted(MANY))
        counted = {name: event for name, event in events.items() if event["status"] == "counted"}
        self.assertIn("PAPI_TOT_INS", counted)
        for name, event in counted.items():
            self.assertGreater(event["samples"], 0, name)
            self.assertLess(event["samples"], counters["samples"], name)
        known = 2 * TURNS * counted["PAPI_TOT_INS"]["samples"]
        self.assertLessEqual(abs(counted["PAPI_TOT_INS"]["value"] / known - 1), TOLERANCE)
        for name, event in events.items():
            if event["status"] != "counted":
                self.assertIsNone(event["value"], name)
                self.assertTrue(event["reason"], name)

    def test_shared_counters_are_scaled_by_their_ratio(self):
        report = load(self.out, "shared", "report.json")
        counters = report["cells"][0]["counters"]
        for name, event in counters["workers"][0]["events"].items():
            self.assertEqual(event["status"], "scaled", (name, event))
            self.assertEqual(event["samples"], counters["samples"], name)
            ratio = event["running_ns"] / event["enabled_ns"]
            self.assertTrue(0.2 <= ratio < 1, (name, event))
            # The loop is even, so that the part that was counted tells the whole: within a turn of the kernel's wheel.
            self.assertLess(abs(event["value"] / (2 * TURNS * counters["samples"]) - 1), 0.15, (name, event))
        self.assertTrue(any("scaled" in note for note in report["plan"]["notes"]), report["plan"]["notes"])

    def test_a_count_of_too_small_a_part_is_refused(self):
        counters = load(self.out, "crowd", "report.json")["cells"][0]["counters"]
        events = counters["workers"][0]["events"]
        self.assertEqual(len(events), 32)
        refused = [event for event in events.values() if event["status"] == "no counter"]
        self.assertGreater(len(refused), 0, events)
        for name, event in events.items():
            ratio = event["running_ns"] / event["enabled_ns"]
            self.assertEqual(event["status"], "scaled" if ratio >= 0.2 else "no counter", name)
        for event in refused:
            self.assertIsNone(event["value"])
            self.assertRegex(event["reason"], "had a counter [0-9.]+% of the time")

    def test_perf_counts_each_worker_alone(self):
        cells = load(self.out, "perf", "report.json")["cells"]
        self.assertGreater(len(cells), 3)
        for cell in cells:
            counters = cell["counters"]
            for i, worker in enumerate(counters["workers"]):
                event = worker["events"]["instructions"]
                known = 2 * TURNS * (i + 1) * counters["samples"] * cell["repeats"]
                self.assertEqual(event["status"], "counted", event)
                self.assertLessEqual(abs(event["value"] / known - 1), TOLERANCE, cell["id"])

    def test_a_program_is_counted_with_its_threads_and_children(self):
        counters = load(self.out, "family.json")["cells"][0]["counters"]
        event = counters["workers"][0]["events"]["instructions"]
        self.assertEqual(event["status"], "counted", event)
        self.assertLessEqual(abs(event["value"] / (2 * TURNS * 6 * counters["samples"]) - 1), TOLERANCE, event)

    def test_a_thread_is_counted_from_outside(self):
        with open(os.path.join(self.out, "attached"), encoding="utf-8") as file:
            lines = [line.split() for line in file]
        self.assertEqual(len(lines), 2)
        for _, counted, known in lines:
            self.assertLessEqual(abs(int(counted) / int(known) - 1), TOLERANCE, lines)

    def test_the_probe_finds_counters(self):
        papi = [entry for entry in load(self.out, "list.json") if entry["name"] == "papi"]
        self.assertEqual([entry["available"] for entry in papi], [True])

    def test_a_counter_that_stands_still_is_implausible(self):
        cell = load(self.without, "without", "report.json")["cells"][0]
        events = cell["counters"]["workers"][0]["events"]
        self.assertEqual(cell["status"], "ok", cell["reason"])
        self.assertEqual(events["PAPI_TOT_INS"]["status"], "implausible")
        self.assertIsNone(events["PAPI_TOT_INS"]["value"])
        self.assertIn("counted 0", events["PAPI_TOT_INS"]["reason"])
        self.assertEqual(events["PAPI_TOT_CYC"]["status"], "counted")
        self.assertIsNone(cell["counters"]["derived"]["ipc"]["value"])


def main():
    reason = unavailable()
    if reason is None:
        os.makedirs(FOLDER, exist_ok=True)
        with open(os.path.join(FOLDER, "lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the folder is shared by all build presets
            code, said = build()
            if code not in (0, 77):
                print(said)
                sys.exit(1)
            reason = said if code == 77 else None
            if reason is None:
                unittest.main()
    print("skipped:", reason)
    sys.exit(77)


if __name__ == "__main__":
    main()
