"""The Python side of the engines python-processes, python-pool and python-threads: one of CPython's pools, which takes its
orders from prony over a socket and runs prony's kernels through ctypes, or the same work written in Python. gangs.py,
echo.py and maps.py come before it in the same script.

Orders and answers are packets; struct formats below, in native byte order (see engines/python/driver.c):
    map     b"M" chunk:int64 task:128    ->  b"M" status:int32 failed:uint32 first_lo:int64 first_hi:int64 death:int32
    submit  b"S" task:128 ...            ->  b"S" future:uint64 ticket:uint32 status:int32, one packet a task
    gang    b"G" roles:uint32 task:128   ->  b"G" death:int32 (thread:int32 status:int32) ..., a pair a worker
    close   b"C" drain:uint32            ->  b"C"
and unasked: at first b"R" text when the pool is ready, or b"E" code:int32 text when it cannot be; b"D" death:int32 when
the pool is dead and with it every task that is pending.
"""

import concurrent.futures as futures
import ctypes
import errno
import functools
import multiprocessing
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.queues
import os
import platform
import queue
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
CANCELED = -125  # ECANCELED
PROTO = -71  # EPROTO
TASK_BYTES = 128
TASK = struct.Struct("=HHIqqQQQQQ64s")
RANGE = struct.Struct("=8xqq")  # where lo and hi lie in a task
FUTURE = struct.Struct("=4xI48xQ")  # its ticket and its future's offset

library = None
control = None
here = threading.local()  # .image: of this worker; before a fork, of the main thread
opening = threading.Lock()


# The channels that are objects of CPython (channels/python.h): an end is a pair of what it gives to and what it takes from.
SEND = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
served = []  # the callbacks, which must live as long as the worker


def make_ends():
    """The ends of the cell's channel, by number; none when it is no object of CPython."""
    blob, count = ctypes.create_string_buffer(128), ctypes.c_uint()
    name = library.prony_image_channel(here.image, blob, ctypes.byref(count)).decode()
    depth, = struct.unpack_from("=I", blob, 28)  # struct prony_blob, struct place
    make = {"python-queue": functools.partial(multiprocessing.Queue, depth), "python-pipe": multiprocessing.Pipe,
            "python-simplequeue": multiprocessing.SimpleQueue}.get(name)
    ends = []
    while make is not None and len(ends) < count.value:
        if name == "python-pipe":
            ends += [(end, end) for end in make()]
        else:
            there, back = make(), make()
            ends += [(there, back), (back, there)]
    return ends


def await_ready(connection, event, seconds):
    poller = select.poll()
    poller.register(connection.fileno(), event)
    if not poller.poll(seconds * 1000):
        raise TimeoutError


def give(target, data, seconds):
    if isinstance(target, multiprocessing.queues.Queue):
        target.put(data, True, seconds)
        return
    connection = target if hasattr(target, "send") else target._writer
    if seconds is not None:
        await_ready(connection, select.POLLOUT, seconds)
    (target.send if connection is target else target.put)(data)


def take(source, seconds):
    if isinstance(source, multiprocessing.queues.Queue):
        return source.get(True, seconds)
    connection = source if hasattr(source, "recv") else source._reader
    if seconds is not None:
        await_ready(connection, select.POLLIN, seconds)
    return (source.recv if connection is source else source.get)()


def guarded(function):
    """Exceptions as codes: ctypes would print and lose them."""
    def call(end, pointer, size, timeout):
        try:
            return function(end, pointer or 0, size, None if timeout < 0 else timeout / 1e9)
        except (queue.Full, queue.Empty, TimeoutError):
            return -errno.ETIMEDOUT
        except (EOFError, ConnectionError):
            return -errno.EPIPE
        except OSError as error:
            return -(error.errno or errno.EIO)
        except Exception as error:  # of any kind: nothing may be lost
            print(repr(error), file=sys.stderr)
            return PROTO
    return call


def serve(ends):
    """Lets the channel of this worker send and receive through these ends."""
    def send(end, pointer, size, seconds):
        give(ends[end][0], ctypes.string_at(pointer, size), seconds)
        return size

    def receive(end, pointer, size, seconds):
        data = take(ends[end][1], seconds)
        if len(data) > size:
            return -errno.EMSGSIZE
        ctypes.memmove(pointer, data, len(data))
        return len(data)

    for target, _ in ends:
        if isinstance(target, multiprocessing.queues.Queue):
            target.cancel_join_thread()  # else a worker could not end before a peer has taken what it sent
    served[:] = SEND(guarded(send)), SEND(guarded(receive))
    library.prony_python_serve(*served)


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 252)]


