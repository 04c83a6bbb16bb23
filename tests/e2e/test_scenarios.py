"""run on the workloads of docs/howto/scenarios.md: uneven rows in chunks, a sort in rounds and by recursion, a network server."""
import json
import unittest

from program import ProgramTest

QUICK = ("--visits", "1", "--samples", "1", "--counters", "none", "-o", "out", "-q")


class Scenarios(ProgramTest):
    def cells(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            cells = json.load(file)["cells"]
        self.assertEqual([cell["reason"] for cell in cells if cell["status"] not in ("ok", "skipped")], [])
        return cells

    def test_sorting_and_drawing(self):
        self.prony("run", "-e", "thread,fork,futures-thread", "-w", "mandelbrot,sort", "-n", "2", "-p", "chunk=1,16", "-p",
                   "mandelbrot.size=32", "-p", "sort.items=30k", "-p", "sort.block=1000", "-p", "sort.by=map,tasks", *QUICK)
        cells = self.cells()
        self.assertGreaterEqual(len(cells), 20)
        for cell in cells:
            self.assertEqual(cell["status"], "ok")
            self.assertGreater(cell["verified"], 0)
        by = {(cell["workload"], cell["engine"], cell["params"].get("sort.by")): cell for cell in cells}
        self.assertEqual(by["mandelbrot", "fork", None]["items"], 32)
        self.assertEqual(by["sort", "fork", "map"]["items"], 30000)
        self.assertIn(("sort", "futures-thread", "tasks"), by)

    def test_a_server_and_two_clients(self):
        self.prony("run", "-e", "thread,fork", "-w", "echo", "-n", "3", "--oversubscribe", "-p", "echo.items=300", "-p",
                   "echo.depth=1,7", "-p", "echo.size=1000", *QUICK)
        cells = self.cells()
        self.assertEqual(len(cells), 4)
        for cell in cells:
            self.assertEqual(cell["unit"], "request")
            self.assertGreater(cell["verified"], 0)
            self.assertGreaterEqual(cell["latency"]["count"], 300 * cell["repeats"])
            self.assertGreater(cell["latency"]["p50"], 0)
            self.assertGreaterEqual(cell["latency"]["max"], cell["latency"]["p50"])

    def test_a_server_alone_is_skipped(self):
        self.prony("run", "-e", "thread", "-w", "echo", "-n", "1..2", *QUICK)
        skipped = [cell["reason"] for cell in self.cells() if cell["status"] == "skipped"]
        self.assertEqual(len(skipped), 1)
        self.assertIn("needs 2 workers, a server and a client", skipped[0])


if __name__ == "__main__":
    unittest.main()
