"""Judges the median of a figure at several looks, so that what ten launches leave undecided may be decided by more of them.

To look again and again at 95% would be wrong more often than in 5%. Here all looks together are: each interval may be
wrong in half of what is left of the 5% (the last one in all of it), and what it takes is exact, since how many launches lie
below a median is binomial. The first look at which the interval lies on one side of the target decides, for good."""
import math

ERROR = 0.05


def interval(values, error):
    """The distribution-free interval of the median that misses it in at most `error`, and in how many; None: too few."""
    ordered, n = sorted(values), len(values)
    k, spent = 0, 0.0
    while k < n // 2:
        more = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n
        if more > error:
            break
        k, spent = k + 1, more
    return (ordered[k - 1], ordered[n - k], spent) if k else (None, None, 0.0)


class Looks:
    """The looks at one figure. target: the most (or with `least`, the least) that its median may be."""

    def __init__(self, target, least=False):
        self.target, self.least = target, least
        self.left, self.verdict = ERROR, "undecided"

    def look(self, values, last):
        if self.verdict != "undecided":
            return self.verdict
        if len(values) == 1 and last:  # run once only, and said so
            low = high = values[0]
        else:
            low, high, spent = interval(values, self.left if last else self.left / 2)
            self.left -= spent
        if low is None:
            return self.verdict
        side, target = (-1, -self.target) if self.least else (1, self.target)
        low, high = sorted((side * low, side * high))
        self.verdict = "ok" if high <= target else "missed" if low > target else "undecided"
        return self.verdict
