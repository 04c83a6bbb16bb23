"""run roofline: peaks that add up, every compute and memory workload under its ceiling, and the plot."""
import json
import os
import unittest

import jsonschema

from program import SOURCE, ProgramTest

WIDTHS = {"scalar", "sse", "avx2", "avx512", "neon"}


class Roofline(ProgramTest):
    def report(self, *arguments):
        done = self.prony("run", *arguments, "--visits", "1", "--samples", "1", "--counters", "none", "-o", "out")
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(os.path.join(SOURCE, "results", "schema", "report.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(report, json.load(file), cls=jsonschema.Draft7Validator)
        return report, done.stdout

    def test_the_suite_places_every_workload(self):
        report, table = self.report("roofline", "-n", "1", "--skip", "*op=write*", "--skip", "*op=copy*", "--skip",
                                    "*op=triad*", "--skip", "*precision=float*", "--skip", "*/fork/*")
        cells = {cell["id"]: cell for cell in report["cells"]}
        for cell in cells.values():
            self.assertIn(cell["status"], ("ok", "skipped"), cell["reason"])
            if cell["status"] == "ok":
                self.assertGreaterEqual(cell["verified"], 1)
            else:  # a width or a level that this machine lacks
                self.assertIn(cell["workload"], ("peak-flops", "bandwidth"))
                self.assertTrue(cell["reason"])
        ceilings = report["roofline"]["ceilings"]
        self.assertTrue({ceiling.get("width") for ceiling in ceilings} & WIDTHS)
        self.assertIn("memory", {ceiling.get("level") for ceiling in ceilings})
        for ceiling in ceilings:
            self.assertEqual(cells[ceiling["cell"]]["workers"], ceiling["workers"])
        placed = 0
        for cell in cells.values():
            place = cell["roofline"]
            if cell["workload"] in ("peak-flops", "bandwidth"):
                self.assertIsNone(place)
            elif cell["workload"] == "primes":
                self.assertIsNone(place["fraction"])
                self.assertIn("neither known nor counted", place["reason"])
            elif place["fraction"] is None:
                self.assertIn("was measured with", place["reason"])  # a level without a peak here
            else:
                placed += 1
                self.check(cell, place, ceilings)
        self.assertGreater(placed, 0)
        self.assertIn("how close to the machine", table)
        self.assertTrue(os.path.getsize(self.path("out", "plots", "roofline-all.svg")) > 1000)
        with open(self.path("out", "report.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("<h2 id=roofline>How close to the machine</h2>", page)
        self.assertIn("Closest to its limit came", page)

    def check(self, cell, place, ceilings):
        """The fraction by its definition, out of the report's own figures."""
        same = [one for one in ceilings if one["workers"] == cell["workers"] and one.get("precision") != "float"]
        peak = max((one["rate"] for one in same if one["kind"] == "compute"), default=None)
        slope = max(one["rate"] for one in same if one.get("level") == place["level"])
        seconds = cell["stats"]["median"] / 1e9
        if place["flops"] == 0:
            limit, rate, unit = slope, place["bytes"] / seconds, "bytes/s"
        else:
            limit, rate = min(peak, slope * place["flops"] / place["bytes"]), place["flops"] / seconds
            unit = "FLOP/s"
        self.assertEqual(place["unit"], unit)
        self.assertAlmostEqual(place["ceiling"] / limit, 1, places=9)
        self.assertAlmostEqual(place["fraction"] / (rate / limit), 1, places=9)

    def test_known_counts(self):
        report, _ = self.report("-w", "matmul,triad,chase,square", "-e", "serial,thread", "-n", "1", "-p",
                                "matmul.size=20", "-p", "triad.size=8Ki", "-p", "chase.size=64Ki", "-p",
                                "square.items=100")
        known = {"matmul": (2 * 20**3, 3 * 20 * 20 * 8), "triad": (2 * 1024, 24 * 1024), "chase": (0, 1023 * 64),
                 "square": (0, 1600)}
        self.assertIsNone(report["roofline"])
        self.assertEqual({cell["workload"] for cell in report["cells"]}, set(known))
        for cell in report["cells"]:
            place = cell["roofline"]
            self.assertEqual((place["flops"], place["bytes"]), known[cell["workload"]])
            self.assertEqual(place["source"], "known")
            self.assertIn("prony run roofline", place["reason"])

    def test_a_width_that_is_not_here(self):
        done = self.prony("run", "-w", "peak-flops", "-e", "thread", "-n", "1", "-p",
                          "peak-flops.width=scalar,avx2,avx512,neon", "--visits", "1", "--samples", "1", "-o", "out")
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            cells = json.load(file)["cells"]
        self.assertEqual(len(cells), 4)
        missing = [cell for cell in cells if cell["status"] == "skipped"]
        self.assertGreaterEqual(len(missing), 1)  # no CPU has both avx2 and neon
        for cell in missing:
            self.assertIn("this CPU, or the system it runs, has no", cell["reason"])
        self.assertIn("skipped", done.stdout)


if __name__ == "__main__":
    unittest.main()
