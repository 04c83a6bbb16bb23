"""What the tests of the primitives take from Python, asked of the Python at hand: the test in C with the same fact is named."""
import multiprocessing
import multiprocessing.connection
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


class Facts(unittest.TestCase):
    def test_anyone_releases_a_lock(self):  # test_sync.c: anyone_releases_a_plain_lock
        lock = fork.Lock()
        lock.acquire()
        self.assertEqual(in_process(lock.release), 0)
        self.assertTrue(lock.acquire(False))

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

    def test_a_short_set_is_seen(self):  # test_sync.c: a_short_set_is_seen
        event, seen = threading.Event(), []
        waiter = threading.Thread(target=lambda: seen.append(event.wait(LONG)))
        waiter.start()
        until(lambda: event.set() or event.clear() or seen)
        waiter.join()
        self.assertEqual(seen, [True])

    def test_barriers_break(self):  # test_sync.c: barrier_breaks_and_is_made_new
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


if __name__ == "__main__":
    unittest.main()
