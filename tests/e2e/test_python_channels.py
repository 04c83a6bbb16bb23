"""CPython's own Queue, Pipe and SimpleQueue as channels: between its workers they carry every message; others are refused."""
import json

from program import ProgramTest

CHANNELS = ("python-queue", "python-pipe", "python-simplequeue")
QUICK = ("--visits", "1", "--samples", "1", "--counters", "none", "-o", "out", "-q")


class PythonChannels(ProgramTest):
    def setUp(self):
        super().setUp()
        engine, = [entry for entry in self.json("list", "engines", "--json") if entry["name"] == "python-processes"]
        self.works = engine["available"]

    def cells(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            return json.load(file)["cells"]

    def carried(self, engine, *more):
        if not self.works:
            self.skipTest("CPython cannot be used here")
        self.prony("run", "-e", engine, "-w", "pingpong,stream", "-c", ",".join(CHANNELS), "-n", "2", "-p",
                   "size=64,4Ki", "-p", "items=500", *more, "--budget", "60s", *QUICK)
        cells = self.cells()
        self.assertEqual(len(cells), 12)
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell)
            self.assertGreater(cell["verified"], 0, cell["id"])
        self.assertEqual({cell["channel"] for cell in cells}, set(CHANNELS))

    def test_between_the_workers_of_an_executor(self):
        self.carried("python-processes")

    def test_between_the_workers_of_a_pool_that_were_spawned(self):
        self.carried("python-pool", "-p", "python-pool.start=spawn")

    def test_others_are_told_what_it_needs(self):
        self.prony("run", "-e", "fork,thread", "-w", "pingpong", "-c", "pipe,python-queue", "-n", "2", "-p", "items=100",
                   "--budget", "20s", *QUICK)
        for cell in self.cells():
            if cell["channel"] == "python-queue":
                self.assertEqual(cell["status"], "skipped")
                self.assertRegex(json.dumps(cell), "python-processes|between threads")
            else:
                self.assertEqual(cell["status"], "ok", cell)
