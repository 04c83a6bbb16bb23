"""Runner, cell host or worker of a run over a channel is killed at a random moment: the run ends in time, and no process
and no object of System V of it is left."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from marked import processes_of

PRONY = os.environ["PRONY"]
KINDS = ("msg", "sem", "shm")


def who_of(marker):
    """Pids of a run's, without keepers, which have sessions of their own; and those."""
    found, keepers = [], []
    for pid in processes_of(marker):
        try:
            (keepers if os.getsid(pid) == pid else found).append(pid)
        except OSError:
            pass
    return found, keepers


def objects():
    return {(kind, line.split()[1]) for kind in KINDS
            for line in pathlib.Path("/proc/sysvipc", kind).read_text(encoding="ascii").splitlines()[1:]}


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def can_mount():
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "--ipc", "--mount", "sh", "-c", "mount -t tmpfs -o size=4k tmpfs /dev/shm && : >/proc/sys/kernel/msgmni"],
        check=False, stderr=subprocess.DEVNULL).returncode == 0


def is_there(engine):
    listed = subprocess.run([PRONY, "list", "engines", "--json"], check=True, capture_output=True).stdout
    return any(entry["name"] == engine and entry["available"] for entry in json.loads(listed))


class Runs(unittest.TestCase):
    def start(self, folder, channel):
        marker = f"PRONY_TEST_MARKER={os.getpid()}-{channel}"
        run = subprocess.Popen([PRONY, "run", "-e", "fork", "-w", "pingpong", "-c", channel, "-n", "2", "--counters", "none",
                                "--visits", "1000", "--budget", "2s", "-o", f"{folder}/{channel}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PRONY_TEST_MARKER": marker.split("=")[1]})
        return run, marker

    def test_nothing_is_left(self):
        draw = random.Random(7)
        listed = json.loads(subprocess.run([PRONY, "list", "channels", "--json"], check=True, capture_output=True).stdout)
        channels = [entry["name"] for entry in listed if entry["available"] and "python" not in entry["name"]]
        before = objects()
        with tempfile.TemporaryDirectory() as folder:
            for first in range(0, len(channels), 6):
                runs = [(*self.start(folder, channel), channel) for channel in channels[first:first + 6]]
                for i, (run, marker, channel) in enumerate(runs):
                    time.sleep(draw.uniform(0.05, 0.4))
                    victims = [pid for pid in who_of(marker)[0] if pid != run.pid]
                    victim = draw.choice(victims) if victims and i % 2 == 0 else run.pid
                    try:
                        os.kill(victim, signal.SIGKILL)
                    except ProcessLookupError:
                        run.kill()
                for run, marker, channel in runs:
                    try:
                        run.wait(timeout=150)
                    except subprocess.TimeoutExpired:
                        run.kill()
                        self.fail(f"{channel}: the run did not end")
                    self.assertTrue(until(lambda: who_of(marker) == ([], [])), f"{channel}: processes were left")
        self.assertTrue(until(lambda: not objects() - before), "objects of System V were left")

    def apart(self, prepare, *arguments):
        """A run in namespaces of its own, prepared by a command: what it says of the cell that failed."""
        command = f'{prepare} && exec "$@"'
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["unshare", "--ipc", "--mount", "sh", "-c", command, "sh", PRONY, "run", "-n", "2",
                                   "--counters", "none", "--visits", "1", "-o", folder, *arguments],
                                  capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            return json.loads(pathlib.Path(folder, "report.json").read_text(encoding="utf-8"))["cells"][0]["reason"]

    @unittest.skipUnless(can_mount(), "no mounts of its own: unshare --mount")
    def test_limits_of_the_system_are_said(self):
        small = "mount -t tmpfs -o size=4k tmpfs /dev/shm"
        full = small + " && { cat /dev/zero >/dev/shm/full 2>/dev/null || true; }"
        for prepare, engine, workload, channel, says in (
                ("echo 1 >/proc/sys/kernel/msgmni", "fork", "pingpong", "sysv-mq", "raise /proc/sys/kernel/msgmni"),
                ("echo 1 >/proc/sys/kernel/msgmni", "fork", "square", "sysv-mq", "raise /proc/sys/kernel/msgmni"),
                (small, "fork", "pingpong", "shm-ring", "remount,size="),
                (small, "fork", "square", "shm-ring", "remount,size="),
                (full, "python-processes", "pingpong", "python-queue", "remount,size=")):
            if not is_there(engine):
                continue  # the test of CPython's channels says why
            with self.subTest(channel=channel, workload=workload):
                own = ["-p", "channel.memory=posix"] if channel == "shm-ring" else []
                self.assertIn(says, self.apart(prepare, "-e", engine, "-w", workload, "-c", channel, *own))


def can_go_apart():
    """In a namespace of its own the test sees no objects of others."""
    return shutil.which("unshare") and subprocess.run(["unshare", "--ipc", "true"], check=False,
                                                      stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    if "PRONY_TEST_APART" not in os.environ and can_go_apart():
        os.environ["PRONY_TEST_APART"] = "1"
        os.execvp("unshare", ["unshare", "--ipc", sys.executable, "-B", *sys.argv])
    unittest.main()
