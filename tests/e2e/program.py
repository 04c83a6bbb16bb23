"""Runs the program under test in a folder of its own."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

PRONY = os.environ["PRONY"]
SOURCE = os.environ["PRONY_SOURCE"]


def pythons(marker):
    """The processes of CPython that run a pool of this run, the pool's own first."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as words:
                if marker in environ.read().split(b"\0") and b"python-" in words.read().split(b"\0")[8:9][0]:
                    found.append(pid)
        except (OSError, IndexError):
            pass
    return sorted(found)


def is_alive(pid):
    """Not gone, and no zombie that nobody has asked about yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-e2e-")
        self.addCleanup(shutil.rmtree, self.folder)

    def prony(self, *arguments, code=0, timeout=400):
        """Runs prony; fails unless it ends with this exit code. Returns the completed process."""
        done = subprocess.run([PRONY, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, f"prony {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def kill_python(self, victim, *arguments):
        """Starts a run on two workers of python-processes, kills one process of its pool (0: the pool's own) in the middle,
        and waits for its end: the exit code must be 3."""
        name = f"{os.getpid()}-{victim}-{'-'.join(arguments)}"
        run = subprocess.Popen([PRONY, "run", "-e", "python-processes", "-n", "2", "-p", "items=100M", "--timeout", "30s",
                                *arguments], cwd=self.folder, env={**os.environ, "PRONY_TEST_MARKER": name},
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        marker = f"PRONY_TEST_MARKER={name}".encode()
        for _ in range(6000):
            if len(pythons(marker)) == 3 or run.poll() is not None:
                break
            time.sleep(0.01)
        workers = pythons(marker)
        self.assertEqual((len(workers), run.returncode), (3, None))
        time.sleep(0.2)  # most likely in the middle of the work; before it, the end is the same
        os.kill(workers[victim], signal.SIGKILL)
        _, said = run.communicate(timeout=200)
        self.assertEqual(run.returncode, 3, said)
        return marker

    def none_left(self, marker):
        for _ in range(6000):
            if not pythons(marker):
                break
            time.sleep(0.01)
        self.assertEqual(pythons(marker), [])

    def refused(self, *arguments, says, code=2):
        """A mistake: its exit code, a reason on stderr, nothing on stdout."""
        done = self.prony(*arguments, code=code)
        self.assertIn(says, done.stderr)
        self.assertTrue(all(line.startswith("prony: ") for line in done.stderr.splitlines()), done.stderr)
        self.assertEqual(done.stdout, "")

    def json(self, *arguments):
        return json.loads(self.prony(*arguments).stdout)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)
