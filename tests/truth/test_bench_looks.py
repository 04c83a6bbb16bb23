"""The looks by which scripts/bench decides are together wrong in at most 5%, exactly and not by simulation: how many of n
launches lie below a median is a walk of fair steps."""
import math
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts", "bench"))
sys.dont_write_bytecode = True

from looks import ERROR, Looks, interval  # noqa: E402


def steps(below, n):
    """Values of which so many lie below 1 and the others above."""
    return [0.5] * below + [1.5] * (n - below)


def wrong(counts):
    """The exact share of runs that decide anything of a figure whose median is the target: each of them is wrong, either
    way of the two being as likely."""
    share = {0: 1.0}  # of runs that are still undecided, by how many launches lie below
    decided, before = 0.0, 0
    left = ERROR
    for n in counts:
        more = n - before
        spread = {}
        for below, part in share.items():
            for i in range(more + 1):
                spread[below + i] = spread.get(below + i, 0) + part * math.comb(more, i) / 2 ** more
        error = left if n == counts[-1] else left / 2
        left -= interval(steps(0, n), error)[2]
        share, before = {}, n
        for below, part in spread.items():
            low, high, _ = interval(steps(below, n), error)
            if low is None or low < 1 < high:
                share[below] = part
            else:
                decided += part
    return decided


class Looking(unittest.TestCase):
    def test_all_looks_together_are_wrong_in_at_most_five_percent(self):
        for first in range(7, 26):
            with self.subTest(launches=first):
                self.assertLessEqual(wrong([first, 2 * first, 4 * first]), ERROR)
        self.assertGreater(wrong([10, 20, 40]), ERROR / 2, "nor is half of it given away")

    def test_an_interval_is_exact(self):
        self.assertEqual(interval(range(5), 0.05), (None, None, 0.0), "five launches cannot have one")
        self.assertEqual(interval(range(10), 0.05)[:2], (1, 8))
        self.assertAlmostEqual(interval(range(10), 0.05)[2], 22 / 1024)
        self.assertEqual(interval(range(10), 0.02)[:2], (0, 9))

    def test_sides(self):
        for values, at_most, at_least in ((steps(10, 10), "ok", "missed"), (steps(0, 10), "missed", "ok"),
                                          (steps(9, 10), "ok", "missed"), (steps(5, 10), "undecided", "undecided")):
            self.assertEqual(Looks(1).look(values, False), at_most)
            self.assertEqual(Looks(1, least=True).look(values, False), at_least)

    def test_more_launches_decide_what_few_do_not(self):
        looks = Looks(1)
        self.assertEqual(looks.look(steps(7, 10), False), "undecided")
        self.assertEqual(looks.look(steps(14, 20), False), "undecided")
        self.assertEqual(looks.look(steps(28, 40), True), "ok")

    def test_what_is_decided_stays_so(self):
        looks = Looks(1)
        self.assertEqual(looks.look(steps(10, 10), False), "ok")
        self.assertEqual(looks.look(steps(10, 20), False), "ok")
        self.assertEqual(looks.look(steps(10, 40), True), "ok")

    def test_what_runs_once_is_judged_by_that(self):
        self.assertEqual(Looks(120).look([119.0], False), "undecided")
        self.assertEqual(Looks(120).look([119.0], True), "ok")
        self.assertEqual(Looks(120).look([121.0], True), "missed")


if __name__ == "__main__":
    unittest.main()
