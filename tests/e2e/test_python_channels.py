"""CPython's own Queue, Pipe and SimpleQueue as channels: between its workers they carry every message; others are refused."""
import ctypes
import errno
import importlib.util
import json
import multiprocessing
import os
import shutil
import types
import unittest

from program import ProgramTest, SOURCE

CHANNELS = ("python-queue", "python-pipe", "python-simplequeue")
QUICK = ("--timeout", "300s", "--visits", "1", "--samples", "1", "--counters", "none", "-o", "out", "-q")


class PythonChannels(ProgramTest):
    def setUp(self):
        super().setUp()
        engine, = [entry for entry in self.json("list", "engines", "--json") if entry["name"] == "python-processes"]
        self.works = engine["available"]

    def cells(self):
        with open(self.path("out", "report.json"), encoding="utf-8") as file:
            return json.load(file)["cells"]

    def carried(self, engine, workloads, sizes, *more):
        if not self.works:
            self.skipTest("CPython cannot be used here")
        self.prony("run", "-e", engine, "-w", workloads, "-c", ",".join(CHANNELS), "-n", "2", "-p",
                   f"size={sizes}", "-p", "items=100", *more, *QUICK)
        cells = self.cells()
        self.assertEqual(len(cells), 3 * len(workloads.split(",")) * len(sizes.split(",")))
        for cell in cells:
            self.assertEqual(cell["status"], "ok", cell)
            self.assertGreater(cell["verified"], 0, cell["id"])
        self.assertEqual({cell["channel"] for cell in cells}, set(CHANNELS))

    def test_between_the_workers_of_an_executor(self):
        self.carried("python-processes", "pingpong,stream", "64,4Ki")

    def test_between_the_workers_of_a_pool_that_were_spawned(self):
        self.carried("python-pool", "stream", "64Ki", "-p", "python-pool.start=spawn")

    def test_each_stands_beside_its_twin_of_ours(self):
        """Over a channel of Python's a cell is paired with fork over the C channel that does the same, waiting in the same
        way, of the same size; over a channel of ours with nothing."""
        if not self.works:
            self.skipTest("CPython cannot be used here")
        with open(self.path("pairs.json"), "w", encoding="utf-8") as file:
            rows = (("fork", ["pipe", "mp-queue", "unix-stream"]), ("python-processes", [*CHANNELS, "mp-queue", "pipe"]))
            json.dump({"suite": "pairs", "summary": "channels and their twins", "rows": [
                {"engines": [engine], "workloads": ["pingpong"], "channels": channels, "workers": ["2"],
                 "params": ["size=64,4Ki", "items=50"] + ["channel.wait=spin,block"] * (engine == "fork")}
                for engine, channels in rows]}, file)
        self.prony("run", self.path("pairs.json"), "--budget", "60s", *QUICK)
        cells = {cell["id"]: cell for cell in self.cells() if cell["status"] == "ok"}
        twins = {"python-queue": "mp-queue", "python-simplequeue": "pipe", "python-pipe": "unix-stream"}
        paired = 0
        for cell in cells.values():
            beside = cell["stats"].get("beside")
            if cell["engine"] == "fork" or cell["channel"] not in twins:
                self.assertIsNone(beside, cell["id"])
                continue
            other = cells[beside["cell"]]
            self.assertEqual((other["engine"], other["channel"]), ("fork", twins[cell["channel"]]), cell["id"])
            self.assertEqual(other["params"][f"{other['channel']}.wait"], "block", cell["id"])
            self.assertEqual(other["params"]["pingpong.size"], cell["params"]["pingpong.size"], cell["id"])
            paired += 1
        self.assertEqual(paired, 2 * len(CHANNELS))

    def test_others_are_told_what_it_needs(self):
        self.prony("run", "-e", "fork,thread", "-w", "pingpong", "-c", "pipe,python-queue", "-n", "2", "-p", "items=100",
                   *QUICK)
        for cell in self.cells():
            if cell["channel"] == "python-queue":
                self.assertEqual(cell["status"], "skipped")
                self.assertRegex(json.dumps(cell), "needs the engine python-processes")
            else:
                self.assertEqual(cell["status"], "ok", cell)

    def test_limits_and_ends_are_codes(self):
        spec = importlib.util.spec_from_file_location("pools", os.path.join(SOURCE, "engines", "python", "pools.py"))
        pools = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(pools)
        pools.library = types.SimpleNamespace(prony_python_serve=lambda *callbacks: None)
        room = ctypes.create_string_buffer(1 << 20)
        queue, simple = multiprocessing.Queue(1), multiprocessing.SimpleQueue()
        left, right = multiprocessing.Pipe()
        pools.serve([(queue, queue), (simple, simple), (left, left), (right, right)])
        send, receive = pools.served
        at = ctypes.cast(room, ctypes.c_void_p)
        limit = 20_000_000
        for end, other in ((0, 0), (1, 1), (2, 3), (3, 2)):
            self.assertEqual(receive(other, at, 64, 0), -errno.ETIMEDOUT)
            self.assertEqual(receive(other, at, 64, limit), -errno.ETIMEDOUT)
            for text in (b"", b"message"):
                ctypes.memmove(room, text, len(text))
                self.assertEqual(send(end, at, len(text), limit), len(text))
                ctypes.memset(room, 1, 64)
                self.assertEqual(receive(other, at, 64, -1), len(text))
                self.assertEqual(room.raw[:len(text)], text)
            self.assertEqual(send(end, at, 65, -1), 65)
            self.assertEqual(receive(other, at, 64, -1), -errno.EMSGSIZE)
        self.assertEqual(send(0, at, 64, -1), 64)
        self.assertEqual(send(0, at, 64, limit), -errno.ETIMEDOUT)  # the queue holds one
        for end in (1, 2):
            codes = iter(lambda: send(end, at, 1024, limit), -errno.ETIMEDOUT)
            self.assertEqual(set(codes), {1024})
        right.close()
        self.assertEqual(send(2, at, 64, -1), -errno.EPIPE)
        self.assertEqual(receive(2, at, 64, -1), -errno.EPIPE)
        self.assertEqual(receive(0, at, 64, -1), 64)
        for closed in (queue, left):
            closed.close()

    def test_the_death_of_a_worker_ends_the_cell(self):
        if not self.works:
            self.skipTest("CPython cannot be used here")
        for channel in CHANNELS:
            marker = self.kill_python(-1, "-w", "pingpong", "-c", channel, "--budget", "30s", *QUICK)
            self.assertEqual([cell["status"] for cell in self.cells()], ["failed"])
            shutil.rmtree(self.path("out"))
            self.none_left(marker)


if __name__ == "__main__":
    unittest.main()
