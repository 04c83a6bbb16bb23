"""CPython's own Queue, Pipe and SimpleQueue as channels: between its workers they carry every message; others are refused."""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from program import PRONY, ProgramTest

CHANNELS = ("python-queue", "python-pipe", "python-simplequeue")
QUICK = ("--visits", "1", "--samples", "1", "--counters", "none", "-o", "out", "-q")


def pythons(marker):
    """The processes of CPython that run a pool of this run, the pool's own first."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as words:
                if marker in environ.read().split(b"\0") and b"python-" in words.read().split(b"\0")[8:9][0]:
                    found.append(pid)
        except (OSError, IndexError):
            pass
    return sorted(found)


class PythonChannels(ProgramTest):
    def setUp(self):
        super().setUp()
        engine, = [entry for entry in self.json("list", "engines", "--json") if entry["name"] == "python-processes"]
        self.works = engine["available"]

    def cells(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            return json.load(file)["cells"]

    def carried(self, engine, workloads, sizes, *more):
        if not self.works:
            self.skipTest("CPython cannot be used here")
        self.prony("run", "-e", engine, "-w", workloads, "-c", ",".join(CHANNELS), "-n", "2", "-p",
                   f"size={sizes}", "-p", "items=500", *more, "--budget", "60s", *QUICK)
        cells = self.cells()
        self.assertEqual(len(cells), 3 * len(workloads.split(",")) * len(sizes.split(",")))
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell)
            self.assertGreater(cell["verified"], 0, cell["id"])
        self.assertEqual({cell["channel"] for cell in cells}, set(CHANNELS))

    def test_between_the_workers_of_an_executor(self):
        self.carried("python-processes", "pingpong,stream", "64,4Ki")

    def test_between_the_workers_of_a_pool_that_were_spawned(self):
        self.carried("python-pool", "stream", "64Ki", "-p", "python-pool.start=spawn")

    def test_others_are_told_what_it_needs(self):
        self.prony("run", "-e", "fork,thread", "-w", "pingpong", "-c", "pipe,python-queue", "-n", "2", "-p", "items=100",
                   "--budget", "20s", *QUICK)
        for cell in self.cells():
            if cell["channel"] == "python-queue":
                self.assertEqual(cell["status"], "skipped")
                self.assertRegex(json.dumps(cell), "needs the engine python-processes")
            else:
                self.assertEqual(cell["status"], "ok", cell)

    def test_the_death_of_a_worker_ends_the_cell(self):
        if not self.works:
            self.skipTest("CPython cannot be used here")
        for channel in CHANNELS:
            name = f"{os.getpid()}-{channel}"
            run = subprocess.Popen([PRONY, "run", "-e", "python-processes", "-w", "pingpong", "-c", channel, "-n", "2", "-p",
                                    "items=100M", "--timeout", "30s", "--budget", "30s", *QUICK], cwd=self.folder,
                                   env={**os.environ, "PRONY_TEST_MARKER": name}, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
            marker = f"PRONY_TEST_MARKER={name}".encode()
            for _ in range(1000):
                if len(pythons(marker)) == 3 or run.poll() is not None:
                    break
                time.sleep(0.01)
            workers = pythons(marker)
            self.assertEqual((len(workers), run.returncode), (3, None))
            time.sleep(0.2)  # most likely in the middle of a message; before it, the end is the same
            os.kill(workers[-1], signal.SIGKILL)
            _, said = run.communicate(timeout=60)
            self.assertEqual(run.returncode, 3, said)
            self.assertEqual([cell["status"] for cell in self.cells()], ["failed"])
            shutil.rmtree(self.path("out"))
            for _ in range(500):
                if not pythons(marker):
                    break
                time.sleep(0.01)
            self.assertEqual(pythons(marker), [])


if __name__ == "__main__":
    unittest.main()
