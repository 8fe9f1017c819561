# The load generator's compiled unit: calls of atp.v1 over HTTP/2, many at once, without the GIL.
# It knows the wire format and nothing of the server; sockets and files are opened and closed by
# Python.
import os

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.utility cimport move
from libcpp.vector cimport vector
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close

from atp.load cimport native as N
from atp.load.running cimport (
    EPOLL_CTL_ADD, Run, follow_up, open_calls, run_until, send, take_events, watch,
)

OUTCOMES = ("reserves", "commits", "releases", "extends")


class TlsRefused(ValueError):
    def __init__(self, part, reason):
        super().__init__(reason)
        self.part = part


def now_ns():
    # The clock of all times here, in nanoseconds.
    return N.now_ns()


def check_tls(object tls not None):
    # Raises TlsRefused when no connection can be encrypted so.
    _context(tls)


cdef class Generator:
    cdef Run run
    cdef str history_path

    def __cinit__(
        self, object baskets not None, *, list sockets not None, bytes authority not None,
        bytes request_id not None, int64_t ttl_seconds, bint brief, int64_t batch,
        size_t in_flight, int64_t deadline_ns, int64_t patience_ns, int64_t tries_max,
        object tls
    ):
        cdef N.Names names
        cdef N.Pattern pattern
        self.run.epoll = self.run.timer = -1
        self.run.patience_ns = patience_ns
        names.skus = baskets.skus
        names.customers = baskets.customers
        names.addresses = baskets.addresses
        names.request_id, names.ttl_seconds, names.brief = request_id, ttl_seconds, brief
        pattern.batch, pattern.in_flight, pattern.deadline_ns = batch, in_flight, deadline_ns
        pattern.tries_max = tries_max
        self.run.traffic = new N.Traffic(
            names, _baskets(baskets.rows), _lines(baskets.lines), pattern, authority)
        if tls is not None:
            self.run.traffic.tls = _context(tls)
        self.run.epoll = N.epoll_create1(N.EPOLL_CLOEXEC)
        if self.run.epoll < 0:
            raise OSError("the system gives no epoll instance")
        for index, socket in enumerate(sockets):
            self.run.connections.push_back(new N.Connection(socket, self.run.traffic))
            watch(&self.run, index, EPOLL_CTL_ADD)

    def __dealloc__(self):
        for index in range(self.run.connections.size()):
            del self.run.connections[index]
        del self.run.traffic
        if self.run.epoll >= 0:
            close(self.run.epoll)
        if self.run.timer >= 0:
            close(self.run.timer)

    def greet(self, *, double seconds):
        # Sends the prefaces; True once every server has told its settings.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint are_ready = False
        with nogil:
            while not are_ready and N.now_ns() < until:
                for index in range(self.run.connections.size()):
                    send(&self.run, index)
                take_events(&self.run, until - N.now_ns())
                are_ready = True
                for index in range(self.run.connections.size()):
                    if not self.run.connections[index].is_ready():
                        are_ready = False
                    if self.run.connections[index].has_ended():
                        until = 0
        self._raise_if_ended()
        return are_ready

    def record(
        self, int file, *, str path, bytes clock_name, bytes recorder, bytes settings_json
    ):
        # From now on all is recorded, as one file of a history; to be said before `begin`.
        cdef N.Recorder told
        cdef timespec now
        clock_gettime(CLOCK_REALTIME, &now)
        told.wall_time_ns = <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec
        told.clock_name, told.name, told.settings_json = clock_name, recorder, settings_json
        self.history_path = path
        self.run.traffic.history.reset(new N.HistoryWriter(file))
        self.run.traffic.history.get().begin(told, N.now_ns())

    def end_record(self):
        # The last entry; returns once all is written. OSError: it could not be.
        cdef int error
        if self.run.traffic.history.get() == NULL:
            return
        with nogil:
            self.run.traffic.history.get().finish(N.now_ns())
        error = self.run.traffic.history.get().error()
        self.run.traffic.history.reset()
        if error:
            raise OSError(error, os.strerror(error), self.history_path)

    def begin(self, *, int64_t calls, double seconds, list curve, bint by_chance, uint64_t seed):
        # From now on calls are due: `calls` at most, for `seconds`, by a curve of pairs of a time
        # in seconds and a rate (none: a closed loop, each call after the one before).
        cdef int64_t now = N.now_ns()
        cdef vector[N.RatePoint] points
        cdef N.RatePoint point
        for time_s, rate in curve:
            point.time_s, point.rate = time_s, rate
            points.push_back(point)
        self.run.schedule.begin(now, calls, seconds, points, by_chance, seed)
        N.prctl(N.PR_SET_TIMERSLACK, 1)  # or waits of a few microseconds take fifty more
        if self.run.schedule.is_open():
            return
        with nogil:
            for index in range(self.run.connections.size()):
                follow_up(&self.run, self.run.connections[index], now)
                send(&self.run, index)

    def step(self, *, double seconds):
        # Runs for so long, or until a connection ends; True when all was asked and answered.
        # Signals that came meanwhile are seen to at its end.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint is_over
        with nogil:
            self.run.is_broken = False
            is_over = run_until(&self.run, until)
            if self.run.traffic.history.get() != NULL:
                self.run.traffic.history.get().hand_over()
        PyErr_CheckSignals()
        self._raise_if_unwritten()
        if self.run.traffic.pattern.tries_max == 0:
            self._raise_if_ended()
        return is_over

    def ended(self, *, int64_t silent_ns=N.NEVER_DUE):
        # The connections that have ended, that the server takes no more calls on and owes nothing
        # on, or on which nothing has come for so long; by index, with why.
        cdef N.Connection* connection
        cdef int64_t now = N.now_ns()
        found = {}
        for index in range(self.run.connections.size()):
            connection = self.run.connections[index]
            if connection.is_leaving() and connection.open() == 0:
                connection.leave(b"the server is stopping: it takes no more calls")
                send(&self.run, index)
            elif connection.is_silent(now, silent_ns):
                connection.leave(b"no answer came for too long")
                send(&self.run, index)
            if connection.has_ended():
                found[index] = connection.reason().decode("utf-8", "replace")
        return found

    def replace(self, size_t index, int socket):
        # A connection that has ended makes room for a new one, which may not be connected yet.
        cdef N.Connection* connection = new N.Connection(socket, self.run.traffic)
        del self.run.connections[index]
        self.run.connections[index] = connection
        watch(&self.run, index, EPOLL_CTL_ADD)
        send(&self.run, index)

    def stop(self):
        # Nothing more is due.
        self.run.schedule.stop()

    def close_streams(self, *, double seconds):
        # Ends the streams of batches; True once the server has ended each, with status OK.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint are_closed = False
        cdef N.Connection* connection
        self.stop()
        with nogil:
            while not are_closed and N.now_ns() < until:
                are_closed = True
                for index in range(self.run.connections.size()):
                    connection = self.run.connections[index]
                    if connection.has_ended():
                        if self.run.traffic.pattern.tries_max == 0:
                            until = 0
                        continue
                    connection.close_stream()
                    send(&self.run, index)
                    if not connection.is_closed():
                        are_closed = False
                if not are_closed:
                    take_events(&self.run, until - N.now_ns())
        if self.run.traffic.pattern.tries_max == 0:
            self._raise_if_ended()
        return are_closed

    def tally(self):
        # Counts so far, by name; those of outcomes and statuses are lists by number.
        cdef N.Tally* tally = &self.run.traffic.tally
        return {
            "asked": tally.asked,
            "answered": tally.answered,
            "good": tally.good,
            "late": tally.late,
            "expired": tally.expired,
            "lost": tally.lost,
            "tried_again": tally.tried_again,
            "given_up": tally.given_up,
            "commands": tally.commands,
            "repeats": tally.repeats,
            "repeated": tally.repeated,
            "forgotten": tally.forgotten,
            "malformed": tally.malformed,
            "unknown": tally.unknown,
            "bytes_sent": tally.bytes_sent,
            "bytes_received": tally.bytes_received,
            "taken_ns": max(tally.last_answer_ns - self.run.schedule.begin_ns(), 0),
            "open": open_calls(&self.run),
            "is_due": (self.run.traffic.errands.is_owed()
                       or self.run.schedule.next_due(N.now_ns()) <= N.now_ns()),
            "statuses": tally.statuses,
            "command_errors": tally.command_errors,
            "reserves": tally.reserves,
            "commits": tally.commits,
            "releases": tally.releases,
            "extends": tally.extends,
            "first_error": tally.first_error.decode("utf-8", "replace"),
        }

    def latencies(self):
        # (counts by bucket, the longest in nanoseconds) of calls answered OK.
        cdef N.Tally* tally = &self.run.traffic.tally
        return tally.latencies.counts(), tally.latencies.most()

    cdef _raise_if_unwritten(self):
        cdef int error = 0
        if self.run.traffic.history.get() != NULL:
            error = self.run.traffic.history.get().error()
        if error:
            raise OSError(error, os.strerror(error), self.history_path)

    cdef _raise_if_ended(self):
        for reason in self.ended().values():
            raise ConnectionError(reason)


