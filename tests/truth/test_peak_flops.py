"""The operations of peak-flops: simulated instructions say that a step is what the known count takes it to be."""
import json
import os
import subprocess
import tempfile
import unittest

import simulated

PRONY = os.environ["PRONY"]
CHAINS, LOOP = 12, 2  # instructions of a step: one a chain, and two that turn the loop
REPETITIONS = 2  # one to warm up and one more: both are counted
LANES = {"scalar": (1, 1), "sse": (2, 4), "avx2": (4, 8), "avx512": (8, 16), "neon": (2, 4)}


class Steps(unittest.TestCase):
    def cells(self, *params, counters="callgrind:instructions"):
        """The cells that could run, by (width, precision, fma, steps)."""
        with tempfile.TemporaryDirectory(prefix="prony-peak-") as folder:
            words = [word for param in params for word in ("-p", f"peak-flops.{param}")]
            done = subprocess.run([PRONY, "run", "-w", "peak-flops", "-e", "thread", "-n", "1", *words, "--visits", "1",
                                   "--samples", "1", "--counters", counters, "-q", "-o", os.path.join(folder, "run")],
                                  capture_output=True, text=True, timeout=300, check=False,
                                  env={**os.environ, "TMPDIR": folder})
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(os.path.join(folder, "run", "report.json"), encoding="utf-8") as file:
                cells = json.load(file)["cells"]
        found = {}
        for cell in cells:
            if cell["status"] == "skipped":
                continue
            self.assertEqual(cell["status"], "ok", cell["reason"])
            values = {key.rsplit(".", 1)[-1]: value for key, value in cell["params"].items()}
            found[values["width"], values["precision"], values["fma"], values["steps"]] = cell
        self.assertTrue(found)
        return found

    def test_a_step_is_twelve_operations_and_the_loop(self):
        found = self.cells("width=scalar,avx2,neon", "precision=double", "fma=auto,no", "steps=10k,30k")
        compared = 0
        for (width, precision, fma, steps), cell in found.items():
            event = cell["counters"]["total"]["instructions"]
            if steps != 10_000 or event["status"] != "counted":
                continue  # a width that the simulated CPU lacks
            more = found[width, precision, fma, 30_000]["counters"]["total"]["instructions"]["value"] - event["value"]
            self.assertEqual(more, REPETITIONS * 20_000 * (CHAINS + LOOP), (width, fma))
            compared += 1
        self.assertGreaterEqual(compared, 2)

    def test_the_count_is_lanes_times_chains(self):
        for (width, precision, fma, steps), cell in self.cells(
                "width=sse,avx512,neon", "precision=double,float", "fma=auto,no", "steps=1000",
                counters="none").items():
            one = CHAINS * LANES[width][precision == "float"] * steps
            self.assertIn(cell["items"], (one,) if fma == "no" else (one, 2 * one))


if __name__ == "__main__":
    simulated.main()
