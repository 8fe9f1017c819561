# The load generator's compiled unit: calls of atp.v1 over HTTP/2, many at once, without the GIL.
# It knows the wire format and nothing of the server; sockets and files are opened and closed by
# Python.
import os

from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close

from atp.load cimport native as N
from atp.load.running cimport (
    EPOLL_CTL_ADD, Schedule, follow_up, open_calls, run_until, send, take_events, watch,
)


cdef class Generator:
    cdef N.Traffic* traffic
    cdef vector[N.Connection*] connections
    cdef Schedule schedule
    cdef int epoll
    cdef int64_t patience_ns
    cdef str history_path

    def __cinit__(
        self, const int32_t[:, ::1] draws not None, *, list sockets not None,
        bytes authority not None, bytes request_id not None, bytes sku not None, int sku_digits,
        int64_t ttl_seconds, bint brief, bint is_availability, bint commits, int64_t batch,
        size_t in_flight, int64_t deadline_ns, int64_t patience_ns
    ):
        cdef N.Names names
        cdef N.Pattern pattern
        cdef vector[N.Draw] drawn
        cdef N.Draw draw
        self.epoll = -1
        self.patience_ns = patience_ns
        names.request_id, names.sku, names.sku_digits = request_id, sku, sku_digits
        names.ttl_seconds, names.brief = ttl_seconds, brief
        pattern.is_availability, pattern.commits, pattern.batch = is_availability, commits, batch
        pattern.in_flight, pattern.deadline_ns = in_flight, deadline_ns
        drawn.reserve(draws.shape[0])
        for row in range(draws.shape[0]):
            draw.sku, draw.customer, draw.address = draws[row, 0], draws[row, 1], draws[row, 2]
            drawn.push_back(draw)
        self.traffic = new N.Traffic(names, pattern, drawn, authority)
        self.epoll = N.epoll_create1(N.EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError("the system gives no epoll instance")
        for index, socket in enumerate(sockets):
            self.connections.push_back(new N.Connection(socket, self.traffic))
            watch(self.epoll, self.connections[index], index, EPOLL_CTL_ADD)

    def __dealloc__(self):
        for index in range(self.connections.size()):
            del self.connections[index]
        del self.traffic
        if self.epoll >= 0:
            close(self.epoll)

    def greet(self, *, double seconds):
        # Sends the prefaces; True once every server has told its settings.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint are_ready = False
        self.schedule.end_ns = 0  # nothing is due yet
        with nogil:
            while not are_ready and N.now_ns() < until:
                for index in range(self.connections.size()):
                    send(self.epoll, self.connections[index], index)
                take_events(self.epoll, self.connections, &self.schedule, until - N.now_ns())
                are_ready = True
                for index in range(self.connections.size()):
                    if not self.connections[index].is_ready():
                        are_ready = False
                    if self.connections[index].has_ended():
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
        self.traffic.history.reset(new N.HistoryWriter(file))
        self.traffic.history.get().begin(told, N.now_ns())

    def end_record(self):
        # The last entry; returns once all is written. OSError: it could not be.
        cdef int error
        if self.traffic.history.get() == NULL:
            return
        with nogil:
            self.traffic.history.get().finish(N.now_ns())
        error = self.traffic.history.get().error()
        self.traffic.history.reset()
        if error:
            raise OSError(error, os.strerror(error), self.history_path)

    def begin(self, *, int64_t calls, double seconds, double rate):
        # From now on calls are due: `calls` at most, for `seconds`, `rate` a second (0: a closed
        # loop, each after the one before).
        cdef int64_t now = N.now_ns()
        self.schedule.calls_max = calls
        self.schedule.begin_ns = now
        self.schedule.end_ns = now + <int64_t>(seconds * 1e9)
        self.schedule.gap_ns = 1e9 / rate if rate > 0 else 0
        self.schedule.deadline_ns = self.traffic.pattern.deadline_ns
        self.schedule.patience_ns = self.patience_ns
        self.schedule.begun = 0
        if rate > 0:
            N.prctl(N.PR_SET_TIMERSLACK, 1)  # or waits of a few microseconds take fifty more
            return
        with nogil:
            for index in range(self.connections.size()):
                follow_up(self.connections[index], &self.schedule, now)
                send(self.epoll, self.connections[index], index)

    def step(self, *, double seconds):
        # Runs for so long; True when all was asked and answered.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint is_over
        with nogil:
            is_over = run_until(
                self.epoll, self.connections, &self.schedule, self.traffic, until)
            if self.traffic.history.get() != NULL:
                self.traffic.history.get().hand_over()
        self._raise_if_unwritten()
        self._raise_if_ended()
        return is_over

    def stop(self):
        # Nothing more is due.
        self.schedule.end_ns = 0

    def close_streams(self, *, double seconds):
        # Ends the streams of batches; True once the server has ended each, with status OK.
        cdef int64_t until = N.now_ns() + <int64_t>(seconds * 1e9)
        cdef bint are_closed = False
        with nogil:
            while not are_closed and N.now_ns() < until:
                are_closed = True
                for index in range(self.connections.size()):
                    self.connections[index].close_stream()
                    send(self.epoll, self.connections[index], index)
                    if not self.connections[index].is_closed():
                        are_closed = False
                    if self.connections[index].has_ended():
                        until = 0
                if not are_closed:
                    take_events(self.epoll, self.connections, &self.schedule, until - N.now_ns())
        self._raise_if_ended()
        return are_closed

    def tally(self):
        # Counts so far, by name; those of outcomes and statuses are lists by number.
        cdef N.Tally* tally = &self.traffic.tally
        return {
            "asked": tally.asked,
            "answered": tally.answered,
            "good": tally.good,
            "late": tally.late,
            "expired": tally.expired,
            "commands": tally.commands,
            "repeated": tally.repeated,
            "malformed": tally.malformed,
            "unknown": tally.unknown,
            "bytes_sent": tally.bytes_sent,
            "bytes_received": tally.bytes_received,
            "taken_ns": max(tally.last_answer_ns - self.schedule.begin_ns, 0),
            "open": open_calls(self.connections),
            "statuses": tally.statuses,
            "command_errors": tally.command_errors,
            "reserves": tally.reserves,
            "changes": tally.changes,
            "first_error": tally.first_error.decode("utf-8", "replace"),
        }

    def latencies(self):
        # (counts by bucket, the longest in nanoseconds) of calls answered OK.
        return self.traffic.tally.latencies.counts(), self.traffic.tally.latencies.most()

    cdef _raise_if_unwritten(self):
        cdef int error = 0
        if self.traffic.history.get() != NULL:
            error = self.traffic.history.get().error()
        if error:
            raise OSError(error, os.strerror(error), self.history_path)

    cdef _raise_if_ended(self):
        for index in range(self.connections.size()):
            if self.connections[index].has_ended():
                raise ConnectionError(self.connections[index].reason().decode("utf-8", "replace"))
            if self.connections[index].is_leaving() and self.connections[index].open() == 0:
                raise ConnectionError("the server is stopping: it takes no more calls")
