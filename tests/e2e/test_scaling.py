"""run --scaling: items by workers, the series of the report, and the laws or why there are none."""
import json
import os
import unittest

import jsonschema

from program import SOURCE, ProgramTest

ITEMS = 1000
WORKERS = (1, 2, 3, 4)
LAWS = {"strong": ("amdahl", 3), "weak": ("gustafson", 3)}  # with the numbers of workers that it needs; usl needs 4
RUN = ("run", "-w", "square", "-e", "thread", "-n", "1..4", "--oversubscribe", "--visits", "6", "--samples", "1",
       "--counters", "none", "-p", "square.items=1k", "-o", "out")
PLAN = ("run", "-w", "square", "-e", "thread", "-n", "1..4", "--topology", "synthetic:core:8 pu:1", "-p",
        "square.items=1k", "--dry-run", "--json")


class Scaling(ProgramTest):
    def measure(self, *arguments):
        done = self.prony(*RUN, *arguments)
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(os.path.join(SOURCE, "results", "schema", "report.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(report, json.load(file), cls=jsonschema.Draft7Validator)
        self.assertEqual({cell["status"] for cell in report["cells"]}, {"ok"})
        return report, done.stdout

    def check_series(self, report, size):
        """The one series of the engine: every cell that is not oversubscribed, and its laws or the reason."""
        self.assertEqual(report["plan"]["size"], size)
        inside = {cell["id"]: cell for cell in report["cells"]
                  if cell["engine"] == "thread" and not cell["placement"]["oversubscribed"]}
        if len(inside) < 2:
            self.assertEqual(report["scaling"], [])  # one number of workers is no series
            return
        self.assertEqual(len(report["scaling"]), 1)
        series = report["scaling"][0]
        self.assertEqual((series["engine"], series["workload"], series["size"]), ("thread", "square", size))
        self.assertEqual({point["cell"]: (point["workers"], point["items"]) for point in series["points"]},
                         {name: (cell["workers"], cell["items"]) for name, cell in inside.items()})
        self.assertTrue(all(point["rate"] > 0 for point in series["points"]))
        own, least = LAWS[size]
        other = "amdahl" if own == "gustafson" else "gustafson"
        self.assertNotIn(other, series["laws"])
        for law, needed in ((own, least), ("usl", 4)):
            if len(inside) < needed:
                self.assertNotIn(law, series["laws"])
                self.assertIn(f"{law} needs {needed} numbers of workers", series["reason"])
                self.assertIn(f"{len(inside)} were measured", series["reason"])
            elif law not in series["laws"]:
                self.assertIn(f"{law} fits nothing", series["reason"])

    def test_weak_multiplies_the_items(self):
        report, _ = self.measure("--scaling", "weak")
        cells = [cell for cell in report["cells"] if cell["engine"] == "thread"]
        self.assertEqual([(cell["workers"], cell["items"]) for cell in cells], [(n, n * ITEMS) for n in WORKERS])
        serial = [cell["items"] for cell in report["cells"] if cell["baseline"]]
        self.assertEqual(sorted(serial), [n * ITEMS for n in WORKERS])  # every size has its own
        self.check_series(report, "weak")

    def test_strong_keeps_them(self):
        report, _ = self.measure("--scaling", "strong")
        cells = [cell for cell in report["cells"] if cell["engine"] == "thread"]
        self.assertEqual([(cell["workers"], cell["items"]) for cell in cells], [(n, ITEMS) for n in WORKERS])
        self.assertEqual([cell["items"] for cell in report["cells"] if cell["baseline"]], [ITEMS])
        self.check_series(report, "strong")

    def test_the_plan_says_the_size(self):
        def ids(*arguments):
            plan = self.json(*PLAN, *arguments)
            return plan["method"]["size"], {cell["id"] for cell in plan["cells"] if cell["engine"] == "thread"}

        strong, weak = ids("--scaling", "strong"), ids("--scaling", "weak")
        self.assertEqual(ids(), strong)
        self.assertEqual(strong, ("strong", {f"square/thread/n{n}/compact/items=1k" for n in WORKERS}))
        self.assertEqual(weak, ("weak", {f"square/thread/n{n}/compact/items=1k" + (f"/x{n}" if n > 1 else "")
                                         for n in WORKERS}))

    def test_what_is_too_much_is_skipped(self):
        plan = self.json(*PLAN[:-4], "-p", "square.items=500M", "--dry-run", "--json", "--scaling", "weak")
        skipped = {cell["workers"]: cell["reason"] for cell in plan["cells"]
                   if cell["engine"] == "thread" and cell["status"] == "skipped"}
        self.assertEqual(set(skipped), {3, 4})
        self.assertTrue(skipped[3].startswith("3 times the items"), skipped[3])

    def test_a_wrong_word(self):
        self.refused(*RUN, "--scaling", "week", says="--scaling is strong or weak, not 'week'")
        self.refused("run", "--scaling", says="--scaling")
        self.assertFalse(os.path.exists(self.path("out")))


if __name__ == "__main__":
    unittest.main()