def load(path):
    global library
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    library.prony_image_open.restype = ctypes.c_void_p
    library.prony_image_open.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(Error)]
    library.prony_image_join.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    library.prony_image_workload.restype = ctypes.c_char_p
    library.prony_image_workload.argtypes = [ctypes.c_void_p]
    library.prony_image_memory.restype = ctypes.c_void_p
    library.prony_image_memory.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64)]
    for call in (library.prony_kernel_call, library.prony_kernel_begin, library.prony_kernel_end):
        call.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.prony_kernel_end.restype = None
    library.prony_image_channel.restype = ctypes.c_char_p
    library.prony_image_channel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint)]
    library.prony_python_serve.argtypes = [SEND, SEND]
    library.prony_python_serve.restype = None
    library.prony_image_gang.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint]
    library.prony_image_argument.restype = ctypes.c_void_p
    library.prony_image_enter.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.prony_image_leave.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.prony_image_record.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.prony_image_record.restype = None
    for call in (library.prony_image_argument, library.prony_image_begin, library.prony_image_end,
                 library.prony_image_meet, library.prony_image_stopped):
        call.argtypes = [ctypes.c_void_p]
    library.prony_image_end.restype = library.prony_image_leave.restype = None


def open_image(path, host, arena, code):
    """Loads the kernels and maps the arena; in a forked worker both are there already."""
    with opening:
        if library is None:
            load(path)
        error = Error()
        image = library.prony_image_open(host, arena, ctypes.byref(error))
    if not image:
        raise OSError(-error.code, error.text.decode(errors="replace"))
    here.function = here.gang = None
    if code == "python":
        name = library.prony_image_workload(image).decode()
        if name not in FUNCTIONS and name not in GANGS:
            raise OSError(95, "%s is not written in Python, with code=python: %s are" % (
                name, ", ".join((*FUNCTIONS, *GANGS))))
        size = ctypes.c_uint64()
        base = library.prony_image_memory(image, ctypes.byref(size))
        here.memory = memoryview((ctypes.c_ubyte * size.value).from_address(base)).cast("B")
        here.function = FUNCTIONS.get(name)
        here.gang = GANGS.get(name)
    here.image = image


def make_kit(engine, workers):
    """What the workers of a gang written in Python share; None when there is no such gang."""
    if here.gang is None:
        return None
    return here.gang[0](engine, workers, ctypes.string_at(library.prony_image_argument(here.image), 64))


def join(kit):
    here.kit = kit
    here.index = library.prony_image_join(here.image, NEXT, 0)
    if here.index < 0:
        raise OSError("the worker cannot join")


def attach(parent, ends, kit, *image):
    """Makes this process a worker: the initializer of a pool."""
    if not hasattr(here, "image"):
        open_image(*image)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the executor ends the workers of a broken pool
    if control is not None:
        control.close()
    join(kit)
    if ends:
        serve(ends)
    if multiprocessing.get_start_method() == "forkserver":
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    elif os.getppid() != parent:  # it died before the parent-death signal was asked for, which never comes then
        os._exit(1)


def attach_thread(kit, *image):
    open_image(*image)
    join(kit)


def watch(parent):
    """Ends this worker with the pool's process. The fork server, its real parent, lives as long as its workers."""
    try:
        select.select([os.pidfd_open(parent)], [], [])
    finally:
        os._exit(1)


def run_function(task):
    """A task of the workload as a Python function; what it raises is on its future, and in the output."""
    _, _, _, low, high, source, source_bytes, target, target_bytes, future, argument = TASK.unpack(task)
    status = library.prony_kernel_begin(here.image, task)
    if status != 0:
        return status
    memory = here.memory
    try:
        value = here.function(memory, low, high, memory[source:source + source_bytes],
                              memory[target:target + target_bytes], argument)
        if future != 0:
            struct.pack_into("=Q", memory, future + 16, value or 0)
    except Exception as error:  # of any kind: the function's own
        print(repr(error), file=sys.stderr)
        status = PROTO
    library.prony_kernel_end(here.image, task)
    return status


def run_task(task):
    return run_function(task) if here.function is not None else library.prony_kernel_call(here.image, task)


def run_range(head, tail, bounds):
    return run_task(head + struct.pack("=qq", *bounds) + tail)


