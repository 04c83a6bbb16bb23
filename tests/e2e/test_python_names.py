"""docs/howto/python.md names all of the two Python modules, and nothing of ours that is not there."""
import concurrent.futures
import glob
import multiprocessing
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.process
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import multiprocessing.synchronize
import os
import re
import subprocess
import sys
import unittest

SOURCE = os.environ["PRONY_SOURCE"]
CLASSES = (
    multiprocessing.process.BaseProcess, multiprocessing.queues.Queue, multiprocessing.queues.JoinableQueue,
    multiprocessing.queues.SimpleQueue, multiprocessing.connection.Connection, multiprocessing.connection.Listener,
    multiprocessing.synchronize.Lock, multiprocessing.synchronize.RLock, multiprocessing.synchronize.Semaphore,
    multiprocessing.synchronize.BoundedSemaphore, multiprocessing.synchronize.Event,
    multiprocessing.synchronize.Condition, multiprocessing.synchronize.Barrier, multiprocessing.pool.Pool,
    multiprocessing.pool.AsyncResult, multiprocessing.pool.IMapIterator, multiprocessing.shared_memory.SharedMemory,
    multiprocessing.shared_memory.ShareableList, multiprocessing.sharedctypes.SynchronizedString,
    concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor, concurrent.futures.Future,
)
OPTIONS = ("authkey", "maxtasksperchild", "max_tasks_per_child", "max_workers", "initializer", "initargs", "chunksize",
           "callback", "error_callback", "timeout", "cancel_futures", "action", "predicate", "maxsize", "block")


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as text:
        return text.read()


def everything(pattern):
    return "\n".join(read(path) for path in glob.glob(os.path.join(SOURCE, pattern), recursive=True))


class Names(unittest.TestCase):
    def setUp(self):
        self.page = read("docs", "howto", "python.md")
        self.rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in self.page.splitlines()
                     if line.startswith("| `")]

    def test_every_name_of_python_is_there(self):
        words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", self.page))))
        modules = (multiprocessing.__all__, concurrent.futures.__all__)
        missing = sorted(name for names in modules for name in names if name not in words)
        if sys.version_info[:2] <= (3, 11):  # of which the page speaks
            missing += sorted(f"{of.__name__}.{name}" for of in CLASSES for name in dir(of)
                              if not name.startswith("_") and name not in words)
        missing += [name for name in OPTIONS if name not in words]
        # Names of later Pythons than the page speaks of.
        self.assertEqual([name for name in missing if name != "InvalidStateError"], [])

    def test_every_row_is_whole(self):
        self.assertGreater(len(self.rows), 40)
        for row in self.rows:
            self.assertEqual(len(row), 4, row)

    def test_what_is_ours_exists(self):
        headers = everything("include/prony/*.h")
        for _, ours, _, _ in self.rows:
            for name in re.findall(r"`(prony_\w+|PRONY_\w+)`", ours):
                self.assertRegex(headers, r"\b%s\b" % name)

    def test_the_workloads_exist(self):
        said = subprocess.run([os.environ["PRONY"], "list", "workloads"], capture_output=True, text=True, timeout=60,
                              check=True).stdout
        for _, _, workload, _ in self.rows:
            for name in re.findall(r"`([\w-]+)`", workload):
                self.assertRegex(said, r"(?m)^\s*%s\b" % name)

    def test_the_tests_exist(self):
        held = 0
        for row in self.rows:
            match = re.fullmatch(r"(test_\w+\.c): (\w+)", row[3])
            if match is None:
                self.assertEqual(row[3], "-", row)
                continue
            held += 1
            self.assertIn("static void %s(void **state)" % match.group(2), everything("tests/*/" + match.group(1)), row)
        self.assertGreater(held, 30)


if __name__ == "__main__":
    unittest.main()
