"""Small runs: reports, folders, exit codes, plug-ins from files, interruption."""
import json
import os
import signal
import subprocess
import time
import unittest

from program import PRONY, SOURCE, ProgramTest

SMALL = ["--visits", "6", "--samples", "2", "--counters", "none"]

COLLATZ = """#include <prony/plugin/simple.h>
static int64_t collatz(int64_t i)
{
    int64_t n = 0;
    for (i++; i != 1; n++)
        i = i & 1 ? 3 * i + 1 : i / 2;
    return n;
}
PRONY_MAP_WORKLOAD(collatz, collatz)
"""

TOUCHY = """#include <prony/plugin/simple.h>
static int64_t touchy(int64_t i)
{
    static int64_t calls;
    return i + (calls++ > 100); /* not pure: the answers of a second call differ */
}
PRONY_MAP_WORKLOAD(touchy, touchy)
"""


class Runs(ProgramTest):
    def report(self, folder):
        with open(self.path(folder, "report.json"), encoding="utf-8") as file:
            return json.load(file)

    def compile(self, name, text):
        source, target = self.write(name + ".c", text), self.path(name + ".so")
        try:
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-I", os.path.join(SOURCE, "include"), "-o", target,
                            source], check=True)
        except FileNotFoundError:
            self.skipTest("no C compiler")
        return target

    def test_a_run_leaves_a_verified_report(self):
        done = self.prony("run", "-w", "primes", "-e", "thread", "-n", "1", *SMALL, "-o", "out")
        self.assertIn("primes", done.stdout)
        self.assertIn("out/report.html", done.stderr.splitlines()[-1])
        report = self.report("out")
        cells = {cell["id"]: cell for cell in report["cells"]}
        self.assertEqual(set(cells), {"primes/thread/n1/compact", "primes/serial/n1/compact"})
        for cell in cells.values():
            self.assertEqual(cell["status"], "ok", cell["reason"])
            self.assertTrue(cell["verified"])
            self.assertEqual(len(cell["placement"]["pus"]), 1)
            self.assertTrue(all(visit["samples_ns"] for visit in cell["visits"]))
        self.assertTrue(os.path.exists(self.path("out", "report.html")))
        self.assertTrue(os.path.exists(self.path("out", "journal")))

    def test_the_default_folder_and_latest(self):
        self.prony("run", "-w", "empty", "-e", "null", *SMALL, "-q")
        self.assertEqual(len(os.listdir(self.path("prony-runs"))), 2)
        target = os.readlink(self.path("prony-runs", "latest"))
        self.assertTrue(target.endswith("-custom"), target)
        self.assertTrue(os.path.exists(self.path("prony-runs", target, "report.json")))
        self.prony("run", "-w", "empty", "-e", "null", *SMALL, "-q")
        self.assertNotEqual(os.readlink(self.path("prony-runs", "latest")), target)

    def test_json_and_exports(self):
        done = self.prony("run", "-w", "empty", "-e", "null", *SMALL, "-q", "-o", "out", "--json", "--name", "mine",
                          "--out", "csv", "--out", "md:table.md")
        self.assertEqual(json.loads(done.stdout), self.report("out"))
        self.assertEqual(done.stderr, "")
        self.assertTrue(os.path.getsize(self.path("out", "report.csv")))
        self.assertTrue(os.path.getsize(self.path("table.md")))
        self.assertIn("empty", self.prony("report", "out").stdout)
        self.assertIn("empty", self.prony("report", "out/report.json", "--out", "md").stdout)
        self.prony("report", "out", "--check")
        self.prony("report", "out", "-o", "again")
        self.assertTrue(os.path.exists(self.path("again", "report.html")))

    def test_wrong_output_is_found_before_measuring(self):
        os.mkdir(self.path("full"))
        self.write("full/note", "mine")
        small = ["run", "-w", "empty", "-e", "null", "-q", *SMALL]
        self.refused(*small, "-o", "full", says="not empty")
        self.refused(*small, "-o", "full/note", says="is a file")
        self.refused(*small, "-o", "none/such", says="No such file", code=3)
        self.refused(*small, "--out", "cvs", says="csv")
        self.refused(*small, "--out", "csv:none/such.csv", says="none", code=3)
        self.refused("report", "none", says="none")
        self.assertEqual(sorted(os.listdir(self.folder)), ["full"])
        os.mkdir(self.path("empty"))
        self.prony(*small, "-o", "empty")

    def test_numbers_out_of_range(self):
        small = ["run", "-w", "primes", "-p", "items=1k", "-q", *SMALL]
        for engine in ("thread", "fork", "futures-thread", "futures-process"):
            self.refused(*small, "-e", engine, "-n", "0", says="0 workers are out of range")
            self.refused(*small, "-e", engine, "-n", "-1", says="-1 workers are out of range")
            self.refused(*small, "-e", engine, "-n", "1", "-p", "chunk=-1", says="chunk=-1 is out of range")
        self.prony(*small, "-e", "fork", "-n", "1", "-p", "chunk=1M", "-o", "out")
        self.assertEqual({cell["status"] for cell in self.report("out")["cells"]}, {"ok"})

    def test_a_full_disk_is_said(self):
        try:
            subprocess.run(["unshare", "-rm", "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no user namespaces")
        os.mkdir(self.path("disk"))
        script = f'mount -t tmpfs -o size=64k none disk && exec "{PRONY}" run -w empty -e null -q -o disk/out'
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=self.folder, capture_output=True, text=True,
                              timeout=60)
        if "mount" in done.stderr:
            self.skipTest("mounting is not allowed")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("full disk", done.stderr)

    def test_a_function_of_ones_own(self):
        mine = self.compile("mine", COLLATZ)
        done = self.prony("run", "-w", mine, "-e", "thread,fork", "-n", "1", "-p", "items=1k", *SMALL, "-o", "out")
        self.assertIn("collatz", done.stdout)
        self.assertEqual({cell["status"] for cell in self.report("out")["cells"]}, {"ok"})
        self.refused("run", "-e", mine, says="no engine")
        os.chmod(mine, 0o757)
        self.refused("run", "-w", mine, says="others may write it", code=3)

    def test_a_wrong_answer_is_a_failed_cell(self):
        done = self.prony("run", "-w", self.compile("touchy", TOUCHY), "-e", "serial", "-p", "items=1k", *SMALL, "-o",
                          "out", code=3)
        self.assertIn("failed: touchy/serial/n1/compact", done.stderr)
        cell = self.report("out")["cells"][0]
        self.assertEqual(cell["status"], "failed")
        self.assertIn("item", cell["reason"])

    def test_nothing_measured_is_said(self):
        done = self.prony("run", "-w", "pingpong", "-e", "serial", *SMALL, "-o", "out", code=3)
        self.assertIn("nothing was measured", done.stderr)
        self.assertEqual(self.report("out")["cells"][0]["status"], "skipped")

    def test_interrupted_keeps_what_was_measured(self):
        running = subprocess.Popen([PRONY, "run", "-w", "primes,square", "-e", "serial,thread", "-n", "1", "--visits",
                                    "2000", "--counters", "none", "-o", "out"], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and running.poll() is None:
            journal = self.path("out", "journal")
            if os.path.exists(journal) and os.path.getsize(journal) > 4000:
                break
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=200)
        self.assertEqual(running.returncode, 130, errors)
        self.assertIn("interrupted", errors)
        self.assertTrue(any(cell["visits"] for cell in self.report("out")["cells"]))

    def test_the_primitives_run_between_processes(self):
        small = [f"{name}.items=40" for name in ("semaphore", "event", "condition", "barrier", "queue", "value")]
        self.prony("run", "-e", "fork", "-w", "semaphore,event,condition,barrier,queue,value,process", "-n", "2",
                   *(word for item in small + ["process.items=2", "process.method=spawn,forkserver"] for word in ("-p", item)),
                   "--visits", "1", "--samples", "1", "-o", "out", "-q")
        cells = self.report("out")["cells"]
        self.assertEqual(len(cells), 8)
        self.assertEqual([cell["reason"] for cell in cells if cell["status"] != "ok"], [])

    def test_the_tutorial_runs(self):
        self.prony("run", "tutorial", "--visits", "6", "--samples", "1", "--skip", "*/python-*", "-o", "out", "-q")
        cells = {(cell["workload"], cell["engine"]): cell for cell in self.report("out")["cells"]}
        self.assertEqual(cells["square", "fork"]["workers"], 4)
        self.assertEqual(cells["square", "fork"]["items"], 5)
        self.assertLessEqual({("sort", "futures-process"), ("echo", "thread")}, set(cells))
        self.assertEqual({cell["status"] for cell in cells.values()}, {"ok"})


if __name__ == "__main__":
    unittest.main()