def run_gang(task, roles):
    """What prony itself asks of its workers by gang is in C in any case."""
    workload, _, _, low, high, _, _, target, target_bytes, _, argument = TASK.unpack(task)
    if here.gang is None or workload == 0:
        return threading.get_native_id(), library.prony_image_gang(here.image, task, roles)
    status = library.prony_image_enter(here.image, roles)
    if status == 0 and here.index < roles:
        status = run_role(here.gang[1], Role(library, here.image, here.index, roles, high - low,
                                             here.memory[target:target + target_bytes], argument, here.kit))
    library.prony_image_leave(here.image, status)
    return threading.get_native_id(), status


class Pool:
    """What the pools have in common: the orders."""

    def __init__(self, workers):
        self.workers = workers
        self.death = 0  # the code with which the pool broke
        self.dead = {}

    def resolve(self, ticket, offset, status):
        control.send(struct.pack("=cQIi", b"S", offset, ticket, status))

    def order_submit(self, packet):
        for at in range(0, len(packet), TASK_BYTES):
            task = packet[at:at + TASK_BYTES]
            self.submit(task, *FUTURE.unpack_from(task))

    def order_map(self, packet):
        chunk, = struct.unpack_from("=q", packet)
        task = packet[8:]
        low, high = RANGE.unpack_from(task)
        bounds = [(lo, min(lo + chunk, high)) for lo in range(low, high, chunk)]
        status, failed, first, done = 0, 0, (0, 0), 0
        for done, code in enumerate(self.map(functools.partial(run_range, task[:8], task[24:]), bounds), 1):
            if code != 0:
                if failed == 0:
                    status, first = code, bounds[done - 1]
                failed += 1
        if done < len(bounds):
            if failed == 0:
                first = bounds[done]
            failed += len(bounds) - done
            status = self.death
        control.send(struct.pack("=ciIqqi", b"M", status, failed, *first, self.death))

    def order_gang(self, packet):
        roles, = struct.unpack_from("=I", packet)
        answer = b"".join(struct.pack("=ii", *part) for part in self.gang(packet[4:], roles))
        answer += b"".join(struct.pack("=ii", *pair) for pair in self.dead.items())
        control.send(struct.pack("=ci", b"G", self.death) + answer)


class Executor(Pool):
    """concurrent.futures, with processes or threads."""

    def __init__(self, workers, executor):
        super().__init__(workers)
        self.executor = executor
        self.processes = None

    def keep(self):
        """Keeps the processes, because a broken executor lets go of them."""
        if self.processes is None:
            self.processes = getattr(self.executor, "_processes", {})

    def broken(self):
        """The code for a broken pool: the signal of the worker that died. The executor ends the others by SIGTERM, so
        that one counts only when all have ended and nothing else is seen."""
        begin = time.monotonic()
        while self.death == 0:
            codes = {process.pid: process.exitcode for process in list((self.processes or {}).values())}
            own = {pid: code for pid, code in codes.items() if code and code != -signal.SIGTERM}
            over = None not in codes.values() or time.monotonic() - begin > 5
            for pid, code in (own or (codes if over else {})).items():
                if code:
                    self.dead[pid] = code - DIED if code < 0 else -DIED
            self.death = next(iter(self.dead.values()), -DIED if over else 0)
            time.sleep(0.001)
        return self.death

    def outcome(self, future):
        try:
            return future.result()
        except BrokenProcessPool:
            return self.broken()
        except futures.CancelledError:
            return CANCELED

    def submit(self, task, ticket, offset):
        try:
            future = self.executor.submit(run_task, task)
        except BrokenProcessPool:
            self.resolve(ticket, offset, self.broken())
            return
        self.keep()
        future.add_done_callback(lambda its: self.resolve(ticket, offset, self.outcome(its)))

    def map(self, function, bounds):
        try:
            results = self.executor.map(function, bounds)
            self.keep()
            yield from results
        except BrokenProcessPool:
            self.broken()

    def gang(self, task, roles):
        try:
            parts = [self.executor.submit(run_gang, task, roles) for _ in range(self.workers)]
            self.keep()
        except BrokenProcessPool:
            self.broken()
            return
        for part in parts:
            try:
                yield part.result()
            except BrokenProcessPool:
                self.broken()

    def end_workers(self):
        for process in list((self.processes or {}).values()):
            process.kill()

    def close(self, drain):
        self.executor.shutdown(wait=True, cancel_futures=not drain)


