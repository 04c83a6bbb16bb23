"""The workloads of shapes map and tasks written in Python: (memory, low, high, in, out, argument) -> the value of the task's
future, or None. `memory` is the arena; in and out are its parts that the task works on. Each function does what the kernel of
the same name in workloads/ does, and the C side checks its answer. This file comes before pools.py in the script
that prony runs.
"""

import array
import struct


def empty(_memory, low, _high, _source, _target, _argument):
    return low


def square(_memory, low, high, source, target, _argument):
    target.cast("q")[low:high] = array.array("q", [number * number for number in source.cast("q")[low:high]])


def is_prime(number):
    if number < 4:
        return number > 1
    if number % 2 == 0:
        return False
    divisor = 3
    while divisor <= number // divisor:
        if number % divisor == 0:
            return False
        divisor += 2
    return True


def primes(_memory, low, high, _source, target, _argument):
    target[low:high] = bytes(map(is_prime, range(low, high)))


def matmul(_memory, low, high, source, target, argument):
    size, = struct.unpack_from("=Q", argument)
    numbers = source.cast("d")
    rows = [numbers[at:at + size].tolist() for at in range(size * size, 2 * size * size, size)]
    for row in range(low, high):
        sums = [0.0] * size
        for factor, other in zip(numbers[row * size:(row + 1) * size], rows):
            sums = [value + factor * entry for value, entry in zip(sums, other)]
        target.cast("d")[row * size:(row + 1) * size] = array.array("d", sums)


def spin(_memory, low, _high, _source, _target, argument):
    seed, steps = struct.unpack_from("=QQ", argument)
    number = mix(seed + low & MASK)
    for _ in range(steps):
        number = number * 6364136223846793005 + 1442695040888963407 & MASK
    return number


def escapes(right, up, most):
    """How often z * z + c stays near the origin, in whole multiples of 2^-28; count() of workloads/mandelbrot.c."""
    x = y = 0
    for count in range(most):
        xx, yy = x * x >> 28, y * y >> 28
        if xx + yy > 4 << 28:
            return count
        x, y = xx - yy + right, (x * y >> 27) + up
    return most


def mandelbrot(_memory, low, high, _source, target, argument):
    rows, most = struct.unpack_from("=II", argument)
    counts, columns = target.cast("I"), 2 * rows
    across = [(10 << 26) * column // columns - (2 << 28) for column in range(columns)]
    for row in range(low, high):
        up = (5 << 26) - (5 << 26) * row // rows
        counts[row * columns:(row + 1) * columns] = array.array("I", [escapes(right, up, most) for right in across])


def from_left(left, right, count):
    """How many of the first keys of both runs, merged, come from the left one."""
    low, high = max(count - len(right), 0), min(count, len(left))
    while low < high:
        half = (low + high) // 2
        if left[half] <= right[count - half - 1]:
            low = half + 1
        else:
            high = half
    return low


def sort(_memory, low, high, source, _target, argument):
    """Python's own sort, which merges two runs as fast as it finds that they are two."""
    items, block, rounds, now = struct.unpack_from("=QQII", argument)
    keys = source.cast("Q")

    def place(number):
        at = (1 + (rounds - number + 1) % 2) * items
        return keys[at:at + items]

    before, after, run = place(now - 1), place(now), block << now >> 1
    for at in range(low * block, min(high * block, items), block):
        end = min(at + block, items)
        if now == 0:
            some = keys[at:end].tolist()
        else:
            first = at // (2 * run) * (2 * run)
            left, right = before[first:first + run], before[first + run:first + 2 * run]
            cut, next_cut = from_left(left, right, at - first), from_left(left, right, end - first)
            some = left[cut:next_cut].tolist() + right[at - first - cut:end - first - next_cut].tolist()
        after[at:end] = array.array("Q", sorted(some))


FUNCTIONS = {function.__name__: function for function in (empty, square, primes, matmul, spin, mandelbrot, sort)}