cdef unique_ptr[const N.TlsContext] _context(object tls) except *:
    # Of a Tls as in encrypting.py.
    cdef N.TlsFault fault
    cdef string authorities = tls.authorities or b"", certificates = tls.certificates or b""
    cdef string key = tls.key or b"", server_name = tls.server_name.encode()
    cdef unique_ptr[const N.TlsContext] made = N.TlsContext.make(
        authorities, certificates, key, server_name, &fault)
    if made.get() == NULL:
        raise TlsRefused(fault.part.decode(), fault.reason.decode("utf-8", "replace"))
    return move(made)


cdef vector[N.Basket] _baskets(const int64_t[:, ::1] rows) except *:
    # Columns as in baskets.py.
    cdef vector[N.Basket] baskets
    cdef N.Basket basket
    baskets.reserve(rows.shape[0])
    for row in range(rows.shape[0]):
        basket.first_line, basket.lines = rows[row, 0], rows[row, 1]
        basket.customer, basket.address = rows[row, 2], rows[row, 3]
        basket.looks, basket.reserves = rows[row, 4] != 0, rows[row, 5] != 0
        basket.repeats, basket.end = rows[row, 6] != 0, <N.End>rows[row, 7]
        basket.think_ns = rows[row, 8]
        baskets.push_back(basket)
    return baskets


cdef vector[N.BasketLine] _lines(const int64_t[:, ::1] rows) except *:
    cdef vector[N.BasketLine] lines
    cdef N.BasketLine line
    lines.reserve(rows.shape[0])
    for row in range(rows.shape[0]):
        line.sku, line.quantity = rows[row, 0], rows[row, 1]
        lines.push_back(line)
    return lines
