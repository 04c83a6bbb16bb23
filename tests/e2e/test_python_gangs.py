"""The primitives of CPython under the workloads of the same names: right answers, refusals with reasons, factors beside ours;
and the death of a worker within one."""
import contextlib
import errno
import importlib.util
import io
import json
import math
import os
import statistics
import struct
import types
import unittest

from program import ProgramTest, SOURCE

QUICK = ("-p", "engine.code=python", "--visits", "1", "--samples", "1", "--timeout", "300s", "--counters", "none", "-o", "out",
         "-q")
ITEMS = ("-p", "items=41")  # no worker has the same share as another


class PythonGangs(ProgramTest):
    def setUp(self):
        super().setUp()
        engine, = [entry for entry in self.json("list", "engines", "--json") if entry["name"] == "python-processes"]
        if not engine["available"]:
            self.skipTest(engine["reason"])

    def report(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            return json.load(file)

    def measured(self, count, *arguments):
        self.prony("run", *arguments, *QUICK)
        cells = self.report()["cells"]
        self.assertEqual(len(cells), count)
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell["reason"])
            self.assertGreater(cell["verified"], 0, cell["id"])
            self.assertIn("kernels in Python", cell["about"])

    def test_between_processes(self):
        self.measured(7, "-e", "python-processes", "-n", "2", "-w", "lock,semaphore,event,condition,barrier,queue,value",
                      *ITEMS)

    def test_between_threads(self):
        self.measured(9, "-e", "python-threads", "-n", "2", "-w", "lock,semaphore,event,condition,barrier,queue,value",
                      *ITEMS, "-p", "lock.hold=0,2", "-p", "lock.rest=1", "-p", "queue.kind=plain,joinable")

    def test_of_a_pool_that_was_spawned(self):
        self.measured(4, "-e", "python-pool", "-n", "1", "-w", "lock,queue,value", *ITEMS, "-p", "lock.kind=rlock", "-p",
                      "queue.kind=joinable", "-p", "value.sharing=own", "-p", "value.by=lock,none", "-p",
                      "python-pool.start=spawn")

    def test_servers_and_clients(self):
        self.measured(6, "-e", "python-processes,python-pool,python-threads", "-n", "3", "--oversubscribe", "-w", "echo", *ITEMS,
                      "-p", "echo.size=1,300k", "-p", "echo.depth=3", "-p", "echo.connections=2")
        for cell in self.report()["cells"]:
            self.assertGreaterEqual(cell["latency"]["count"], 41 * cell["repeats"])
            self.assertGreater(cell["latency"]["min"], 0)

    def test_processes_by_every_method(self):
        self.measured(4, "-e", "python-processes", "-n", "1", "-w", "process", "-p", "items=1", "-p",
                      "process.method=fork,spawn,forkserver,thread")

    def test_what_python_has_not(self):
        self.prony("run", "-e", "python-threads", "-n", "1", "-w", "lock,semaphore,barrier,value,process", *ITEMS, "-p",
                   "lock.kind=prony,mutex", "-p", "semaphore.places=2", "-p", "barrier.kind=pthread", "-p", "value.by=atomic",
                   "-p", "process.method=fork", *QUICK)
        said = {cell["workload"]: cell["reason"] for cell in self.report()["cells"] if cell["status"] == "skipped"}
        self.assertEqual(set(said), {"lock", "semaphore", "barrier", "value", "process"})
        for workload, reason in said.items():
            self.assertIn("without a counterpart in CPython", reason, workload)

    def test_unprotected_values_are_not_shared(self):
        self.prony("run", "-e", "thread,python-threads", "-n", "2", "-w", "value", "-p", "value.by=none", *QUICK, code=3)
        for cell in self.report()["cells"]:
            self.assertRegex(cell["reason"], "get lost")

    @staticmethod
    def by_block(cell):
        """The time of one repetition in each block whose visit counts: marked ones only where too few others are left."""
        clean = [visit for visit in cell["visits"] if not visit["disturbed"]["marked"]]
        return {visit["block"]: statistics.median(visit["samples_ns"]) / cell["repeats"]
                for visit in (clean if len(clean) >= 6 else cell["visits"])}

    def test_beside_ours(self):
        self.prony("run", "-e", "thread,fork,python-threads", "-n", "1", "-w", "barrier", *ITEMS, "-p", "engine.code=python",
                   "--visits", "6", "--samples", "1", "--budget", "60s", "--counters", "none", "-o", "out", "-q",
                   "--out", "md:out.md")
        cells = {cell["engine"]: cell for cell in self.report()["cells"]}
        beside = cells["python-threads"]["stats"]["beside"]
        self.assertEqual(beside["cell"], cells["thread"]["id"])
        self.assertGreater(beside["factor"], 0)
        self.assertNotIn("beside", cells["fork"]["stats"])
        theirs, ours = (self.by_block(cells[engine]) for engine in ("python-threads", "thread"))
        factor = math.exp(statistics.median(math.log(theirs[block] / ours[block]) for block in theirs.keys() & ours.keys()))
        self.assertAlmostEqual(beside["factor"] / factor, 1, places=6)
        for path in (self.path("out", "report.html"), self.path("out.md")):
            with open(path, encoding="utf-8") as file:
                self.assertIn("Beside Python", file.read())

    def test_the_death_of_a_holder_ends_the_cell(self):
        """One of the two holds the lock at nearly any moment; whoever is killed, the cell fails and nothing stays."""
        for victim in (1, 2):
            marker = self.kill_python(victim, "-w", "lock", "-p", "lock.hold=1000", *QUICK, "-o", f"out{victim}")
            with open(self.path(f"out{victim}", "report.json"), encoding="utf-8") as file:
                cell, = json.load(file)["cells"]
            self.assertEqual(cell["status"], "failed")
            self.assertRegex(cell["reason"], "SIGKILL|[Kk]illed|[Cc]anceled")
            self.none_left(marker)


def broken_event(gangs, role):
    role.words[0] = 5
    role.kit = gangs.event_kit(gangs.THREADS, 1, b"")
    return gangs.event


def broken_barrier(gangs, role):
    role.kit = types.SimpleNamespace(wait=lambda: struct.pack_into("=q", role.data, 128, 99))
    return gangs.barrier


def broken_semaphore(gangs, role):
    role.kit = gangs.semaphore_kit(gangs.THREADS, 1, role.argument)
    role.kit.release = lambda *_: None
    return gangs.semaphore


def broken_queue(gangs, role):
    role.argument = struct.pack("=QIII", 0, 16, 4, 0)
    role.kit = gangs.queue_kit(gangs.THREADS, 1, role.argument)
    put = role.kit.put
    role.kit.put = lambda message: put(message[:-1] + b"x")
    return gangs.queue_


class WrongAnswers(unittest.TestCase):
    """A primitive that does not do what it is for is told by the function itself, where the arena does not show it."""

    def test_they_are_codes(self):
        spec = importlib.util.spec_from_file_location("gangs", os.path.join(SOURCE, "engines", "python", "gangs.py"))
        gangs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(gangs)
        library = types.SimpleNamespace(prony_image_begin=lambda _: 0, prony_image_end=lambda _: 0,
                                        prony_image_meet=lambda _: 0)
        for broken in (broken_event, broken_barrier, broken_semaphore, broken_queue):
            role = gangs.Role(library, None, 0, 1, 1, memoryview(bytearray(512)), struct.pack("=II56x", 0, 1), None)
            function = broken(gangs, role)
            with contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(gangs.run_role(function, role), -errno.EBADMSG, broken.__name__)
            self.assertIn("OSError", said.getvalue())


if __name__ == "__main__":
    unittest.main()
