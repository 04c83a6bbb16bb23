"""The Python side of the engine python-processes: a concurrent.futures.ProcessPoolExecutor that takes its orders from
prony over a socket and runs prony's kernels through ctypes.

Orders and answers are packets; struct formats below, in native byte order (see engines/python-processes.c):
    map     b"M" chunk:int64 task:128    ->  b"M" status:int32 failed:uint32 first_lo:int64 first_hi:int64 death:int32
    submit  b"S" task:128 ...            ->  b"S" future:uint64 ticket:uint32 status:int32, one packet a task
    gang    b"G" roles:uint32 task:128   ->  b"G" death:int32 (pid:int32 status:int32) ..., a pair a worker
    close   b"C" drain:uint32            ->  b"C"
and at first, unasked, b"R" text when the pool is ready, or b"E" code:int32 text when it cannot be.
"""

import concurrent.futures as futures
import ctypes
import functools
import multiprocessing
import os
import platform
import select
import signal
import socket
import struct
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool

DIED = 1000  # PRONY_DIED
NEXT = 0xFFFFFFFF  # PRONY_IMAGE_NEXT
TASK_BYTES = 128
RANGE = struct.Struct("=8xqq")  # where lo and hi lie in a task
FUTURE = struct.Struct("=4xI48xQ")  # its ticket and its future's offset

library = None
image = None
control = None


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 252)]


def open_image(path, host, arena):
    """Loads the kernels and maps the arena; in a forked worker both are there already."""
    global library, image
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    library.prony_image_open.restype = ctypes.c_void_p
    library.prony_image_open.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(Error)]
    library.prony_image_join.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    library.prony_kernel_call.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.prony_image_gang.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint]
    error = Error()
    image = library.prony_image_open(host, arena, ctypes.byref(error))
    if not image:
        raise OSError(-error.code, error.text.decode(errors="replace"))


def attach(path, host, arena, parent):
    """Makes this process a worker: the executor's initializer."""
    if image is None:
        open_image(path, host, arena)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the executor ends the workers of a broken pool
    if control is not None:
        control.close()
    index = library.prony_image_join(image, NEXT, 0)
    if index < 0:
        raise OSError(-index, "the worker cannot join")
    if multiprocessing.get_start_method() == "forkserver":
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    elif os.getppid() != parent:  # it died before the parent-death signal was asked for, which never comes then
        os._exit(1)


def watch(parent):
    """Ends this worker with the executor's process. The fork server, its real parent, lives as long as its workers."""
    try:
        select.select([os.pidfd_open(parent)], [], [])
    finally:
        os._exit(1)


def run_task(task):
    return library.prony_kernel_call(image, task)


def run_range(head, tail, bounds):
    return library.prony_kernel_call(image, head + struct.pack("=qq", *bounds) + tail)


def run_gang(task, roles):
    return os.getpid(), library.prony_image_gang(image, task, roles)


