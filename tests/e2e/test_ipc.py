"""run ipc: ways to talk compared; a pool whose tasks a channel carries; what is refused, and why."""
import json
import os
import unittest

import jsonschema

from program import SOURCE, ProgramTest

QUICK = ("--timeout", "300s", "--visits", "1", "--samples", "1", "--counters", "none", "-o", "out", "-q")


class Ipc(ProgramTest):
    def report(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(os.path.join(SOURCE, "results", "schema", "report.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(report, json.load(file), cls=jsonschema.Draft7Validator)
        return report

    def plots(self):
        return {name.split("-")[0] for name in os.listdir(self.path("out", "plots")) if name.endswith(".svg")}

    def plot(self, kind):
        """The data of the first plot of a kind."""
        name = sorted(name for name in os.listdir(self.path("out", "plots"))
                      if name.startswith(kind) and name.endswith(".dat"))[0]
        with open(self.path("out", "plots", name), encoding="utf-8") as file:
            return file.read()

    def test_a_part_of_the_suite(self):
        self.prony("run", "ipc", "--only", "pingpong/fork/pipe/*size=[61]*", "--only",
                   "pingpong/fork/shm-ring/*size=[61]*", "--skip", "*size=1Mi*", "--budget", "200s", *QUICK)
        report = self.report()
        cells = report["cells"]
        self.assertEqual({cell["channel"] for cell in cells}, {"pipe", "shm-ring"})
        done = [cell for cell in cells if cell["status"] == "ok"]
        self.assertGreaterEqual(len(done), 4)
        self.assertEqual({cell["status"] for cell in cells} - {"ok", "interrupted", "skipped"}, set())
        for cell in done:
            self.assertGreater(cell["verified"], 0, cell["id"])
            self.assertEqual(cell["wire"]["arrived"], 1)
            self.assertGreater(cell["latency"]["count"], 0)
            self.assertIn(cell["wire"]["wait"], ("block", "spin"))
        self.assertLessEqual({"cost", "cdf", "sizes", "rate"}, self.plots())
        with open(self.path("out", "report.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("For small messages", page)
        self.assertIn("shm-ring (block)", page)  # the channel and its wait, and nothing that is the same in all rows
        self.assertNotIn("fork over shm-ring", page)
        rising = [line.split() for line in self.plot("cdf").split("\n\n\n")[0].splitlines() if line[0] != "#"]
        self.assertEqual(float(rising[-1][1]), 100)
        self.assertEqual([float(row[1]) for row in rising], sorted(float(row[1]) for row in rising))
        self.assertIn(": the front", self.plot("cost"))

    def test_a_pool_over_channels(self):
        self.prony("run", "-w", "square,empty", "-e", "fork", "-c", "none,pipe,shm-ring,udp", "-n", "1", "-p",
                   "square.items=10k", "-p", "empty.items=100", "--budget", "60s", *QUICK)
        cells = [cell for cell in self.report()["cells"] if cell["engine"] == "fork"]
        self.assertEqual([cell["channel"] for cell in cells], 2 * [None, "pipe", "shm-ring", "udp"])
        for cell in cells:
            if cell["channel"] == "udp":
                self.assertEqual(cell["status"], "skipped")
                self.assertIn("may lose messages", cell["reason"])
            else:
                self.assertEqual(cell["status"], "ok", cell)
                self.assertGreater(cell["verified"], 0)
        speedups = [cell["stats"]["baseline"] for cell in cells if cell["status"] == "ok"]
        self.assertEqual({base.split("/")[1] for base in speedups}, {"serial"})
        self.assertIn("rate", self.plots())
        with open(self.path("out", "plots", "rate-square.gp"), encoding="utf-8") as file:
            names = file.read()
        for name in ('"fork"', '"fork over pipe"', '"fork over shm-ring"'):
            self.assertIn(name, names)  # all in one plot

    def test_what_a_channel_does_not_carry(self):
        plan = self.json("run", "-w", "fib,square,lock", "-e", "fork,thread", "-c", "pipe", "-n", "2", "--dry-run",
                         "--json")
        by = {(cell["workload"], cell["engine"]): cell for cell in plan["cells"]}
        self.assertEqual(by["square", "fork"]["channel"], "pipe")
        self.assertIsNone(by["square", "thread"]["channel"])  # threads have no use for it
        self.assertIsNone(by["lock", "fork"]["channel"])  # a gang keeps to shared memory
        self.assertIn("recursive tasks", json.dumps(by["fib", "fork"]))
        for none in ([], ["-c", "none"]):
            plain = self.json("run", "-w", "square", "-e", "fork", "-n", "2", *none, "--dry-run", "--json")
            self.assertEqual({cell["channel"] for cell in plain["cells"]}, {None})
        both = self.json("run", "-w", "square,pingpong", "-e", "fork", "-n", "2", "-c", "none,pipe", "--dry-run", "--json")
        self.assertEqual([(cell["workload"], cell["channel"]) for cell in both["cells"] if cell["engine"] == "fork"],
                         [("square", None), ("square", "pipe"), ("pingpong", "pipe")])

    def test_queues_that_a_user_may_have_at_once(self):
        self.prony("run", "-w", "pingpong", "-e", "fork", "-c", "posix-mq", "-n", "2", "-p", "size=64,128,256,1Ki", "-p",
                   "channel.wait=block,adaptive", "-p", "items=50",
                   "-p", "posix-mq.message=1Ki",  # other programs have some, too
                   "--budget", "60s", "--visits", "2", "-o", "out", "--counters", "none")
        report = self.report()
        self.assertEqual({cell["status"] for cell in report["cells"]} - {"interrupted"}, {"ok"})
        self.assertIn("measured in 2 groups", json.dumps(report))

    def test_mistakes(self):
        self.refused("run", "-w", "square", "-e", "fork", "-c", "carrier-pigeon", says="no channel")
        self.refused("run", "-w", "square", "-e", "fork", "-c", "pipe", "-p", "channel.wait=never", says="never")
        self.refused("run", "ipc", "--only", "no-such-cell", says="plan is empty")


if __name__ == "__main__":
    unittest.main()
