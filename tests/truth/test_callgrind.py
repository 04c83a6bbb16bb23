"""Counting by simulation: a loop of a known number of instructions, exact in each worker and the same in every run."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import simulated

PRONY = os.environ["PRONY"]
SOURCE = os.environ["PRONY_SOURCE"]
ENGINES = ("serial", "thread", "fork", "futures-thread", "futures-process")
REPETITIONS = 2  # one to warm up and one more: both are counted


class Loop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="prony-callgrind-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.plugin = os.path.join(cls.folder, "loop.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-I", os.path.join(SOURCE, "include"), "-o", cls.plugin,
                        os.path.join(SOURCE, "tests", "pmu-guest", "loop.c")], check=True)
        os.chmod(cls.plugin, 0o755)

    def count(self, turns, engines, workers):
        """(engine, worker) -> events."""
        out = tempfile.mkdtemp(dir=self.folder)
        done = subprocess.run([PRONY, "run", "-w", self.plugin, "-e", ",".join(engines), "-n", str(workers), "-p",
                               f"turns={turns}", "--visits", "1", "--samples", "1", "--counters",
                               "callgrind:instructions+branches", "-q", "-o", os.path.join(out, "run")], capture_output=True, text=True, timeout=300, check=False,
                              env={**os.environ, "TMPDIR": out})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(out), ["run"])  # what the tool left is gone
        with open(os.path.join(out, "run", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        events = {}
        for cell in report["cells"]:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            self.assertEqual(cell["counters"]["samples"], REPETITIONS)
            self.assertEqual(cell["counters"]["repeats"], 1)
            for worker in cell["counters"]["workers"]:
                events[cell["engine"], worker["worker"]] = worker["events"]
        return events

    def test_instructions_are_exact_in_every_worker(self):
        few, many = self.count(100_000, ENGINES[1:], 2), self.count(150_000, ENGINES[1:], 2)
        self.assertEqual(set(few), {(engine, worker) for engine in ENGINES[1:] for worker in (0, 1)})
        for (engine, worker), events in few.items():
            others = many[engine, worker]
            for name, a_turn in (("instructions", 2), ("branches", 1)):
                self.assertEqual(events[name]["status"], "counted", events[name]["reason"])
                self.assertEqual(events[name]["source"], "callgrind (simulated)")
                more = others[name]["value"] - events[name]["value"]
                self.assertEqual(more, REPETITIONS * a_turn * 50_000 * (worker + 1), (engine, worker, name))
                beside = events[name]["value"] - REPETITIONS * a_turn * 100_000 * (worker + 1)
                self.assertLess(beside, 200 * REPETITIONS, (engine, worker, name))
                self.assertGreaterEqual(beside, 0)

    def test_three_runs_are_the_same(self):
        runs = [self.count(100_000, ("serial",), 1) for _ in range(3)]
        values = {tuple(event["value"] for event in events.values()) for run in runs for events in run.values()}
        self.assertEqual(len(values), 1, values)

    def test_without_valgrind_the_measurement_goes_on(self):
        out = tempfile.mkdtemp(dir=self.folder)
        done = subprocess.run([PRONY, "run", "-w", "empty", "-e", "serial", "-n", "1", "--visits", "1", "--samples", "1",
                               "--counters", "callgrind", "-q", "-o", os.path.join(out, "run")], capture_output=True,
                              text=True, timeout=60, check=False, env={**os.environ, "PATH": "/nowhere"})
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(out, "run", "report.json"), encoding="utf-8") as file:
            cell = json.load(file)["cells"][0]
        self.assertEqual(cell["status"], "ok")
        for event in cell["counters"]["workers"][0]["events"].values():
            self.assertEqual((event["status"], event["value"]), ("not supported", None))
            self.assertIn("install valgrind", event["reason"])


if __name__ == "__main__":
    simulated.main("cc")
