"""System calls that cannot be counted, because nobody may trace or because the traced sample goes wrong, cost their own
figure and nothing else: the cell keeps what it measured, the report says why, and nothing is left behind."""
import ctypes
import json
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

from marked import left_of

PRONY = os.environ["PRONY"]
SOURCE = pathlib.Path(os.environ["PRONY_SOURCE"])
PTRACE = {"x86_64": 101, "aarch64": 117}.get(platform.machine())
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000


def filtered(action):
    """For a child before it executes: from now on ptrace is answered by `action`."""
    code = b"".join(struct.pack("HBBI", *step) for step in (
        (0x20, 0, 0, 0),        # load the call's number
        (0x15, 0, 1, PTRACE),   # ptrace?
        (0x06, 0, 0, action),
        (0x06, 0, 0, ALLOW)))

    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        steps = ctypes.create_string_buffer(code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(steps)))
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
            os._exit(99)
    return install


class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.plugin = os.path.join(cls.folder.name, "watched.so")
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-I", str(SOURCE / "include"),
                        "-o", cls.plugin, str(SOURCE / "tests/fault/plugins/watched.c")], check=True)
        os.chmod(cls.plugin, 0o755)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_cells(self, *arguments, before=(), install=None):
        marker = f"PRONY_TEST_MARKER={os.getpid()}-{time.monotonic_ns()}"
        out = tempfile.mkdtemp(dir=self.folder.name)
        name, value = marker.split("=")
        done = subprocess.run([*before, PRONY, "run", "--counters", "none", "--visits", "1", "--samples", "1", "-p", "repeats=1",
                               "-q", "--oversubscribe", "-n", "2", "-o", out, *arguments], capture_output=True, text=True,
                              timeout=200, stdin=subprocess.DEVNULL, preexec_fn=install,
                              env={**os.environ, name: value, "LSAN_OPTIONS": "detect_leaks=0"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(left_of(marker), [], "processes were left behind")
        cells = json.loads(pathlib.Path(out, "report.json").read_text())["cells"]
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            self.assertGreaterEqual(len(cell["visits"]), 1)
            self.assertIsNotNone(cell["wire"]["messages_per_s"])
        return cells

    def assert_not_counted(self, cell, reason):
        wire = cell["wire"]
        self.assertRegex(wire["system_calls_reason"] or "", reason, cell["id"])
        for part in (wire, *wire["sides"]):
            self.assertIsNone(part["system_calls"], cell["id"])
            self.assertIsNone(part["system_calls_in_vain"], cell["id"])
        self.assertEqual(wire["system_calls_messages"], 0)

    @unittest.skipIf(PTRACE is None, "the number of ptrace is not known for this processor")
    def test_a_filter_that_forbids_or_kills(self):
        for action in (ERRNO | 1, KILL):
            for cell in self.run_cells("-e", "fork", "-w", "pingpong", "-c", "pipe", "-p", "pipe.wait=block",
                                       install=filtered(action)):
                self.assert_not_counted(cell, "seccomp filter")

    def test_under_another_tracer(self):
        strace = shutil.which("strace")
        if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
            self.skipTest("strace is not here, or may not trace")
        for cell in self.run_cells("-e", "fork,thread", "-w", "pingpong", "-c", "pipe", "-p", "pipe.wait=block",
                                   before=[strace, "-f", "-o", "/dev/null", "-e", "trace=none"]):
            self.assert_not_counted(cell, "another tracer holds the workers .process [0-9]+")

    def test_a_traced_sample_that_goes_wrong(self):
        reasons = {"not": None, "die": "ended|SIGKILL|died", "hang": "did not end within|timed out|traced sample failed",
                   "exit-host": "host ended", "lie": "0 messages came of 20"}
        for engine in ("fork", "thread"):
            ways = [way for way in reasons if engine == "fork" or way in ("not", "die", "lie", "hang")]
            cells = self.run_cells("-e", engine, "-w", self.plugin, "-c", "pipe", "-p", "pipe.wait=block", "-p",
                                   "way=" + ",".join(ways), "--timeout", "1s")
            self.assertEqual(len(cells), len(ways))
            for cell in cells:
                way = cell["params"]["watched.way"]
                if cell["wire"]["system_calls_reason"] is not None and "not be traced" in cell["wire"]["system_calls_reason"]:
                    self.skipTest(cell["wire"]["system_calls_reason"])
                if reasons[way] is None:
                    self.assertIsNone(cell["wire"]["system_calls_reason"])
                    self.assertGreaterEqual(cell["wire"]["system_calls"], 2)
                    self.assertLess(cell["wire"]["system_calls"], 3)  # a sanitizer makes some of its own
                else:
                    self.assert_not_counted(cell, "host ended" if engine == "thread" and way == "die" else reasons[way])


if __name__ == "__main__":
    unittest.main()
