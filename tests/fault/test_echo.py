"""The echo server or a client dies, stops or is disturbed amid requests: the gang ends with the reason and nothing is left,
or goes on; too few descriptors are an error that says how many it takes."""
import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import tempfile
import time
import unittest

from marked import processes_of

PRONY = os.environ["PRONY"]
CONNECTIONS = 3


def sockets(pid):
    try:
        return sum(os.readlink(entry).startswith("socket:") for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


class Echo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name, "report")
        self.marker = f"{os.getpid()}-{time.monotonic_ns()}"

    def start(self, *arguments, **options):
        return subprocess.Popen([PRONY, "run", "-w", "echo", "--oversubscribe", "-n", "3", "--counters", "none", "-o",
                                 self.out, "-p", f"echo.connections={CONNECTIONS}", *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PRONY_TEST_MARKER": self.marker}, **options)

    def workers(self, run):
        """Server and clients amid their requests; None when the run is over."""
        for _ in range(6000):
            pids = processes_of(f"PRONY_TEST_MARKER={self.marker}")
            if len(pids) >= 5 and sockets(pids[-3]) > 2 * CONNECTIONS and sockets(pids[-1]) >= CONNECTIONS:
                return pids[-3:]
            if run.poll() is not None:
                return None
            time.sleep(0.01)
        self.fail("the gang did not begin")

    def end(self, run, code):
        """The cells, once the run is over and nothing of it is left."""
        _, errors = run.communicate(timeout=200)
        self.assertEqual(run.returncode, code, errors)
        for _ in range(6000):
            left = processes_of(f"PRONY_TEST_MARKER={self.marker}")
            if not left:
                break
            time.sleep(0.01)  # what was killed takes a moment to go
        self.assertEqual(left, [], "processes were left")
        return json.loads((self.out / "report.json").read_text())["cells"]

    def test_one_that_dies_ends_the_gang_with_its_signal(self):
        for role in (0, 2):
            with self.subTest(role=role):
                self.setUp()
                run = self.start("-e", "fork", "-p", "items=100M", "--timeout", "500s")
                os.kill(self.workers(run)[role], signal.SIGKILL)
                cell, = self.end(run, 3)  # long before the timeout
                self.assertEqual(cell["status"], "failed")
                self.assertIn(f"role {role}", cell["reason"])
                self.assertIn("SIGKILL", cell["reason"])

    def test_one_that_stops_is_ended_by_the_timeout(self):
        for limit in ("2s", "20s"):  # on a busy machine a gang may not begin within the shorter one
            self.setUp()
            run = self.start("-e", "fork", "-p", "items=100M", "--timeout", limit)
            pids = self.workers(run)
            with contextlib.suppress(ProcessLookupError):
                if pids is not None:
                    os.kill(pids[0], signal.SIGSTOP)
            cell, = self.end(run, 3)
            self.assertEqual(cell["status"], "failed")
            if pids is not None:
                break
        self.assertIsNotNone(pids)

    def test_interrupted_calls_are_gone_on_with(self):
        for visits in ("3", "300"):  # a run that is over before it is seen is too short
            self.setUp()
            run = self.start("-e", "fork", "-p", "size=100k", "--visits", visits, "--samples", "6", "--budget", "20s")
            pids = self.workers(run)
            if pids is not None:
                break
            self.end(run, 0)
        for i in range(60):
            try:
                os.kill(pids[i % 3], signal.SIGSTOP)
                time.sleep(0.002)
                os.kill(pids[i % 3], signal.SIGCONT)
            except ProcessLookupError:
                break
        cell, = self.end(run, 0)
        self.assertGreater(cell["verified"], 0)

    def test_descriptors_that_lack_are_counted(self):
        run = self.start("-e", "thread,fork", "-p", "echo.connections=200",
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
        for cell in self.end(run, 3):
            needed = {"thread": "837 descriptors in one process", "fork": "435 descriptors in the server"}[cell["engine"]]
            self.assertEqual(cell["status"], "failed")
            self.assertIn("400 connections need " + needed, cell["reason"])
            self.assertIn("is 128", cell["reason"])


if __name__ == "__main__":
    unittest.main()
