"""The gang workloads written in Python, on the primitives of CPython that the C ones mirror: what python-processes and
python-pool run with code=python on those of multiprocessing, and python-threads on those of threading and queue.

A kit is what the workers share; the pool's process makes it before them and hands it to their initializer. Each function
here does what the kernel of the same name in workloads/ does, between begin and end, and leaves the same answer in the
arena, where the C side checks it. Waits have no limits, which is how the primitives are fastest: the engine ends a gang
that hangs. This file comes first in the script that prony runs.
"""

import ctypes
import errno
import multiprocessing
import multiprocessing.sharedctypes
import queue
import struct
import sys
import threading

WORD = 8
LINE = 64  # LINE_BYTES of workloads/kit.h
MASK = (1 << 64) - 1
APART = 128  # bytes between values on lines of their own
THREADS = "python-threads"


def mix(number):
    """mix64 of workloads/kit.h."""
    number = number + 0x9E3779B97F4A7C15 & MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MASK
    return number ^ number >> 31


class Without(OSError):
    """CPython has no counterpart of what is asked."""

    def __init__(self, text):
        super().__init__(errno.EOPNOTSUPP, "without a counterpart in CPython: " + text)


def wrong(text):
    return OSError(errno.EBADMSG, text)


class Role:
    """What a worker's part in a gang works with. Words are the data as numbers of 8 bytes."""

    def __init__(self, library, image, index, roles, items, data, argument, kit):
        self.library, self.image, self.index, self.roles, self.items = library, image, index, roles, items
        self.data, self.words, self.argument, self.kit = data, data.cast("q"), argument, kit

    def begin(self):
        if self.library.prony_image_begin(self.image) != 0:
            raise OSError(errno.ECANCELED, "the gang was stopped")

    def end(self):
        self.library.prony_image_end(self.image)

    def meet(self):
        """Waits for the others, after the end: what they did is there then."""
        if self.library.prony_image_meet(self.image) != 0:
            raise OSError(errno.ECANCELED, "the gang was stopped")

    def check(self):
        """For one that waits for nothing that ends with the gang."""
        if self.library.prony_image_stopped(self.image):
            raise OSError(errno.ECANCELED, "the gang was stopped")

    def record(self, nanoseconds):
        """An operation's time, into this worker's histogram."""
        self.library.prony_image_record(self.image, nanoseconds)

    def share(self, of=None, role=None, roles=None):
        items, role, roles = of or self.items, self.index if role is None else role, roles or self.roles
        return items // roles + (role < items % roles)

    def had(self, offset, turns):
        self.words[(offset + self.index * LINE) // WORD] = turns


def module_of(engine):
    """Where a kit's primitives come from."""
    return threading if engine == THREADS else multiprocessing


def work(number, steps):
    for _ in range(steps):
        number = number * 6364136223846793005 + 1 & MASK
    return number


def lock_kit(engine, _workers, argument):
    kind, = struct.unpack_from("=I", argument)
    maker = {0: "Lock", 4: "RLock"}.get(kind)
    if maker is None:
        raise Without("kind=prony is its Lock and kind=rlock its RLock, others it has not")
    return getattr(module_of(engine), maker)()


def lock(role):
    _, counter, hold, rest = struct.unpack_from("=IIQQ", role.argument)
    words, counter, held, done, number = role.words, counter // WORD, role.kit, 0, 0
    role.begin()
    if hold == rest == 0:
        for done in range(1, role.share() + 1):
            with held:
                words[counter] = words[counter] + 1
    else:
        for done in range(1, role.share() + 1):
            with held:
                seen = words[counter]
                number = work(number, hold)
                words[counter] = seen + 1
            number = work(number, rest)
    role.end()
    role.had(256, done)


def semaphore_kit(engine, _workers, argument):
    kind, places = struct.unpack_from("=II", argument)
    if places != 1:
        raise Without("those inside are counted by atomic additions, unless places=1")
    return getattr(module_of(engine), "Semaphore" if kind else "BoundedSemaphore")(places)


def semaphore(role):
    words, places, done = role.words, role.kit, 0
    role.begin()
    for done in range(1, role.share() + 1):
        with places:
            words[16] += 1
    role.end()
    role.had(256, done)
    role.meet()
    free = places.get_value() if hasattr(places, "get_value") else places._value
    if free != 1:
        raise wrong("%d of 1 places are free at the end" % free)


def event_kit(engine, workers, _argument):
    return [module_of(engine).Event() for _ in range(workers)]


def event(role):
    words, index, roles, done = role.words, role.index, role.roles, 0
    after = (index + 1) % roles
    mine, others = role.kit[index], role.kit[after]
    mine.clear()
    if index == 0:
        mine.set()
    role.begin()
    for done in range(1, role.share() + 1):
        mine.wait()
        mine.clear()
        if words[0] != (done - 1) * roles + index:
            raise wrong("worker %d was woken out of its turn" % index)
        words[0] += 1
        others.set()
    role.end()
    role.had(LINE * (1 + roles), done)
    role.meet()
    sets = done + (after == 0)  # the first one is from before
    struct.pack_into("=I", role.data, LINE * (1 + after), sets << 2 | others.is_set())


def condition_kit(engine, _workers, _argument):
    return module_of(engine).Condition()


def condition(role):
    words, index, roles, turns, done = role.words, role.index, role.roles, role.kit, 0
    count = struct.unpack_from("=I", role.argument)[0] // WORD
    role.begin()
    for done in range(1, role.share() + 1):
        turn = (done - 1) * roles + index
        with turns:
            while words[count] != turn:
                turns.wait()
            words[count] += 1
            turns.notify_all()
    role.end()
    role.had(128, done)


def barrier_kit(engine, workers, argument):
    if struct.unpack_from("=I", argument) != (0,):
        raise Without("kind=prony is its Barrier, another it has not")
    return module_of(engine).Barrier(workers)


def barrier(role):
    words, meeting = role.words, role.kit
    mine, after = [(128 + index * LINE) // WORD for index in (role.index, (role.index + 1) % role.roles)]
    role.begin()
    for turn in range(1, role.items + 1):
        words[mine] = turn
        meeting.wait()
        if not turn <= words[after] <= turn + 1:
            raise wrong("a neighbour was not at meeting %d" % turn)
    role.end()


def queue_kit(engine, _workers, argument):
    _, _, capacity, joinable = struct.unpack_from("=QIII", argument)
    if engine == THREADS:
        return queue.Queue(capacity)
    return (multiprocessing.JoinableQueue if joinable else multiprocessing.Queue)(capacity)


def messages(size, numbers):
    for number in numbers:
        yield number.to_bytes(8, sys.byteorder) + bytes((mix(number) & 255,)) * (size - 8)


def queue_take(channel, size, joinable):
    """The number of the next message."""
    message = channel.get()
    number = int.from_bytes(message[:8], sys.byteorder)
    if len(message) != size or message.count(mix(number) & 255, 8) != size - 8:
        raise wrong("a message came out as it was not put in")
    if joinable:
        channel.task_done()
    return number


def queue_(role):
    accounts, size, _, joinable = struct.unpack_from("=QIII", role.argument)
    channel, index, putters, count, total = role.kit, role.index, role.roles // 2, 0, 0
    role.begin()
    if putters == 0:
        for message in messages(size, range(role.items)):
            channel.put(message)
            total += queue_take(channel, size, joinable)
            count += 1
    elif index < putters:
        for message in messages(size, range(index, role.items, putters)):
            channel.put(message)
    else:
        for count in range(1, role.share(role.items, index - putters, role.roles - putters) + 1):
            total += queue_take(channel, size, joinable)
    if joinable and index < max(putters, 1):
        channel.join()
    role.end()
    struct.pack_into("=QQ", role.data, accounts + index * LINE, count, total)
    role.meet()
    if channel.qsize() != 0:
        raise wrong("%d messages are left" % channel.qsize())


def value_kit(engine, workers, argument):
    """Room for the values, with a margin on either side, and a lock for each."""
    _, by = struct.unpack_from("=II", argument)
    if by == 1:
        raise Without("an atomic addition")
    words = (workers + 2) * APART // WORD
    if engine == THREADS:
        return (ctypes.c_uint64 * words)(), [threading.RLock() for _ in range(workers)]
    return (multiprocessing.sharedctypes.RawArray(ctypes.c_uint64, words),
            [multiprocessing.RLock() for _ in range(workers)])


def value(role):
    sharing, by = struct.unpack_from("=II", role.argument)
    room, locks = role.kit
    index = 0 if sharing == 0 else role.index
    place = index * (APART if sharing == 1 else WORD)
    first = APART - ctypes.addressof(room) % APART  # on a line of its own, as the C kernel has it
    raw = ctypes.c_uint64.from_buffer(room, first + place)
    shared = raw if by == 2 else multiprocessing.sharedctypes.synchronized(raw, locks[index])
    shared.value = 0
    role.begin()
    if by == 2:
        for _ in range(role.share()):
            shared.value += 1
    else:
        for _ in range(role.share()):
            with shared.get_lock():
                shared.value += 1
    role.end()
    role.meet()
    role.words[(role.roles * APART + place) // WORD] = shared.value


METHODS = ("fork", "spawn", "forkserver")


def process_kit(engine, _workers, argument):
    method, = struct.unpack_from("=I", argument)
    if engine == "python-pool" and method < len(METHODS):
        raise Without("a Pool's workers are daemons, which may start no processes; an executor's may")
    if engine == THREADS and method == 0:
        raise Without("a process that a ThreadPoolExecutor's worker forks joins itself in the end, and fails")
    return None if method == len(METHODS) else METHODS[method]


def process(role):
    """Where a new interpreter starts, it loads multiprocessing and not this script."""
    context = None if role.kit is None else multiprocessing.get_context(role.kit)
    vars(sys.modules["__main__"]).pop("__file__", None)
    done = 0
    role.begin()
    for turn in range(role.share()):
        given, said = turn * 7 + role.index + 1 & 255, []
        if context is None:
            child = threading.Thread(target=said.append, args=(given,))
            child.start()
            child.join()
        else:
            child = context.Process(target=sys.exit, args=(given,))
            child.start()
            child.join()
            said.append(child.exitcode)
            child.close()
        if said != [given]:
            raise wrong("%d came out as %s" % (given, said))
        done += 1
    role.end()
    role.had(0, done)


# name: (what makes the kit, what a worker does)
GANGS = {"lock": (lock_kit, lock), "semaphore": (semaphore_kit, semaphore), "event": (event_kit, event),
         "condition": (condition_kit, condition), "barrier": (barrier_kit, barrier), "queue": (queue_kit, queue_),
         "value": (value_kit, value), "process": (process_kit, process)}


def run_role(function, role):
    """0, or the code of what it raised, which is printed too."""
    try:
        function(role)
        return 0
    except OSError as error:
        print(repr(error), file=sys.stderr)
        return -(error.errno or errno.EIO)
    except Exception as error:  # of any kind: the function's own
        print(repr(error), file=sys.stderr)
        return -errno.EPROTO
