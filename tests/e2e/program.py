"""Runs the program under test in a folder of its own."""
import json
import os
import shutil
import subprocess
import tempfile
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


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="prony-e2e-")
        self.addCleanup(shutil.rmtree, self.folder)

    def prony(self, *arguments, code=0, timeout=120):
        """Runs prony; fails unless it ends with this exit code. Returns the completed process."""
        done = subprocess.run([PRONY, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, f"prony {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

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