class Pool:
    def __init__(self, workers, start, attach_arguments):
        multiprocessing.set_start_method(start)
        context = multiprocessing.get_context()
        self.workers = workers
        self.executor = futures.ProcessPoolExecutor(workers, context, attach, attach_arguments)
        self.processes = None
        self.death = 0  # the code with which the pool broke
        self.dead = {}

    def submit(self, *call):
        future = self.executor.submit(*call)
        if self.processes is None:  # kept, because a broken executor lets go of them
            self.processes = self.executor._processes
        return future

    def broken(self):
        """The code for a broken pool: the signal of the worker that died. The executor ends the others by SIGTERM, so
        that one counts only when nothing else is seen."""
        begin = time.monotonic()
        while self.death == 0:
            codes = {process.pid: process.exitcode for process in list((self.processes or {}).values())}
            waited = time.monotonic() - begin
            for pid, code in codes.items():
                if code and (code != -signal.SIGTERM or waited > 0.05):
                    self.dead[pid] = code - DIED if code < 0 else -DIED
            self.death = next(iter(self.dead.values()), -DIED if waited > 0.5 else 0)
            time.sleep(0.001)
        return self.death

    def outcome(self, future):
        try:
            return future.result()
        except BrokenProcessPool:
            return self.broken()
        except futures.CancelledError:
            return -125  # ECANCELED

    def resolved(self, ticket, offset, future):
        control.send(struct.pack("=cQIi", b"S", offset, ticket, self.outcome(future)))

    def order_submit(self, packet):
        for at in range(0, len(packet), TASK_BYTES):
            task = packet[at:at + TASK_BYTES]
            ticket, offset = FUTURE.unpack_from(task)
            try:
                future = self.submit(run_task, task)
            except BrokenProcessPool:
                control.send(struct.pack("=cQIi", b"S", offset, ticket, self.broken()))
            else:
                future.add_done_callback(functools.partial(self.resolved, ticket, offset))

    def order_map(self, packet):
        chunk, = struct.unpack_from("=q", packet)
        task = packet[8:]
        low, high = RANGE.unpack_from(task)
        bounds = [(lo, min(lo + chunk, high)) for lo in range(low, high, chunk)]
        status, failed, first, done = 0, 0, (0, 0), 0
        try:
            results = self.executor.map(functools.partial(run_range, task[:8], task[24:]), bounds)
            if self.processes is None:
                self.processes = self.executor._processes
            for done, code in enumerate(results, 1):
                if code != 0:
                    if failed == 0:
                        status, first = code, bounds[done - 1]
                    failed += 1
        except BrokenProcessPool:
            if failed == 0:
                first = bounds[done]
            failed += len(bounds) - done
            status = self.broken()
        control.send(struct.pack("=ciIqqi", b"M", status, failed, *first, self.death))

    def order_gang(self, packet):
        roles, = struct.unpack_from("=I", packet)
        task = packet[4:]
        answer = b""
        try:
            parts = [self.submit(run_gang, task, roles) for _ in range(self.workers)]
            for part in parts:
                try:
                    answer += struct.pack("=ii", *part.result())
                except BrokenProcessPool:
                    self.broken()
        except BrokenProcessPool:
            self.broken()
        for pid, code in self.dead.items():
            answer += struct.pack("=ii", pid, code)
        control.send(struct.pack("=ci", b"G", self.death) + answer)

    def give_up(self, *_):
        """Ends the workers whatever they do, and this process in good order: it still removes its named semaphores."""
        for process in list((self.processes or {}).values()):
            process.kill()
        sys.exit(1)

    def order_close(self, packet):
        drain, = struct.unpack_from("=I", packet)
        self.executor.shutdown(wait=True, cancel_futures=not drain)
        control.send(b"C")


def die_with(host):
    """A parent-death signal for this process. The host may have died before."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != host:
        os._exit(1)


def describe(start):
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return "%s %s, GIL %s, ProcessPoolExecutor by %s" % (
        platform.python_implementation(), platform.python_version(), "on" if gil else "off", start)


def main():
    global control
    descriptor, host, arena, workers, start, path = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    die_with(int(host))
    try:
        open_image(path, int(host), int(arena))
        pool = Pool(int(workers), start, (path, int(host), int(arena), os.getpid()))
    except (OSError, ValueError, ImportError) as error:
        code = getattr(error, "errno", None) or 95  # ENOTSUP
        control.send(struct.pack("=ci", b"E", -code) + str(error).encode()[:200])
        return
    if start != "fork":  # whose semaphores have no names
        signal.signal(signal.SIGTERM, pool.give_up)
    control.send(b"R" + describe(start).encode())
    orders = {b"M": pool.order_map, b"S": pool.order_submit, b"G": pool.order_gang, b"C": pool.order_close}
    while True:
        packet = control.recv(1 << 17)
        if not packet:
            os._exit(1)  # the host is gone, and the workers go with this process
        orders[packet[:1]](packet[1:])
        if packet[:1] == b"C":
            return


if __name__ == "__main__":
    main()
