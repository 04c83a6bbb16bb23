"""A cell whose kernel fails, crashes, hangs or lies costs that cell, says why, and leaves nothing behind."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from marked import left_of

PRONY = os.environ["PRONY"]
SOURCE = pathlib.Path(os.environ["PRONY_SOURCE"])


class Hosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.plugin = os.path.join(cls.folder.name, "misbehave.so")
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-I", str(SOURCE / "include"),
                        "-o", cls.plugin, str(SOURCE / "tests/fault/plugins/misbehave.c")], check=True)
        os.chmod(cls.plugin, 0o755)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def command(self, out, *arguments):
        return [PRONY, "run", "-w", self.plugin, "--counters", "none", "--visits", "6", "--samples", "2", "--budget", "200s",
                "-o", out, *arguments]

    def run_cells(self, *arguments, code):
        marker = f"PRONY_TEST_MARKER={os.getpid()}-{time.monotonic_ns()}"
        out = tempfile.mkdtemp(dir=self.folder.name) + "/report"
        name, value = marker.split("=")
        done = subprocess.run(self.command(out, *arguments), capture_output=True, text=True, timeout=300,
                              env={**os.environ, name: value})
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        self.assertEqual(left_of(marker), [], "processes were left behind")
        return json.loads(pathlib.Path(out, "report.json").read_text()), done

    def by_way(self, report, engine):
        return {cell["params"]["misbehave.way"]: cell for cell in report["cells"] if cell["engine"] == engine}

    def test_what_a_broken_kernel_costs(self):
        report, done = self.run_cells("-e", "serial,thread", "-n", "1", "-p", "way=not,fail,wrong,segv,deep,exit,kill-host,prepare",
                                      code=3)
        for engine in ("serial", "thread"):
            cells = self.by_way(report, engine)
            self.assertEqual(cells["not"]["status"], "ok")
            self.assertGreater(cells["not"]["verified"], 0)
            for way in ("fail", "wrong", "segv", "deep", "exit", "kill-host", "prepare"):
                self.assertEqual(cells[way]["status"], "failed", way)
            self.assertIn("Input/output error", cells["fail"]["reason"])
            self.assertIn("item 5 is 16, not 15", cells["wrong"]["reason"])
            for way in ("segv", "deep"):
                self.assertIn("SIGSEGV", cells[way]["reason"])
            self.assertIn("exited with code 7", cells["exit"]["reason"])
            self.assertIn("SIGKILL", cells["kill-host"]["reason"])
            self.assertIn("on purpose", cells["prepare"]["reason"])

    def test_a_process_worker_that_dies_does_not_take_its_host(self):
        report, done = self.run_cells("-e", "fork,futures-process", "-n", "2", "-p", "way=not,segv,deep", code=3)
        for engine in ("fork", "futures-process"):
            cells = self.by_way(report, engine)
            self.assertEqual(cells["not"]["status"], "ok")
            for way in ("segv", "deep"):
                self.assertEqual(cells[way]["status"], "failed")
                self.assertIn("SIGSEGV", cells[way]["reason"])
                self.assertNotIn("cell host", cells[way]["reason"])

    def test_a_kernel_that_hangs_is_ended_by_the_timeout(self):
        for limit in ("1s", "10s", "60s"):  # those that do not hang may be held up on a busy machine
            report, _ = self.run_cells("-e", "serial,fork", "-n", "1", "-p", "way=not,hang", "--timeout", limit, code=3)
            cells = [self.by_way(report, engine) for engine in ("serial", "fork")]
            if all(cell["not"]["status"] == "ok" for cell in cells):
                break
        for cell in cells:
            self.assertEqual(cell["not"]["status"], "ok", cell["not"]["reason"])
            self.assertEqual(cell["hang"]["status"], "failed")

    def test_what_was_measured_before_a_failure_is_kept(self):
        # A warm-up takes 200 samples at most, and a visit 3.
        report, done = self.run_cells("-e", "serial", "-n", "1", "-p", "way=fail", "-p", "after=300", "-p", "items=100000",
                                      "-p", "repeats=1", "--visits", "150", code=3)
        cell = self.by_way(report, "serial")["fail"]
        self.assertEqual(cell["status"], "failed")
        self.assertGreater(len(cell["visits"]), 0)

    def start_and_find_host(self, *arguments):
        marker = f"PRONY_TEST_MARKER={os.getpid()}-{time.monotonic_ns()}"
        out = tempfile.mkdtemp(dir=self.folder.name) + "/report"
        name, value = marker.split("=")
        run = subprocess.Popen(self.command(out, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, name: value})
        journal = pathlib.Path(out, "journal")
        hosts = {}
        for _ in range(3000):
            time.sleep(0.02)
            text = journal.read_text() if journal.exists() else ""
            ids = dict(line.split("\t")[1:3] for line in text.splitlines() if line.startswith("cell\t"))
            hosts = {ids[line.split("\t")[1]]: int(line.split("\t")[3]) for line in text.splitlines()
                     if line.startswith("open\t")}
            if run.poll() is not None or (len(hosts) == 2 and "visit\t" in text):
                break
        return run, marker, out, hosts

    def test_kill_9_of_a_host_costs_one_cell(self):
        for seconds in (4, 40):  # a run that is over before its host can be killed is too short
            run, marker, out, hosts = self.start_and_find_host("-e", "thread,fork", "-n", "2", "--visits", f"{10 * seconds}",
                                                               "--budget", f"{seconds}s", "--skip", "*/serial/*")
            victim = next((cell for cell in hosts if "/fork/" in cell), None)
            if len(hosts) == 2:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(hosts[victim], signal.SIGKILL)
            stdout, stderr = run.communicate(timeout=200)
            if len(hosts) == 2 and run.returncode != 0:
                break
        self.assertEqual(run.returncode, 3, stderr)
        self.assertEqual(left_of(marker), [])
        cells = {cell["id"]: cell for cell in json.loads(pathlib.Path(out, "report.json").read_text())["cells"]}
        self.assertEqual(cells[victim]["status"], "failed")
        self.assertIn("SIGKILL", cells[victim]["reason"])
        self.assertEqual([cell["status"] for name, cell in cells.items() if name != victim], ["ok"])

    def test_ctrl_c_keeps_what_was_measured(self):
        run, marker, out, hosts = self.start_and_find_host("-e", "thread,fork", "-n", "2", "--visits", "1000", "--budget",
                                                           "200s", "--skip", "*/serial/*")
        self.assertEqual(len(hosts), 2, "the run did not start two hosts")
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=200)
        self.assertEqual(run.returncode, 130, stderr)
        self.assertEqual(left_of(marker), [])
        cells = json.loads(pathlib.Path(out, "report.json").read_text())["cells"]
        self.assertEqual({cell["status"] for cell in cells}, {"interrupted"})
        self.assertGreater(sum(len(cell["visits"]) for cell in cells), 0)

    def test_a_runner_that_is_killed_leaves_no_process_and_a_journal(self):
        run, marker, out, hosts = self.start_and_find_host("-e", "thread,fork", "-n", "2", "--visits", "1000", "--budget",
                                                           "200s", "--skip", "*/serial/*")
        self.assertEqual(len(hosts), 2, "the run did not start two hosts")
        run.kill()
        run.communicate(timeout=200)
        self.assertEqual(left_of(marker), [])
        self.assertIn("visit\t", pathlib.Path(out, "journal").read_text())
        self.assertFalse(pathlib.Path(out, "report.json").exists())


if __name__ == "__main__":
    unittest.main()
