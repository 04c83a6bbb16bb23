"""How long tasks waited and ran: in the report when asked for, and nothing of it when not."""
import json
import unittest

import jsonschema

from program import SOURCE, ProgramTest


class TaskTimes(ProgramTest):
    def run_cells(self, *more):
        self.prony("run", "-e", "serial,thread,fork", "-w", "empty", "-n", "1", "-p", "items=200",
                   "--visits", "2", "-o", self.path("out"), "--out", "md", "-q", *more)
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(f"{SOURCE}/results/schema/report.schema.json", encoding="utf-8") as file:
            jsonschema.Draft7Validator(json.load(file)).validate(report)
        self.prony("report", self.path("out"), "--check")
        texts = []
        for name in ("report.html", "report.md"):
            with open(self.path("out", name), encoding="utf-8") as file:
                texts.append(file.read())
        self.assertEqual({cell["status"] for cell in report["cells"]}, {"ok"})
        return [cell for cell in report["cells"] if "times=" in cell["id"] or not more], texts

    def test_every_task(self):
        cells, texts = self.run_cells("-p", "times=1")
        for cell in cells:
            times = cell["task_times"]
            samples = sum(len(visit["samples_ns"]) for visit in cell["visits"])
            self.assertEqual(times["one_in"], 1)
            for part in times.values():
                if part != 1:
                    self.assertEqual(part["count"], 200 * samples, cell["id"])
                    self.assertLessEqual(part["min"], part["p50"])
                    self.assertLessEqual(part["p50"], part["max"])
            if cell["engine"] == "serial":
                self.assertEqual(times["wait"]["max"], 0, "it runs them at once")
        for text in texts:
            self.assertIn("How long tasks waited and ran", text)

    def test_one_in_ten(self):
        cells, _ = self.run_cells("-p", "times=10")
        for cell in cells:
            samples = sum(len(visit["samples_ns"]) for visit in cell["visits"])
            self.assertEqual(cell["task_times"]["one_in"], 10)
            self.assertLess(cell["task_times"]["run"]["count"], 200 * samples / 5, cell["id"])
            self.assertGreater(cell["task_times"]["run"]["count"], 200 * samples / 20, cell["id"])

    def test_none(self):
        cells, texts = self.run_cells()
        self.assertFalse([cell["id"] for cell in cells if "task_times" in cell])
        for text in texts:
            self.assertNotIn("How long tasks waited", text)


if __name__ == "__main__":
    unittest.main()
