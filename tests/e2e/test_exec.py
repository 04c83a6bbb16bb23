"""prony exec with programs that count their own launches: cells, order, values, bad input, interruption. No timing decides."""
import csv
import json
import os
import signal
import subprocess
import time
import unittest

from program import PRONY, SOURCE, ProgramTest, is_alive

COUNTED = '#!/bin/sh\necho "$0 $*" >>launches\n'


class Exec(ProgramTest):
    def program(self, name, text=""):
        path = self.write(name, COUNTED + text)
        os.chmod(path, 0o755)
        return "./" + name

    def launches(self):
        if not os.path.exists(self.path("launches")):
            return []
        with open(self.path("launches"), encoding="utf-8") as file:
            return file.read().splitlines()

    def exec(self, *arguments, code=0):
        return self.valid(json.loads(self.prony("exec", "--json", *arguments, code=code).stdout))

    def valid(self, report):
        try:
            import jsonschema
        except ImportError:
            return report
        with open(os.path.join(SOURCE, "results", "schema", "report.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(report, json.load(file))
        return report

    def cell(self, report, name):
        return next(cell for cell in report["cells"] if cell["id"] == "exec/" + name)


class Measuring(Exec):
    def test_every_launch_is_a_sample(self):
        report = self.exec("--visits", "6", "--samples", "2", "--warmup", "3", "--", self.program("a"), "x y", "z")
        cell = report["cells"][0]
        self.assertEqual(self.launches(), ["./a x y z"] * 15)
        self.assertEqual((cell["engine"], cell["workload"], cell["status"]), ("./a 'x y' z", "exec", "ok"))
        self.assertEqual([len(visit["samples_ns"]) for visit in cell["visits"]], [2] * 6)
        self.assertEqual((cell["warm"]["samples"], cell["launches"], cell["verified"]), (3, 15, 12))
        self.assertEqual(cell["stats"]["interval_of"], "visits")
        low, high = cell["stats"]["ci95"]
        self.assertTrue(low <= cell["stats"]["median"] <= high)
        self.assertEqual(cell["about"], "./a 'x y' z")

    def test_what_wait4_tells(self):
        counters = self.exec("--visits", "1", "--samples", "2", "--", "python3", "-c",
                             "b = bytearray(64 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1")["cells"][0]["counters"]
        self.assertEqual((counters["provider"], counters["samples"]), ("wait4", 2))
        self.assertGreater(counters["total"]["process-memory-peak"]["value"], 64 << 20)
        self.assertLess(counters["total"]["process-memory-peak"]["value"], 128 << 20)  # the largest, no sum
        self.assertGreater(counters["total"]["minor-faults"]["value"], 100)
        self.assertGreater(counters["total"]["user-time"]["value"], 0)

    def test_blocks_in_seeded_order(self):
        two = ("--command", self.program("a"), "--command", self.program("b"), "--visits", "12", "--samples", "2",
               "--warmup", "0")
        report = self.exec(*two, "--seed", "7")
        order = self.launches()
        visits = order[::2]
        self.assertEqual(order[1::2], visits)  # a visit stays
        self.assertTrue(all({visits[i], visits[i + 1]} == {"./a ", "./b "} for i in range(0, 24, 2)))
        self.assertEqual(len(set(visits[::2])), 2)  # either may be first
        for cell in report["cells"]:
            self.assertEqual([visit["block"] for visit in cell["visits"]], list(range(12)))
        os.remove(self.path("launches"))
        self.exec(*two, "--seed", "7")
        self.assertEqual(self.launches(), order)
        os.remove(self.path("launches"))
        self.exec(*two, "--seed", "8")
        self.assertNotEqual(self.launches(), order)

    def test_values(self):
        report = self.exec("--command", self.program("a") + " {n} -{mode}x {other}", "--command", self.program("b") +
                           " '{n} {n}'", "-p", "n=1..4*2", "-p", "mode=fast,../slow", "--visits", "1", "--samples", "1",
                           "--warmup", "0")
        self.assertEqual(sorted(self.launches()), sorted(
            [f"./a {n} -{mode}x {{other}}" for n in (1, 2, 4) for mode in ("fast", "../slow")] +
            [f"./b {n} {n}" for n in (1, 2, 4)]))
        cell = self.cell(report, "./a {n} -{mode}x {other}/n=4,mode=fast")
        self.assertEqual(cell["params"], {"n": 4, "mode": "fast"})
        self.assertEqual(self.cell(report, "./b '{n} {n}'/n=2")["params"], {"n": 2})
        self.assertEqual(len(report["cells"]), 9)

    def test_prepare_and_cleanup(self):
        self.exec("--prepare", "./before {n}", "--cleanup", self.program("after"), "--visits", "2", "--samples", "1",
                  "--warmup", "1", "-p", "n=5", "--", self.program("a"), self.program("before"))
        self.assertEqual(self.launches(), ["./before 5", "./a ./before", "./after "] * 3)
        report = self.exec("--prepare", "false", "--", "./a", code=3)
        self.assertIn("--prepare: it ended with exit status 1", report["cells"][0]["reason"])
        self.exec("--cleanup", "touch cleaned", "--", "false", code=3)
        self.assertTrue(os.path.exists(self.path("cleaned")))

    def test_shell(self):
        report = self.exec("--shell", "--command", "echo {n} | grep -q 2 && echo $((1 + {n})) >>sums", "-p", "n=2",
                           "--visits", "1", "--samples", "1", "--warmup", "0")
        with open(self.path("sums"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "3\n")
        self.assertEqual(report["cells"][0]["status"], "ok")
        self.prony("exec", "--visits", "1", "--samples", "1", "--", "test", "$HOME", "=", "$HOME")

    def test_pinned(self):
        one = self.exec("--visits", "1", "--samples", "1", "--", "sh", "-c", "grep Cpus_allowed_list /proc/self/status >pus")
        pu = one["cells"][0]["placement"]["pus"][0]
        with open(self.path("pus"), encoding="utf-8") as file:
            self.assertEqual(file.read().split()[1], str(pu))
        self.assertEqual(one["cells"][0]["placement"]["bound"], [pu])
        none = self.exec("--pin", "none", "--visits", "1", "--samples", "1", "--", "true")["cells"][0]["placement"]
        self.assertEqual((none["policy"], none["pus"], none["binding"]), ("none", [None], False))

    def test_precision_takes_more_visits_within_the_budget(self):
        cell = self.exec("--visits", "2", "--samples", "1", "--precision", "1000%", "--", "true")["cells"][0]
        self.assertGreaterEqual(len(cell["visits"]), 7)
        cell = self.exec("--visits", "1000", "--samples", "1", "--budget", "300ms", "--", "sleep", "0.02")["cells"][0]
        self.assertTrue(0 < len(cell["visits"]) < 1000)
        self.assertIn("some will be missing", self.prony("exec", "--visits", "1000", "--samples", "1", "--budget", "100ms",
                                                         "--", "sleep", "0.02").stderr)

    def test_one_command_twice(self):
        report = self.exec("--command", "true", "--command", "true", "--visits", "1", "--samples", "1")
        self.assertEqual([cell["engine"] for cell in report["cells"]], ["true", "true (2)"])


class BadInput(Exec):
    def test_a_command_that_fails_fails_its_cell_alone(self):
        report = self.exec("--command", "true", "--command", "sh -c 'echo because >&2; exit 7'", "--command",
                           "./nothing", "--command", "sh -c 'kill -SEGV $$'", "--visits", "6", "--samples", "1", code=3)
        said = [(cell["status"], cell["reason"]) for cell in report["cells"]]
        self.assertEqual(said, [
            ("ok", None), ("failed", 'it ended with exit status 7: "because"'),
            ("failed", "./nothing cannot be executed: it is not there"), ("failed", "it was killed by SIGSEGV")])
        self.assertTrue(all(cell["stats"]["median"] is None for cell in report["cells"][1:]))

    def test_a_command_that_hangs_is_ended_by_the_timeout(self):
        cell, = self.exec("--timeout", "100ms", "--", "sleep", "1000", code=3)["cells"]
        self.assertEqual((cell["status"], cell["reason"]), ("failed", "it was killed after 100 ms (--timeout)"))

    def test_a_late_failure_leaves_no_figures(self):
        self.program("a", '[ $(wc -l <launches) -lt 5 ]\n')
        done = self.prony("exec", "--", "./a", code=3)
        self.assertEqual(len(self.launches()), 5)
        self.assertIn("failed: exec/./a: it ended with exit status 1", done.stderr)
        self.assertIn("failed: it ended with exit status 1", done.stdout)

    def test_usage(self):
        self.refused("exec", says="which command?")
        self.refused("exec", "--command", "a | b", says="--command: '|' needs a shell")
        self.refused("exec", "--command", "'a", says="--command: a ' is not closed")
        self.refused("exec", "-p", "n=1,2", "--", "true", says="no command has {n}")
        self.refused("exec", "-p", "n", "--", "true", says="NAME=VALUE")
        self.refused("exec", "-p", "n m=1", "--", "true", says="letters, digits")
        self.refused("exec", "-p", "n=1", "-p", "n=2", "--", "echo", "{n}", says="given twice")
        self.refused("exec", "-p", "n=1,1", "--", "echo", "{n}", says="twice")
        self.refused("exec", "-p", "n=3..1", "--", "echo", "{n}", says="3..1")
        self.refused("exec", "-p", "n=1..200", "-p", "m=1..200", "--", "echo", "{n}", "{m}", says="10000 cells")
        self.refused("exec", "--shell", "--", "true", "x", says="--shell takes commands in one argument")
        self.refused("exec", "--pin", "99999", "--", "true", says="PU 99999")
        self.refused("exec", "--out", "pdf", "--", "true", says="unknown format 'pdf'")
        self.refused("exec", "--visit", "0", "--", "true", says="--visits")

    def test_output_that_cannot_be_written(self):
        self.refused("exec", "--out", "md:/nowhere/a.md", "--", "true", says="/nowhere cannot be written", code=3)


class Outputs(Exec):
    QUICK = ("exec", "--command", "true", "--command", "sh -c :", "--visits", "7", "--samples", "1")

    def test_table_has_80_columns(self):
        done = self.prony(*self.QUICK, "--command", "false", "--command", "true " + "x" * 40, code=3)
        lines = done.stdout.splitlines()
        self.assertIn("median", lines[0])
        self.assertEqual([line for line in lines if len(line) > 80], [])
        self.assertTrue(any(" 1.00 " in line for line in lines)) # the fastest, whichever it is

    def test_formats(self):
        self.prony(*self.QUICK, "--out", "json:r.json", "--out", "html:r.html", "--out", "csv:r.csv", "--out", "md:r.md")
        with open(self.path("r.json"), encoding="utf-8") as file:
            self.valid(json.load(file))
        with open(self.path("r.csv"), encoding="utf-8", newline="") as file:
            self.assertEqual([row["id"] for row in csv.DictReader(file)], ["exec/true", "exec/sh -c :"])
        self.assertTrue(self.prony(*self.QUICK, "--out", "md").stdout.startswith("#"))

    def test_a_report_that_other_commands_take(self):
        self.prony(*self.QUICK, "-o", "out")
        self.assertIn("the report holds", self.prony("report", "out", "--check").stderr)
        self.assertIn("sh -c :", self.prony("compare", "out").stdout)
        self.assertIn("exec/true", self.prony("compare", "out", "out").stdout)


class Interruption(Exec):
    def start(self, name, text, *arguments):
        self.program(name, "echo $$ >>pids\n" + text)
        process = subprocess.Popen([PRONY, "exec", *arguments, "--visits", "2000", "--out", "json:r.json", "--", "./" + name],
                                   cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        for _ in range(2000):
            if len(self.launches()) >= 9:
                return process
            time.sleep(0.05)
        self.fail("it does not run")

    def assert_gone(self):
        with open(self.path("pids"), encoding="utf-8") as file:
            pids = [int(line) for line in file]
        for _ in range(1200):
            if not any(is_alive(pid) for pid in pids):
                return
            time.sleep(0.05)
        self.fail("something is left over")

    def test_what_was_measured_is_kept(self):
        stuck = "[ $(wc -l <launches) -lt 9 ] || { sleep 1000 & echo $! >>pids; wait; }\n"
        process = self.start("a", stuck, "--timeout", "500s")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        with open(self.path("r.json"), encoding="utf-8") as file:
            report = self.valid(json.load(file))
        cell = report["cells"][0]
        self.assertTrue(report["plan"]["interrupted"])
        self.assertEqual((cell["status"], sum(len(visit["samples_ns"]) for visit in cell["visits"])), ("interrupted", 7))
        self.assert_gone()

    def test_killed(self):
        process = self.start("a", "sleep 0.02\n")
        process.kill()
        process.communicate(timeout=60)
        self.assert_gone()


if __name__ == "__main__":
    unittest.main()
