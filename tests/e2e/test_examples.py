"""The examples say what they should."""
import os
import subprocess
import unittest


def run(name, *arguments):
    program = os.path.join(os.environ["PRONY_BUILD"], "bin", "example_" + name)
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=True).stdout


class Examples(unittest.TestCase):
    def test_squares(self):
        self.assertEqual(run("squares"), "1 4 9 16 25\n")
        self.assertEqual(run("squares", "-7", "1000000"), "49 1000000000000\n")

    def test_futures(self):
        self.assertEqual(run("futures"), "1: 1\n2: 4\nthree: Invalid argument\n4: 16\n5: 25\n")

    def test_queue(self):
        self.assertEqual(run("queue"), "385\n")
        self.assertEqual(run("queue", "1000", "3"), "333833500\n")

    def test_memory(self):
        self.assertEqual(run("memory"), "after a process: plain 0, value 1\nafter a thread: plain 1, value 2\n")

    def test_deadline(self):
        for limit in ("2000", "20000"):  # where a task of a millisecond may be held up for seconds
            said = run("deadline", limit).splitlines()
            if "1 ms: done" in said and "2 ms: done" in said:
                break
        self.assertEqual(sorted(said), ["1 ms: done", "2 ms: done", "60000 ms: Connection timed out"])
        self.assertEqual(said[-1], "60000 ms: Connection timed out")  # as they end, and nothing waits behind it


if __name__ == "__main__":
    unittest.main()
