"""The workload echo in Python: the server and the clients of workloads/echo.c on `selectors` and sockets that do not block.

They meet where the C roles meet, compare every byte that returns, clock every request and leave the same counts. A message is
its number and one byte again and again. This file comes after gangs.py in the script that prony runs.
"""

import collections
import errno
import selectors
import socket
import struct
import time

ECHO_DESK = struct.Struct("=I")  # the port
ECHO_RESULT = struct.Struct("=QQQQQQ")
ECHO_LEFT = 0x6563686F
ECHO_ROOM = 65536
ECHO_LOOK = 0.1  # seconds between looks at whether the gang still is
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


def echo_kit(_engine, _workers, _argument):
    """The roles share nothing but the port."""


def tune(connection):
    """As in C: small requests leave at once, an end leaves nothing behind."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return connection


def send_some(connection, data):
    try:
        return connection.send(data)
    except (BlockingIOError, InterruptedError):
        return 0


def receive_some(connection):
    """None: nothing yet. Nobody ends before all have met, so that an end is a peer that is gone."""
    try:
        data = connection.recv(ECHO_ROOM)
    except (BlockingIOError, InterruptedError):
        return None
    if not data:
        raise OSError(errno.ECANCELED, "the other end is gone")
    return data


def ready_ones(role, selector):
    while True:
        events = selector.select(ECHO_LOOK)
        if events:
            return events
        role.check()


def accept_one(role, listener):
    while True:
        try:
            return tune(listener.accept()[0])
        except socket.timeout:
            role.check()


def watch_for(selector, key, events):
    if events != key.events:
        selector.modify(key.fileobj, events, key.data)


def echo_server(role, selector, sockets, due):
    """`due` bytes, then it is over. What does not go back at once is kept, and no more read before it went."""
    got = sent = 0
    role.begin()
    while sent < due:
        for key, _ in ready_ones(role, selector):
            rest = key.data
            if not rest:
                data = receive_some(key.fileobj)
                if data is None:
                    continue
                got += len(data)
                rest += data
            moved = send_some(key.fileobj, rest)
            sent += moved
            del rest[:moved]
            watch_for(selector, key, WRITE if rest else READ)
    role.end()
    return got, sent, len(sockets), 0


class Caller:
    """A client's connection."""

    def __init__(self, connection, identity, due):
        self.connection, self.due, self.made, self.first = connection, due, 0, identity << 40
        self.tail = bytes((identity * 7 + 1 & 255,))
        self.under_way, self.going, self.coming = collections.deque(), bytearray(), bytearray()

    def ask(self, size, depth):
        """Makes requests and sends what is ready: how many bytes went."""
        now = time.monotonic_ns()
        while self.made < self.due and len(self.under_way) < depth:
            message = ((self.first + self.made).to_bytes(8, "little") + self.tail * max(size - 8, 0))[:size]
            self.under_way.append((message, now))
            self.going += message
            self.made += 1
        moved = send_some(self.connection, self.going) if self.going else 0
        del self.going[:moved]
        return moved

    def take(self, role, size):
        """Bytes that came, requests that are answered, and how many of them wrongly."""
        data = receive_some(self.connection)
        if data is None:
            return 0, 0, 0
        self.coming += data
        now, at, wrong = time.monotonic_ns(), 0, 0
        while len(self.coming) - at >= size:
            message, begun = self.under_way.popleft()
            wrong += self.coming[at:at + size] != message
            at += size
            role.record(now - begun)
        del self.coming[:at]
        return len(data), at // size, wrong


def echo_client(role, selector, callers, size, depth):
    got = sent = done = wrong = 0
    due = sum(caller.due for caller in callers)
    role.begin()
    for caller in callers:
        sent += caller.ask(size, depth)
        if caller.going:
            selector.modify(caller.connection, READ | WRITE, caller)
    while done < due:
        for key, events in ready_ones(role, selector):
            if events & READ:
                came, answered, bad = key.data.take(role, size)
                got, done, wrong = got + came, done + answered, wrong + bad
            sent += key.data.ask(size, depth)
            watch_for(selector, key, READ | WRITE if key.data.going else READ)
    role.end()
    return got, sent, len(callers), wrong


def echo_connect(role, count, sockets, listener):
    for _ in range(count):
        if listener is not None:
            sockets.append(accept_one(role, listener))
        else:
            port, = ECHO_DESK.unpack_from(role.data)
            sockets.append(tune(socket.create_connection(("127.0.0.1", port))))


def share_of(items, place, places):
    return items // places + (place < items % places)


def echo(role):
    count, size, depth = struct.unpack_from("=QQQ", role.argument)
    clients, sockets, listener = role.roles - 1, [], None
    try:
        if role.index == 0:
            listener = socket.create_server(("127.0.0.1", 0), backlog=socket.SOMAXCONN)
            listener.settimeout(ECHO_LOOK)
            ECHO_DESK.pack_into(role.data, 0, listener.getsockname()[1])
        role.meet()
        echo_connect(role, count if listener is None else count * clients, sockets, listener)
        with selectors.DefaultSelector() as selector:
            if listener is not None:
                for connection in sockets:
                    selector.register(connection, READ, bytearray())
                result = echo_server(role, selector, sockets, role.items * size)
            else:
                mine = share_of(role.items, role.index - 1, clients)
                callers = [Caller(connection, (role.index - 1) * count + number, share_of(mine, number, count))
                           for number, connection in enumerate(sockets)]
                for caller in callers:
                    selector.register(caller.connection, READ, caller)
                result = echo_client(role, selector, callers, size, depth)
        role.meet()
        if listener is not None:
            ECHO_DESK.pack_into(role.data, 0, 0)
        got, sent, connections, wrong = result
        ECHO_RESULT.pack_into(role.data, (1 + role.index) * LINE, got, sent, sent // size if listener else got // size,
                              connections, wrong, ECHO_LEFT)
    finally:
        for one in sockets + ([] if listener is None else [listener]):
            one.close()


GANGS["echo"] = (echo_kit, echo)
