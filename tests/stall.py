#!/usr/bin/env python3
"""Runs a command and stops its descendants for a while at random moments: what wagers on being scheduled fails.

    tests/stall.py [--seed N] ctest --preset dev -j4 -E 'counters_software|channel_calls'

Those two count what a stop adds: a switch, a call that is begun again. Each stop is told on stderr."""
import argparse
import ctypes
import os
import random
import signal
import subprocess
import sys
import time

TOGETHER, EACH = 4, 4  # processes stopped at a time, stops of one process
SHORTEST, LONGEST = 0.3, 1.5  # seconds
SPARED = ("ctest", "cmake", "ninja", "cc", "cc1", "as", "ld", "collect2", "strace")
PR_SET_CHILD_SUBREAPER = 36


def running():
    """The processes of this machine that run: their names, and whose children they are."""
    names, kids = {}, {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                head, tail = file.read().rsplit(")", 1)
        except OSError:
            continue
        state, parent = tail.split()[:2]
        if state not in "ZX":
            names[pid] = head.split("(", 1)[1]
            kids.setdefault(int(parent), []).append(pid)
    return names, kids


def below(pid, kids):
    for kid in kids.get(pid, []):
        yield kid
        yield from below(kid, kids)


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def reap(run):
    """Orphans come to this process."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None or ended.si_pid == run.pid:
            return
        os.waitpid(ended.si_pid, 0)


def stall(run, draw):
    until, times = {}, {}
    try:
        while run.poll() is None:
            now = time.monotonic()
            for pid in [pid for pid, end in until.items() if now >= end]:
                send(pid, signal.SIGCONT)
                del until[pid]
            names, kids = running()
            some = [pid for pid in below(os.getpid(), kids) if pid != run.pid and pid not in until and
                    times.get(pid, 0) < EACH and names[pid] not in SPARED]
            if some and len(until) < TOGETHER:
                pid, length = draw.choice(some), draw.uniform(SHORTEST, LONGEST)
                if send(pid, signal.SIGSTOP):
                    until[pid], times[pid] = now + length, times.get(pid, 0) + 1
                    print(f"stall: {names[pid]} ({pid}) for {length:.1f} s", file=sys.stderr)
            time.sleep(draw.uniform(0.003, 0.03))
            reap(run)
    finally:
        for pid in until:
            send(pid, signal.SIGCONT)
        if run.poll() is None:
            run.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    if not wanted.command:
        parser.error("which command?")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    run = subprocess.Popen(wanted.command)
    stall(run, random.Random(wanted.seed))
    return run.wait()


if __name__ == "__main__":
    sys.exit(main())
