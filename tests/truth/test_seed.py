"""The seed reproduces the plan and the order of visits, which is what docs/method.md says it is."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

PRONY = os.environ["PRONY"]
WHOLE = 1 << 64
VISITS = 6
RUN = ("run", "-w", "empty", "-e", "null,serial", "-n", "1", "-p", "empty.items=10,20", "--visits", str(VISITS), "--samples",
       "1", "--counters", "none")


def draws(state):
    """SplitMix64 (Steele, Lea, Flood 2014)."""
    while True:
        state = (state + 0x9e3779b97f4a7c15) % WHOLE
        z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9 % WHOLE
        z = (z ^ z >> 27) * 0x94d049bb133111eb % WHOLE
        yield z ^ z >> 31


def below(draw, n):
    """Uniform in [0, n) (Lemire 2019)."""
    while True:
        high, low = divmod(next(draw) * n, WHOLE)
        if low >= WHOLE % n:
            return high


def shuffled(n, seed, block):
    """Fisher and Yates, inside out."""
    draw = draws(next(draws(seed)) ^ block)
    order = []
    for i in range(n):
        j = below(draw, i + 1)
        order.append(i)
        order[i], order[j] = order[j], order[i]
    return order


class Seed(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-seed-")
        self.addCleanup(shutil.rmtree, self.folder)

    def prony(self, *arguments):
        done = subprocess.run([PRONY, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def order(self, name, *arguments):
        """The cells of a run, and its visits (block, cell) in the order of the journal, as far as they are planned."""
        self.prony(*RUN, *arguments, "-q", "-o", name)
        with open(os.path.join(self.folder, name, "journal"), encoding="utf-8") as file:
            lines = [line.rstrip("\n").split("\t") for line in file]
        self.assertEqual([line[:2] for line in lines[-2:]], [["end", "done"], ["report"]])
        cells = [int(line[1]) for line in lines if line[0] == "cell"]
        visits = [(int(line[2]), int(line[1])) for line in lines if line[0] == "visit"]
        planned = [visit for visit in visits if visit[0] < VISITS]
        self.assertEqual(visits[:len(planned)], planned)  # what is made up for disturbed visits comes after
        return cells, planned

    def test_a_plan_is_the_same_again(self):
        first, again, other = (self.prony(*RUN, "--dry-run", "--json", "--seed", seed) for seed in ("7", "7", "8"))
        self.assertEqual(first, again)
        first, other = json.loads(first), json.loads(other)
        self.assertEqual(len(first["cells"]), 4)
        self.assertEqual((first["method"].pop("seed"), other["method"].pop("seed")), (7, 8))
        self.assertEqual(first, other)  # the seed chooses the order, never what is measured

    def test_visits_come_in_the_same_order(self):
        cells, first = self.order("first", "--seed", "7")
        self.assertEqual(first, [(block, cells[i]) for block in range(VISITS)
                                 for i in shuffled(len(cells), 7, block)])
        self.assertEqual(len(set(first)), VISITS * len(cells))  # a block visits every cell once
        self.assertEqual(self.order("again", "--seed", "7"), (cells, first))
        self.assertNotEqual(self.order("other", "--seed", "8"), (cells, first))

    def test_a_report_says_how_to_repeat_it(self):
        _, first = self.order("first", "--seed", "18446744073709551")
        with open(os.path.join(self.folder, "first", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual(report["plan"]["seed"], "18446744073709551")
        self.assertIn("--seed 18446744073709551", report["context"]["repeat"])
        self.assertEqual(self.order("again", "--seed", report["plan"]["seed"])[1], first)


if __name__ == "__main__":
    unittest.main()
