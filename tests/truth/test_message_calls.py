"""The system calls of a message in a report are the known ones: those of write and read, or of whatever the mechanism is
made of, whoever the workers are; and none over shared memory while nobody sleeps."""
import csv
import io
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PRONY = os.environ["PRONY"]
BUILD = pathlib.Path(os.environ["PRONY_BUILD"])

# A message over a mechanism of the kernel, sent and received.
KNOWN = {"pipe": 2, "fifo": 2, "unix-stream": 2, "unix-seqpacket": 2, "tcp": 2, "eventfd": 2, "sysv-mq": 2, "memfd-pass": 7,
         "process-vm": 6}


def sanitized():
    cache = (BUILD / "CMakeCache.txt").read_text()
    return any(line.startswith("PRONY_SANITIZE:") and line.split("=", 1)[1] for line in cache.splitlines())


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_cells(self, *arguments):
        out = tempfile.mkdtemp(dir=self.folder.name)
        done = subprocess.run([PRONY, "run", "--counters", "none", "--visits", "1", "--samples", "1", "-p", "repeats=1", "-q",
                               "--oversubscribe", "-o", out, *arguments], capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(pathlib.Path(out, "report.json").read_text())
        cells = [cell for cell in report["cells"] if cell["status"] != "skipped"]
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            reason = cell["wire"]["system_calls_reason"]
            if reason is not None and "trace" in reason:
                self.skipTest(reason)
            self.assertIsNone(reason, cell["id"])
        self.assertGreater(len(cells), 0)
        return cells, out

    def test_kernel_mechanisms_make_their_calls(self):
        cells, _ = self.run_cells("-e", "fork,thread", "-w", "pingpong", "-c", ",".join(KNOWN), "-n", "2", "-p",
                                  "channel.wait=block,spin")
        self.assertEqual({cell["engine"] for cell in cells}, {"fork", "thread"})
        self.assertLessEqual({"pipe", "unix-seqpacket"}, {cell["channel"] for cell in cells})
        for cell in cells:
            wire, known = cell["wire"], KNOWN[cell["channel"]]
            self.assertAlmostEqual(wire["system_calls"], known, 6, cell["id"])
            self.assertEqual(wire["system_calls_futex"], 0, cell["id"])
            self.assertGreater(wire["system_calls_messages"], 0)
            for side in wire["sides"]: # each sends as often as it receives
                self.assertAlmostEqual(side["system_calls"], known / 2, 6, cell["id"])
            if wire["wait"] == "block" and cell["channel"] == "pipe":
                self.assertEqual(wire["system_calls_in_vain"], 0, cell["id"])

    def test_shared_memory_makes_none_while_nobody_sleeps(self):
        cells, _ = self.run_cells("-e", "fork,thread", "-w", "pingpong,stream", "-c", "shm-ring,futex,posix-sem-shm", "-n", "2",
                                  "-p", "channel.wait=spin")
        if not cells:
            self.skipTest("one PU: nothing spins")
        for cell in cells:
            self.assertEqual(cell["wire"]["system_calls"], 0, cell["id"])
            self.assertEqual([side["system_calls"] for side in cell["wire"]["sides"]], [0, 0], cell["id"])

    def test_a_workload_makes_those_of_its_messages_and_answers(self):
        # The one answer to a whole stream is no message's; the answer to each message of oneway is.
        known = {"stream": (2, [1, 1]), "oneway": (4, [2, 2]), "burst": (2 + 2 / 16, [1 + 1 / 16, 1 + 1 / 16]),
                 "bidirectional": (2, [1, 1])}
        cells, out = self.run_cells("-e", "fork", "-w", "oneway,stream,burst,bidirectional", "-c", "pipe", "-n", "2", "-p",
                                    "items=32", "-p", "pipe.wait=block")
        self.assertEqual(len(cells), 4)
        for cell in cells:
            all_sides, each = known[cell["workload"]]
            self.assertAlmostEqual(cell["wire"]["system_calls"], all_sides, 6, cell["id"])
            for side, calls in zip(cell["wire"]["sides"], each):
                self.assertAlmostEqual(side["system_calls"], calls, 6, cell["id"])
        self.shown(out, cells)

    def test_a_hub_makes_those_of_all_its_messages(self):
        for workload in ("fan-in", "fan-out"):
            (cell,), _ = self.run_cells("-e", "fork", "-w", workload, "-c", "pipe", "-n", "3", "-p", "pipe.wait=block")
            self.assertAlmostEqual(cell["wire"]["system_calls"], 2, 6)
            self.assertEqual([round(side["system_calls"], 6) for side in cell["wire"]["sides"]], [1, 0.5, 0.5])

    def shown(self, folder, cells):
        """The same figures stand in the page, the Markdown and the CSV."""
        page = pathlib.Path(folder, "report.html").read_text()
        self.assertIn("What a message costs", page)
        self.assertIn(">4.00<br><small>2.00 + 2.00</small>", page)
        markdown = subprocess.run([PRONY, "report", folder, "--out", "md"], capture_output=True, text=True, check=True).stdout
        self.assertIn("## What a message costs", markdown)
        self.assertRegex(markdown, r"\| oneway [^\n]*\| 4\.00 \| 0\.00 \|")
        text = subprocess.run([PRONY, "report", folder, "--out", "csv"], capture_output=True, text=True, check=True).stdout
        rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
        for cell in cells:
            self.assertAlmostEqual(float(rows[cell["id"]]["system_calls_per_message"]), cell["wire"]["system_calls"], 6)


if __name__ == "__main__":
    if sanitized():
        print("a sanitizer makes system calls of its own")
        raise SystemExit(77)
    unittest.main()
