"""The work of spin against its parameter: a step costs a whole number of instructions, the same at every length.

Counts and not times, so that no neighbour on the machine can break it; scripts/bench/truth.sh prints timed agreement."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import simulated

PRONY = os.environ["PRONY"]
ITEMS = 3
STEPS = 20_000


class Spin(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-spin-")
        self.addCleanup(shutil.rmtree, self.folder)

    def test_a_step_is_a_whole_number_of_instructions(self):
        done = subprocess.run([PRONY, "run", "-w", "spin", "-e", "serial", "-n", "1", "-p", f"spin.items={ITEMS}", "-p",
                               f"spin.steps={STEPS},{2 * STEPS},{3 * STEPS}", "--visits", "1", "--samples", "1",
                               "--counters", "callgrind:instructions+branches", "-q", "-o", "run"], cwd=self.folder,
                              capture_output=True, text=True, timeout=300, check=False,
                              env={**os.environ, "TMPDIR": self.folder})
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "run", "report.json"), encoding="utf-8") as file:
            cells = json.load(file)["cells"]
        counted = []  # (events, tasks) of each length
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            self.assertGreater(cell["verified"], 0)  # the closed form agrees: so many steps were done
            counters = cell["counters"]
            counted.append((counters["workers"][0]["events"], ITEMS * counters["samples"] * counters["repeats"]))
        self.assertEqual([cell["id"].rpartition("steps=")[2] for cell in cells], [str(k * STEPS) for k in (1, 2, 3)])
        tasks = counted[0][1]
        self.assertEqual([tasks] * 3, [of for _, of in counted])
        for name, least, most in (("instructions", 3, 16), ("branches", 1, 1)):
            for events, _ in counted:
                self.assertEqual(events[name]["status"], "counted", events[name]["reason"])
            first, second, third = (events[name]["value"] for events, _ in counted)
            self.assertEqual(third - second, second - first, name)
            a_step, left = divmod(second - first, tasks * STEPS)
            self.assertEqual(left, 0, name)
            self.assertTrue(least <= a_step <= most, (name, a_step))
            beside = first - a_step * tasks * STEPS  # what a task costs beside its steps
            self.assertTrue(0 <= beside < 500 * tasks, (name, beside))


if __name__ == "__main__":
    simulated.main()
