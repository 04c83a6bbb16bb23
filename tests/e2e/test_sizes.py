"""A message that a channel cannot carry: the cell is skipped with the limit and how to raise it, and nothing is clamped."""
import json
import unittest

from program import ProgramTest

BASE = ("run", "-e", "fork", "-w", "pingpong", "-n", "2", "--counters", "none", "--visits", "6", "--samples", "1", "--budget",
        "200s", "--timeout", "300s", "-p", "items=4", "-o", "out")


class Sizes(ProgramTest):
    def cells(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            return {(cell["channel"], str(cell["params"]["pingpong.size"])): cell for cell in json.load(file)["cells"]}

    def test_the_limit_and_how_to_raise_it(self):
        self.prony(*BASE, "-c", "posix-mq,sysv-mq,udp,unix-dgram,unix-seqpacket,pipe", "-p", "size=64,1Mi")
        cells = self.cells()
        words = {"posix-mq": ("at most 8192 bytes, not 1048576", "message=BYTES", "msgsize_max"),
                 "sysv-mq": ("not 1048576", "msgmax", "capacity=BYTES"),
                 "udp": ("at most 65507 bytes", "stream"),
                 "unix-dgram": ("not 1048576", "buffer=BYTES", "wmem_max"),
                 "unix-seqpacket": ("not 1048576", "buffer=BYTES", "wmem_max")}
        self.assertEqual(len(cells), 12)
        for (channel, size), cell in cells.items():
            if size == "64" or channel == "pipe":
                self.assertEqual(cell["status"], "ok", cell)
                self.assertGreater(cell["verified"], 0)
            else:
                self.assertEqual((cell["status"], cell["visits"]), ("skipped", []), cell)
                for word in words[channel]:
                    self.assertIn(word, cell["reason"])

    def test_nothing_measured_is_an_error_that_names_the_limit(self):
        done = self.prony(*BASE, "-c", "posix-mq,udp", "-p", "size=16Mi", code=3)
        self.assertIn("nothing was measured", done.stderr)
        self.assertIn("at most 8192 bytes", done.stderr)
        self.assertEqual({cell["status"] for cell in self.cells().values()}, {"skipped"})

    def test_the_limit_can_be_raised_by_its_option(self):
        self.prony(*BASE, "-c", "unix-dgram", "-p", "size=100Ki", "-p", "unix-dgram.buffer=128Ki")
        self.assertEqual([cell["status"] for cell in self.cells().values()], ["ok"])

    def test_in_a_suite_the_rest_is_measured(self):
        suite = {"suite": "large", "summary": "sizes that not all can carry", "rows": [
            {"engines": ["fork"], "workloads": ["pingpong"], "channels": ["posix-mq", "pipe"], "workers": ["2"],
             "params": ["size=1Mi", "items=4"]}]}
        self.write("large.json", json.dumps(suite))
        self.prony("run", "large.json", "--counters", "none", "--visits", "6", "--samples", "1", "--budget", "200s",
                   "--timeout", "300s", "-o", "out")
        self.assertEqual({key[0]: cell["status"] for key, cell in self.cells().items()},
                         {"posix-mq": "skipped", "pipe": "ok"})


if __name__ == "__main__":
    unittest.main()
