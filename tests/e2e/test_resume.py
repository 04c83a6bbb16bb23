"""Runs that are interrupted, however that comes, and go on: nothing is lost, nothing is counted twice, one whole report."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

import jsonschema

from program import PRONY, SOURCE, ProgramTest

sys.path.append(os.path.join(SOURCE, "tests", "truth"))
from test_seed import shuffled  # noqa: E402: the order of a block, written down a second time there

VISITS = 8
SMALL = ["-w", "square,pingpong", "-e", "thread,fork", "-n", "2", "-p", "square.items=2000", "-p", "repeats=2",
         "--visits", str(VISITS), "--samples", "2", "--seed", "11"]
FUNCTION = """#include <prony/plugin/simple.h>
static int64_t mine(int64_t i)
{
    return i + %d;
}
PRONY_MAP_WORKLOAD(mine, mine)
"""


def lines_of(journal):
    """The whole lines of a journal, as fields."""
    text = pathlib.Path(journal).read_bytes() if os.path.exists(journal) else b""
    return [line.decode().split("\t") for line in text.split(b"\n")[:-1]]


def visits_of(journal):
    """(cell, block, launch, samples) of each visit, in order."""
    return [(int(line[1]), int(line[2]), int(line[3]), [int(ns) for ns in line[22:]])
            for line in lines_of(journal) if line[0] == "visit"]


class Resume(ProgramTest):
    def start(self, *arguments):
        return subprocess.Popen([PRONY, "run", *arguments], cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def stop(self, running, visits, number, folder="out"):
        """Sends a signal once so many visits are in the journal, or the run has ended; what it said."""
        for _ in range(6000):
            if running.poll() is not None or len(visits_of(self.path(folder, "journal"))) >= visits:
                break
            time.sleep(0.01)
        running.send_signal(number)
        return running.communicate(timeout=60)

    def killed(self, *arguments, visits=5, folder="out"):
        self.stop(self.start(*arguments, "-o", folder), visits, signal.SIGKILL, folder)
        return self.path(folder, "journal")

    def report(self, folder="out"):
        with open(self.path(folder, "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(os.path.join(SOURCE, "results/schema/report.schema.json"), encoding="utf-8") as file:
            jsonschema.Draft7Validator(json.load(file)).validate(report)
        self.prony("report", os.path.join(folder, "report.json"), "--check")
        return report

    def holds(self, report, journal, visits=VISITS):
        """Every visit of the journal is in the report once, in order; every cell has those that were asked."""
        found = visits_of(journal)
        self.assertEqual(len({visit[:2] for visit in found}), len(found), "a block visits a cell once")
        for number, cell in enumerate(report["cells"]):
            self.assertEqual(cell["status"], "ok", cell["reason"])
            reported = [(number, visit["block"], visit["launch"], visit["samples_ns"]) for visit in cell["visits"]]
            self.assertEqual(reported, [visit for visit in found if visit[0] == number])
            self.assertGreaterEqual(len(reported), visits)
            self.assertLessEqual(len(reported), visits + (visits + 1) // 2)  # those for marked ones
            blocks, launches = [visit[1] for visit in reported], [visit[2] for visit in reported]
            self.assertEqual(blocks, sorted(set(blocks)))
            self.assertEqual(launches, sorted(launches))
            self.assertEqual([visit["t_ns"] for visit in cell["visits"]],
                             sorted(visit["t_ns"] for visit in cell["visits"]))
            self.assertGreaterEqual(cell["verified"], 2 * len(reported))
        self.assertFalse(report["plan"]["interrupted"])

    def test_killed_again_and_again(self):
        draw, journal, kept, resumed = random.Random(), self.path("out", "journal"), [], 0
        arguments = [*SMALL, "-o", "out"]
        for _ in range(4):
            self.stop(self.start(*arguments), len(kept) + draw.randrange(1, 9), signal.SIGKILL)
            found = visits_of(journal)
            self.assertEqual(found[:len(kept)], kept, "what was in the journal stays there")
            kept, arguments = found, ["--resume", "out"]
            resumed = sum(line[0] == "resume" for line in lines_of(journal))
        self.prony("run", "--resume", "out")
        self.assertEqual(visits_of(journal)[:len(kept)], kept)
        report = self.report()
        self.holds(report, journal)
        self.assertEqual(len(report["context"]["resumed"]), resumed + 1)
        self.assertEqual(report["context"]["command"][1:], ["run", *SMALL, "-o", "out"])
        for again in report["context"]["resumed"]:  # a launch belongs to one side of each pause
            for cell in report["cells"]:
                before = {visit["launch"] for visit in cell["visits"] if visit["t_ns"] < again["t_ns"]}
                self.assertFalse(before & {visit["launch"] for visit in cell["visits"]
                                           if visit["t_ns"] >= again["t_ns"]})
        for block in range(VISITS):  # the order is still that of seed and block
            order = [cell for cell, its, _, _ in visits_of(journal) if its == block]
            self.assertEqual(order, [cell for cell in shuffled(len(report["cells"]), 11, block) if cell in order])
        for cell in report["cells"]:
            samples = sum(len(visit["samples_ns"]) for visit in cell["visits"])
            if cell["workload"] == "pingpong":  # every operation of every visit is in the histogram
                self.assertEqual(cell["latency"]["count"], samples * cell["repeats"] * cell["items"])
            self.assertIn(cell["counters"]["samples"], (0, samples))

    def test_interrupted_by_hand(self):
        _, said = self.stop(self.start(*SMALL, "-o", "a folder"), 7, signal.SIGINT, "a folder")
        self.assertIn("interrupted", said)
        self.assertIn("prony run --resume 'a folder'", said.splitlines()[-1])
        report = self.report("a folder")
        self.assertTrue(report["plan"]["interrupted"])
        self.assertNotIn("resumed", report["context"])
        self.assertIn("interrupted", self.prony("report", "a folder/report.json").stdout)
        running = self.start("--resume", "a folder", "-q")
        _, said = self.stop(running, 20, signal.SIGTERM, "a folder")
        self.assertEqual((running.returncode, said), (130, ""))
        self.assertEqual(len(self.report("a folder")["context"]["resumed"]), 1)
        done = self.prony("run", "--resume", "a folder", "--out", "csv", "--json")
        report = self.report("a folder")
        self.assertEqual(json.loads(done.stdout), report)
        self.holds(report, self.path("a folder", "journal"))
        self.assertEqual(len(report["context"]["resumed"]), 2)
        self.assertTrue(os.path.getsize(self.path("a folder", "report.csv")))
        self.assertIn("2 times", "".join(report["plan"]["notes"]))

    def test_a_finished_run_stays_as_it_is(self):
        self.prony("run", "-w", "empty", "-e", "null", "--visits", "6", "--counters", "none", "-o", "out")
        before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in pathlib.Path(self.path("out")).iterdir()}
        for more in [], ["--visits", "6"], ["--budget", "0", "-v"]:
            self.assertIn("nothing to do", self.prony("run", "--resume", "out", *more).stderr)
        self.refused("run", "--resume", "out", "--visits", "9", says="visits is another: it was 6, it is 9")
        self.assertEqual({path.name: (path.stat().st_mtime_ns, path.stat().st_size)
                          for path in pathlib.Path(self.path("out")).iterdir()}, before)
        with open(self.path("out", "journal"), "r+", encoding="utf-8") as file:
            file.truncate(os.path.getsize(file.name) - len("report\n"))  # as if it had died over its report
        os.remove(self.path("out", "report.json"))
        self.prony("run", "--resume", "out")
        self.holds(self.report(), self.path("out", "journal"), 6)

    def test_what_contradicts_the_run(self):
        journal = self.killed(*SMALL, "--budget", "90s")
        before = pathlib.Path(journal).read_bytes()
        for arguments, says in [(["--visits", "99"], "it is 99"), (["--seed", "12"], "it is 12"),
                                (["-e", "serial"], "the plan is another"), (["-e", "nosuch"], "nosuch"),
                                (["quick"], "the suite is another"), (["-p", "square.items=9"], "with these options"),
                                (["--name", "other"], "the name is another"), (["--profile"], "the profile is another"),
                                (["--counters", "none"], "counters"), (["--budget", "80s"], "it can grow"),
                                (["-o", "other"], "-o cannot"), (["--dry-run"], "--dry-run"),
                                (["--topology", "synthetic:pu:2"], "--topology")]:
            done = self.prony("run", "--resume", "out", "-q", *arguments, code=2)
            self.assertIn(says, done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertEqual(pathlib.Path(journal).read_bytes(), before)
        self.prony("run", "--resume", "out", "--visits", str(VISITS), "-e", "thread,fork", "--budget", "100s")
        report = self.report()
        self.holds(report, journal)
        self.assertEqual(report["plan"]["budget_ns"], 100 * 10**9)

    def test_another_machine(self):
        journal = pathlib.Path(self.killed(*SMALL))
        whole = journal.read_text(encoding="utf-8")
        for name in ("version of prony", "build of prony", "machine", "kernel", "set of allowed PUs", "topology"):
            line = next(line for line in whole.splitlines() if line.startswith(f"same\t{name}\t"))
            journal.write_text(whole.replace(line, line + "7"), encoding="utf-8")
            done = self.prony("run", "--resume", "out", code=3)
            self.assertIn(f"the {name} is another", done.stderr)
        if len(os.sched_getaffinity(0)) > 1 and shutil.which("taskset"):
            journal.write_text(whole, encoding="utf-8")
            done = subprocess.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), PRONY, "run", "--resume", "out"],
                                  cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 3)
            self.assertIn("the set of allowed PUs is another", done.stderr)

    def test_what_is_no_run(self):
        os.mkdir(self.path("empty"))
        self.refused("run", "--resume", "empty", says="no journal")
        self.refused("run", "--resume", "nowhere", says="no folder nowhere")
        self.refused("run", "--resume", self.write("file", ""), says="is not the folder of a run")
        journal = pathlib.Path(self.killed(*SMALL))
        whole = journal.read_bytes()
        for text, says in [(b"", "empty"), (b"a journal\n", "no journal of prony"),
                           (whole.replace(b"prony-journal\t2", b"prony-journal\t1"), "version 1"),
                           (whole.replace(b"\nvisit\t", b"\nvisit\t-", 1), "garbled"),
                           (whole[:whole.index(b"\ncell\t2")], "start the run anew")]:
            journal.write_bytes(text)
            self.refused("run", "--resume", "out", says=says, code=3)
            self.assertEqual(journal.read_bytes(), text)
        journal.write_bytes(whole[:whole.rindex(b"\nvisit\t") + 30])  # cut off in the middle of a visit
        self.assertIn("cut off", self.prony("run", "--resume", "out").stderr)
        self.holds(self.report(), journal)

    def test_a_live_run_is_left_alone(self):
        running = self.start(*SMALL, "--visits", "100000", "-o", "out")
        try:
            for _ in range(6000):
                if visits_of(self.path("out", "journal")) or running.poll() is not None:
                    break
                time.sleep(0.01)
            self.refused("run", "--resume", "out", says="in use", code=3)
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        self.report()

    def test_a_plug_in_of_ones_own(self):
        def compiled(number):
            source = self.write("mine.c", FUNCTION % number)
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-I", os.path.join(SOURCE, "include"), "-o",
                            self.path("mine.so"), source], check=True)
        if shutil.which("cc") is None:
            self.skipTest("no C compiler")
        compiled(1)
        journal = self.killed("-w", "./mine.so", "-e", "thread", "-n", "1", "-p", "items=500", "--visits", str(VISITS))
        os.rename(self.path("mine.so"), self.path("kept.so"))
        done = self.prony("run", "--resume", "out", code=3)
        self.assertIn("./mine.so", done.stderr)
        compiled(2)
        self.assertIn("the plug-in mine is another", self.prony("run", "--resume", "out", code=3).stderr)
        os.rename(self.path("kept.so"), self.path("mine.so"))
        self.prony("run", "--resume", "out")
        self.holds(self.report(), journal)

    def test_cells_in_groups(self):
        """A channel with few objects makes groups of few cells; which was whose, and in what order, stays."""
        run = ["-w", "pingpong", "-c", "posix-mq", "-e", "thread,fork", "-n", "2", "-p", "size=8,16,32", "-p", "repeats=2",
               "--visits", "6", "--samples", "1", "--counters", "none", "-q"]
        plan = self.json("run", *run, "--dry-run", "--json")
        if any(cell["status"] == "skipped" for cell in plan["cells"]):
            self.skipTest(plan["cells"][0]["reason"])
        journal = self.killed(*run, visits=6 * 4 + 3)
        kept = visits_of(journal)
        self.prony("run", "--resume", "out")
        self.assertEqual(visits_of(journal)[:len(kept)], kept)
        report = self.report()
        self.holds(report, journal, 6)
        self.assertIn("groups", "".join(report["plan"]["notes"]))


if __name__ == "__main__":
    unittest.main()