class ProcessPool(Pool):
    """multiprocessing.Pool. It replaces a dead worker and says nothing of the task that was lost, so the workers are
    watched here: the death of one is the death of the pool."""

    def __init__(self, workers, pool):
        super().__init__(workers)
        self.pool = pool
        self.processes = list(pool._pool)
        self.closing = False
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        gone = multiprocessing.connection.wait([process.sentinel for process in self.processes])
        if self.closing:
            return
        self.pool._worker_handler._state = multiprocessing.pool.TERMINATE  # no new ones
        for process in self.processes:
            while process.sentinel in gone and process.exitcode is None:  # another thread may be asking, too
                time.sleep(0.001)
            if process.sentinel in gone:
                self.dead[process.pid] = process.exitcode - DIED if process.exitcode < 0 else -DIED
        self.death = next(iter(self.dead.values()))
        control.send(struct.pack("=ci", b"D", self.death))
        self.end_workers()

    def submit(self, task, ticket, offset):
        if self.death != 0:
            self.resolve(ticket, offset, self.death)
            return
        self.pool.apply_async(run_task, (task,), callback=functools.partial(self.resolve, ticket, offset),
                              error_callback=lambda _: self.resolve(ticket, offset, PROTO))

    def result(self, promise):
        """Waits also for the end of the pool, after which no result comes."""
        while self.death == 0 and not promise.ready():
            promise.wait(0.05)
        return promise.get() if promise.ready() else None

    def map(self, function, bounds):
        if self.death != 0:
            return ()
        return self.result(self.pool.map_async(function, bounds, 1)) or ()

    def gang(self, task, roles):
        if self.death != 0:
            return
        for part in [self.pool.apply_async(run_gang, (task, roles)) for _ in range(self.workers)]:
            result = self.result(part)
            if result is not None:
                yield result

    def end_workers(self):
        for process in self.processes:
            process.kill()

    def close(self, _drain):
        """What was cancelled is refused by the workers."""
        self.closing = True
        if self.death == 0:
            self.pool.close()
            self.pool.join()
        else:
            self.pool._terminate.cancel()  # which would wait for locks that the dead one holds


def give_up(pool, *_):
    """Ends the workers whatever they do, and this process in good order: it still removes its named semaphores."""
    pool.closing = True
    pool.end_workers()
    if isinstance(pool, ProcessPool):
        pool.pool._terminate.cancel()
    sys.exit(1)


def make_pool(engine, workers, start, image):
    if engine == "python-threads":
        arguments = (make_kit(engine, workers), *image)
        return Executor(workers, futures.ThreadPoolExecutor(workers, "worker", attach_thread, arguments))
    multiprocessing.set_start_method(start)
    attach_arguments = (os.getpid(), make_ends(), make_kit(engine, workers), *image)
    if engine == "python-pool":
        return ProcessPool(workers, multiprocessing.Pool(workers, attach, attach_arguments))
    context = multiprocessing.get_context()
    return Executor(workers, futures.ProcessPoolExecutor(workers, context, attach, attach_arguments))


def die_with(host):
    """A parent-death signal for this process. The host may have died before."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != host:
        os._exit(1)


def describe(engine, start, code):
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    what = {"python-threads": "ThreadPoolExecutor", "python-pool": "multiprocessing.Pool by " + start,
            "python-processes": "ProcessPoolExecutor by " + start}[engine]
    return "%s %s, GIL %s, %s, %s" % (
        platform.python_implementation(), platform.python_version(), "on" if gil else "off", what,
        "kernels in C" if code == "c" else "kernels in Python")


def main():
    global control
    descriptor, host, arena, workers, engine, start, code, path = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    die_with(int(host))
    try:
        image = (path, int(host), int(arena), code)
        open_image(*image)
        pool = make_pool(engine, int(workers), start, image)
    except (OSError, ValueError, ImportError) as error:
        code = getattr(error, "errno", None) or 95  # ENOTSUP
        text = getattr(error, "strerror", None) or str(error)
        if code == errno.ENOSPC:
            text += ": semaphores of CPython are files in /dev/shm (mount -o remount,size=)"
        control.send(struct.pack("=ci", b"E", -code) + text.encode()[:200])
        return
    if start != "fork":  # whose semaphores have no names
        signal.signal(signal.SIGTERM, functools.partial(give_up, pool))
    control.send(b"R" + describe(engine, start, code).encode())
    orders = {b"M": pool.order_map, b"S": pool.order_submit, b"G": pool.order_gang}
    while True:
        packet = control.recv(1 << 17)
        if not packet:
            os._exit(1)  # the host is gone, and the workers go with this process
        if packet[:1] == b"C":
            pool.close(packet[1] != 0)
            control.send(b"C")
            return
        orders[packet[:1]](packet[1:])


if __name__ == "__main__":
    main()
