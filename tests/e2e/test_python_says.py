"""What the tests of the primitives take from Python, asked of the Python at hand: the test in C with the same fact is named."""
import concurrent.futures as futures
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.pool
import os
import queue
import threading
import time
import unittest

fork = multiprocessing.get_context("fork")
LONG = 20


def in_process(function, *arguments):
    """Runs it in a forked process; the exit code."""
    process = fork.Process(target=function, args=arguments)
    process.start()
    process.join(LONG)
    return process.exitcode


def until(true):
    for _ in range(int(LONG / 0.001)):
        if true():
            return
        time.sleep(0.001)
    raise AssertionError("it did not come about")


def break_barrier(barrier, said):
    try:
        barrier.wait(LONG)
        said.append("met")
    except threading.BrokenBarrierError:
        said.append("broken")


def call_with(key, address, said):
    try:
        with multiprocessing.connection.Client(address, authkey=key) as client:
            client.send(1)
            said.append("in")
    except multiprocessing.AuthenticationError:
        said.append("refused")


def have_children():
    try:
        fork.Process(target=time.sleep, args=(0,)).start()
    except AssertionError:
        os._exit(7)


def worker_of(_):
    return os.getpid()


class Facts(unittest.TestCase):
    def test_anyone_releases_a_lock(self):  # test_sync.c: anyone_releases_a_plain_lock
        lock = fork.Lock()
        lock.acquire()
        self.assertEqual(in_process(lock.release), 0)
        self.assertTrue(lock.acquire(False))
        lock.release()
        self.assertRaises(ValueError, lock.release)

    def test_only_the_holder_releases_an_rlock(self):  # test_sync.c: locks_know_their_holder
        lock = fork.RLock()
        self.assertTrue(lock.acquire() and lock.acquire())
        self.assertEqual(in_process(lock.release), 1)
        lock.release()
        lock.release()
        self.assertRaises(AssertionError, lock.release)

    def test_a_bounded_semaphore_refuses(self):  # test_sync.c: bounded_semaphore_refuses_one_too_many
        self.assertRaises(ValueError, fork.BoundedSemaphore(2).release)
        fork.Semaphore(2).release()

    def test_a_condition_needs_its_lock(self):  # test_sync.c: condition_needs_the_lock
        self.assertRaises(AssertionError, fork.Condition().notify)
        self.assertRaises(AssertionError, fork.Condition().wait)

    def test_wait_for_asks_again(self):  # test_sync.c: the same name
        condition = threading.Condition()
        with condition:
            self.assertFalse(condition.wait_for(lambda: False, 0.001))
            self.assertTrue(condition.wait_for(lambda: True, 0))

    def test_a_short_set_is_seen(self):  # test_sync.c: a_short_set_is_seen
        event, seen = threading.Event(), []
        waiter = threading.Thread(target=lambda: seen.append(event.wait(LONG)))
        waiter.start()
        until(lambda: event.set() or event.clear() or seen)
        waiter.join()
        self.assertEqual(seen, [True])

    def test_barriers_break(self):  # test_barrier.c: barrier_breaks_and_is_made_new
        for end, broken in (("abort", True), ("reset", False)):
            barrier, said = threading.Barrier(2), []
            waiter = threading.Thread(target=break_barrier, args=(barrier, said))
            waiter.start()
            until(lambda made=barrier: made.n_waiting == 1)
            getattr(barrier, end)()
            waiter.join()
            self.assertEqual((said, barrier.broken), (["broken"], broken))
        barrier = threading.Barrier(2)
        self.assertRaises(threading.BrokenBarrierError, barrier.wait, 0.001)
        self.assertTrue(barrier.broken)

    def test_an_action_comes_before_all_go_on(self):  # test_barrier.c: the same name
        for fails in (False, True):
            said = []
            barrier = threading.Barrier(2, lambda to=said, bad=fails: to.append(1 // (0 if bad else 1)))
            waiter = threading.Thread(target=break_barrier, args=(barrier, said))
            waiter.start()
            until(lambda made=barrier: made.n_waiting == 1)
            if fails:
                self.assertRaises(ZeroDivisionError, barrier.wait, LONG)
            else:
                barrier.wait(LONG)
            waiter.join()
            self.assertEqual((said, barrier.broken), ((["broken"], True) if fails else ([1, "met"], False)))

    def test_queues(self):  # test_queue.c: limits_when_full_and_when_empty, join_counts_what_is_done
        bounded = fork.JoinableQueue(1)
        bounded.put("x")
        self.assertRaises(queue.Full, bounded.put, "y", True, 0.001)
        self.assertEqual(bounded.get(timeout=LONG), "x")
        self.assertRaises(queue.Empty, bounded.get, True, 0.001)
        bounded.task_done()
        bounded.join()
        self.assertRaises(ValueError, bounded.task_done)
        bounded.close()

    def test_pipes(self):  # test_pipe.c: one_way_is_one_way, the_end_comes_after_what_was_sent
        receiver, sender = fork.Pipe(duplex=False)
        self.assertRaises(OSError, receiver.send_bytes, b"x")
        sender.send_bytes(b"x")
        sender.close()
        self.assertTrue(receiver.poll(0))
        self.assertEqual(receiver.recv_bytes(), b"x")
        self.assertTrue(receiver.poll(0))
        self.assertRaises(EOFError, receiver.recv_bytes)
        receiver.close()

    def test_processes(self):  # test_process.c: exit_codes, ended_from_outside
        self.assertEqual(in_process(exit, 7), 7)
        process = fork.Process(target=time.sleep, args=(LONG,))
        process.start()
        process.join(0.001)
        self.assertIsNone(process.exitcode)
        self.assertRaises(ValueError, process.close)
        process.terminate()
        self.assertEqual(multiprocessing.connection.wait([process.sentinel], LONG), [process.sentinel])
        process.join()
        self.assertEqual(process.exitcode, -15)

    def test_daemons_have_no_children(self):  # test_process.c: the same name
        process = fork.Process(target=have_children, daemon=True)
        process.start()
        process.join(LONG)
        self.assertEqual(process.exitcode, 7)

    def test_a_wrong_key_is_told_to_both(self):  # test_listener_key.c: the same name
        for key, end in ((b"right", "in"), (b"wrong", "refused")):
            said = []
            with multiprocessing.connection.Listener(("127.0.0.1", 0), authkey=b"right") as listener:
                client = threading.Thread(target=call_with, args=(key, listener.address, said))
                client.start()
                if end == "in":
                    listener.accept().close()
                else:
                    self.assertRaises(multiprocessing.AuthenticationError, listener.accept)
                client.join()
            self.assertEqual(said, [end])

    def test_threads_share_memory_and_processes_do_not(self):  # test_array.c, the same name
        plain = []
        self.assertEqual(in_process(plain.append, 1), 0)
        self.assertEqual(plain, [])
        thread = threading.Thread(target=plain.append, args=(1,))
        thread.start()
        thread.join()
        self.assertEqual(plain, [1])
        value = fork.Value("i", 0)
        self.assertEqual(in_process(setattr, value, "value", 5), 0)
        self.assertEqual(value.value, 5)


class Futures(unittest.TestCase):
    """Each of one worker, which a task holds until the gate opens."""

    def setUp(self):
        self.gate = threading.Event()
        self.executor = futures.ThreadPoolExecutor(1)
        self.held = self.executor.submit(self.gate.wait, LONG)
        until(self.held.running)

    def tearDown(self):
        self.gate.set()
        self.executor.shutdown()

    def test_cancelling(self):  # test_groups.c: cancel_takes_back_what_has_not_begun
        queued = self.executor.submit(int)
        self.assertTrue(queued.cancel() and queued.cancel() and queued.cancelled() and queued.done())
        self.assertRaises(futures.CancelledError, queued.result)
        self.assertFalse(self.held.cancel())
        self.gate.set()
        self.held.result(LONG)
        self.assertFalse(self.held.cancel())

    def test_limits(self):  # test_group_maps.c: map_of_results_has_a_limit; test_groups.c: result_waits_no_longer_..
        self.assertRaises(futures.TimeoutError, self.held.result, 0.001)
        self.assertRaises(futures.TimeoutError, self.held.exception, 0)
        self.assertRaises(futures.TimeoutError, list, futures.as_completed([self.held], 0.001))
        self.assertRaises(futures.TimeoutError, list, self.executor.map(int, ["1"], timeout=0.001))
        self.assertFalse(self.held.done())

    def test_waiting_for_nothing(self):  # test_groups.c: wait_for_all, as_completed_gives_each_once
        for until_when in (futures.FIRST_COMPLETED, futures.FIRST_EXCEPTION, futures.ALL_COMPLETED):
            self.assertEqual(futures.wait([], LONG, until_when), (set(), set()))
        self.assertEqual(list(futures.as_completed([])), [])

    def test_waiting_for_the_first_exception(self):  # test_groups.c: wait_passes_over_the_cancelled
        bad = self.executor.submit(int, "x")
        queued = self.executor.submit(int)
        queued.cancel()
        self.assertIn(self.held, futures.wait([queued, self.held], 0.001, futures.FIRST_EXCEPTION).not_done)
        self.gate.set()
        self.assertIn(bad, futures.wait([bad, queued], LONG, futures.FIRST_EXCEPTION).done)

    def test_callbacks(self):  # test_groups.c: callbacks_run_on_cancel, failing_callbacks_lose_nothing
        said, queued = [], self.executor.submit(int)
        logging.disable(logging.CRITICAL)
        queued.add_done_callback(lambda future: said.append(future.cancelled()))
        queued.add_done_callback(lambda future: said.append(1 / 0))
        queued.add_done_callback(lambda future: said.append("third"))
        queued.cancel()
        queued.add_done_callback(lambda future: said.append("at once"))
        logging.disable(logging.NOTSET)
        self.assertEqual(said, [True, "third", "at once"])

    def test_shutting_down(self):  # test_groups.c: shutdown_takes_no_more, shutdown_cancels_when_asked
        queued = self.executor.submit(int)
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.assertTrue(queued.cancelled() and not self.held.done())
        self.assertRaises(RuntimeError, self.executor.submit, int)


class Pools(unittest.TestCase):
    def test_iterations_have_limits(self):  # test_group_maps.c: map_of_results_has_a_limit, imap_keeps_the_order
        with multiprocessing.pool.ThreadPool(1) as pool:
            gate = threading.Event()
            results = pool.imap(lambda item: gate.wait(LONG) and item, [1, 2])
            self.assertRaises(multiprocessing.TimeoutError, results.next, 0.001)
            gate.set()
            self.assertEqual(list(results), [1, 2])

    def test_callbacks(self):  # test_groups.c: callbacks_run_once
        done, failed = [], []
        with multiprocessing.pool.ThreadPool(2) as pool:
            for text in ("1", "x"):
                pool.apply_async(int, (text,), callback=done.append, error_callback=failed.append).wait(LONG)
            pool.close()
            self.assertRaises(ValueError, pool.apply, int)
            pool.join()
        self.assertEqual((done, [type(error) for error in failed]), ([1], [ValueError]))

    def test_chunks_and_tasks_a_worker(self):  # test_parallel.c: workers_are_replaced
        for items, chunks in ((8, 8), (9, 5)):
            with fork.Pool(2, maxtasksperchild=1) as pool:
                self.assertEqual(len(set(pool.map(worker_of, range(items)))), chunks)


if __name__ == "__main__":
    unittest.main()
