"""prony run --profile: every task is in the timeline, the kernel is in the stacks, and the files are what they claim."""
import json
import os
import unittest
import xml.etree.ElementTree as ElementTree

import jsonschema
from program import SOURCE, ProgramTest


def fib_tasks(n, cutoff):
    """Tasks of one fib: the root, and one for every call above the cutoff."""
    if n <= cutoff or n < 2:
        return 0
    return 1 + fib_tasks(n - 1, cutoff) + fib_tasks(n - 2, cutoff)


class Profile(ProgramTest):
    def engines(self, *names):
        """Those of the engines that this build has: libgomp is not in one for the thread sanitizer."""
        there = {entry["name"] for entry in json.loads(self.prony("list", "engines", "--json").stdout)
                 if entry["available"]}
        return ",".join(name for name in names if name in there)

    def profiled(self, *arguments):
        self.prony("run", *arguments, "--visits", "1", "--samples", "1", "--counters", "none", "--profile", "-q", "-o",
                   "out")
        with open(self.path("out", "report.json"), encoding="utf-8") as text:
            report = json.load(text)
        with open(os.path.join(SOURCE, "results/schema/report.schema.json"), encoding="utf-8") as text:
            jsonschema.validate(report, json.load(text))
        return [cell for cell in report["cells"] if cell["status"] == "ok"]

    def file(self, cell, ending):
        with open(self.path("out", "profile", f"{cell['profile']['files']}.{ending}"), encoding="utf-8") as text:
            return text.read()

    def trace(self, cell):
        return json.loads(self.file(cell, "trace.json"))["traceEvents"]

    def test_every_task_is_there_for_threads_processes_and_peers(self):
        cells = self.profiled("-w", "spin", "-e", self.engines("thread", "fork", "futures-process", "openmp"), "-n", "2", "-p", "items=50",
                              "-p", "grain=20us")
        self.assertGreaterEqual(len(cells), 3)
        for cell in cells:
            with self.subTest(cell["id"]):
                recorded = cell["profile"]["recorded"]
                self.assertEqual(recorded["overwritten"], 0)
                self.assertEqual(recorded["tasks"], 50 * recorded["repeats"])
                self.assertEqual(recorded["queued"], recorded["tasks"])
                tasks = [event for event in self.trace(cell) if event.get("cat") == "task"]
                self.assertEqual(len(tasks), recorded["tasks"])
                self.assertTrue(all(event["args"]["waited_us"] >= 0 for event in tasks))
                for worker in recorded["workers"]:
                    parts = sum(worker[key] for key in ("busy_ns", "waiting_ns", "idle_ns", "overhead_ns"))
                    self.assertAlmostEqual(parts / recorded["window_ns"], 1, delta=0.02)
                # a task of spin takes its grain at least, whatever else the machine does: busy is work done
                self.assertGreater(sum(worker["busy_ns"] for worker in recorded["workers"]), 0.5 * 20000 * recorded["tasks"])

    def test_a_nest_has_as_many_tasks_as_its_recursion(self):
        cells = self.profiled("-w", "fib", "-e", self.engines("thread", "fork", "openmp"), "-n", "2", "-p", "n=18", "-p", "cutoff=8")
        for cell in cells:
            with self.subTest(cell["id"]):
                recorded = cell["profile"]["recorded"]
                self.assertEqual(recorded["tasks"], (1 + fib_tasks(18, 8)) * recorded["repeats"])
                self.assertGreater(recorded["critical_path_ns"], 0)
                if recorded["steals"] >= 100:  # a busy machine may leave the second worker no time to steal
                    self.assertTrue(any(event["name"] == "wait: kids" for event in self.trace(cell) if event["ph"] == "X"))

    def test_waits_for_locks_and_messages_are_seen(self):
        cells = {cell["workload"]: cell for cell in
                 self.profiled("-w", "pingpong,lock", "-e", "fork", "-n", "2", "-p", "lock.hold=1000", "-p", "lock.items=100k")}
        names = {event["name"] for event in self.trace(cells["pingpong"])}
        self.assertLessEqual({"wait: send", "wait: receive"}, names)
        self.assertIn("wait: peers", names)
        if len(os.sched_getaffinity(0)) > 1:
            self.assertIn("wait: lock", {event["name"] for event in self.trace(cells["lock"])})

    def test_a_trace_has_what_viewers_need(self):
        cell = self.profiled("-w", "spin", "-e", "thread", "-n", "2")[0]
        events = self.trace(cell)
        for event in events:
            self.assertIn(event["ph"], ("X", "M", "s", "f"))
            self.assertIsInstance(event["pid"], int)
            self.assertIsInstance(event["name"], str)
            if event["ph"] == "X":
                self.assertGreaterEqual(event["ts"], 0)
                self.assertGreaterEqual(event["dur"], 0)
        names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
        self.assertEqual(len(names), 3)
        self.assertEqual(names[2], "caller")

    def test_stacks_name_the_kernel_in_threads_and_processes(self):
        cells = self.profiled("-w", "primes", "-e", "thread,fork", "-n", "2")
        for cell in cells:
            sampled = cell["profile"]["sampled"]
            if sampled["samples"] == 0:
                self.assertTrue(sampled["reason"])
                self.skipTest(sampled["reason"])
            if sampled["unnamed"] == sampled["frames"]:
                self.skipTest(sampled["reason"])
            with self.subTest(cell["id"]):
                lines = [line.rsplit(" ", 1) for line in self.file(cell, "folded").splitlines()]
                self.assertEqual(sum(int(count) for _, count in lines), sampled["samples"])
                inside = sum(int(count) for stack, count in lines if "primes" in stack)
                self.assertGreater(inside, sampled["samples"] / 2)
                self.assertTrue(all(stack.startswith("worker ") for stack, _ in lines))
                ElementTree.fromstring(self.file(cell, "svg"))
                ElementTree.fromstring(self.file(cell, "timeline.svg"))
                self.check_speedscope(json.loads(self.file(cell, "speedscope.json")), sampled["samples"])

    def check_speedscope(self, scope, samples):
        self.assertEqual(scope["$schema"], "https://www.speedscope.app/file-format-schema.json")
        frames = scope["shared"]["frames"]
        self.assertTrue(all(isinstance(frame["name"], str) for frame in frames))
        total = 0
        for profile in scope["profiles"]:
            self.assertEqual(profile["type"], "sampled")
            self.assertEqual(len(profile["samples"]), len(profile["weights"]))
            self.assertEqual(profile["endValue"], sum(profile["weights"]))
            self.assertTrue(all(0 <= index < len(frames) for stack in profile["samples"] for index in stack))
            total += sum(profile["weights"])
        self.assertEqual(total, samples)

    def test_exports_hold_all_cells(self):
        cells = self.profiled("-w", "spin", "-e", "thread,fork", "-n", "1")
        trace = json.loads(self.prony("report", "out", "--out", "trace:-").stdout)
        tasks = [event for event in trace["traceEvents"] if event.get("cat") == "task"]
        self.assertEqual(len(tasks), sum(cell["profile"]["recorded"]["tasks"] for cell in cells))
        self.assertEqual(len({event["pid"] for event in tasks}), len(cells))
        if all(cell["profile"]["sampled"]["samples"] for cell in cells):
            folded = self.prony("report", "out", "--out", "folded").stdout
            self.assertTrue(all(any(line.startswith(cell["id"] + ";worker 0") for line in folded.splitlines())
                                for cell in cells))
            ElementTree.fromstring(self.prony("report", "out", "--out", "flamegraph:-").stdout)
            scope = json.loads(self.prony("report", "out", "--out", "speedscope").stdout)
            self.assertEqual(len(scope["profiles"]), len(cells))
        with open(self.path("out", "report.html"), encoding="utf-8") as text:
            page = text.read()
        self.assertIn("id=profile", page)
        self.assertIn("prony-timeline", page)

    def test_measured_figures_stay_without_a_profile_and_lives_say_why(self):
        cells = self.profiled("-w", "start", "-e", "thread", "-n", "1")
        self.assertTrue(cells)
        self.assertFalse(cells[0]["profile"]["taken"])
        self.assertIn("come and go", cells[0]["profile"]["reason"])
        self.assertIn(len(cells[0]["visits"]), (1, 2))  # the one that was asked for, and one more when it was disturbed

    def test_mistakes(self):
        self.refused("run", "-w", "spin", "-e", "serial", "--out", "trace", says="add --profile")
        self.prony("run", "-w", "spin", "-e", "serial", "--visits", "1", "--samples", "1", "-q", "-o", "plain")
        done = self.prony("report", "plain", "--out", "trace:-", code=3)
        self.assertIn("--profile", done.stderr)


if __name__ == "__main__":
    unittest.main()
