# The front's face in Python: opens the ports, lends a Python thread to each loop, and reads its
# counts. Included by _front.pyx; _front.pyi documents every method.

FrontOptions = namedtuple(
    "FrontOptions",
    "calls_max connections_max streams_max message_bytes_max metadata_bytes_max buffer_bytes_max"
    " idle_ns request_ns keepalive_ns wait_ns default_ttl_ns durable")

FrontStatistics = namedtuple(
    "FrontStatistics",
    "connections accepted open_calls parked held_bytes received_bytes sent_bytes answered outcomes"
    " refused journal_refused ended latencies")

TimeCounts = namedtuple("TimeCounts", "counts sum_ns")
TIME_BOUNDS_NS = tuple([TIME_BOUNDS[i] for i in range(TIME_PLACES - 1)])

_CALL_METHODS = (
    "Reserve", "Commit", "Release", "Extend", "GetReservation", "GetAvailability", "Execute",
    "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "unknown")
_REFUSED = ("connections_max", "calls_max", "buffer_bytes_max", "wait_max")
_JOURNAL_REASONS = ("JOURNAL_FULL", "JOURNAL_BEHIND")


cdef object _listeners(str host, int port, int count):
    # One for each loop, on one port, which nobody else has: the system spreads connections over
    # them.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = []
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without SO_REUSEPORT, which would let a second server share the first one's calls.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
        for _ in range(count):
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind((host, port))
            port = one.getsockname()[1]
    except BaseException:
        for one in opened:
            one.close()
        raise
    return opened


@cython.final
@cython.no_gc_clear  # engine and writer must be there until the loops are gone
cdef class Front:
    """Serves the data plane; `_front.pyi` documents every method."""

    cdef Shared* shared
    cdef Engine engine
    cdef Writer writer
    cdef Forerun* ahead
    cdef readonly tuple address

    def __cinit__(
        self, Engine engine not None, Writer writer, *, str host not None, int port, int threads,
        options not None,
    ):
        if threads < 1:
            raise ValueError(f"threads is 1 or more, not {threads}")
        if options.durable and writer is None:
            raise ValueError("answers can't wait for a writer that is not there")
        self.engine = engine
        self.writer = writer
        self.shared = new Shared()
        self.shared.engine = engine.engine
        self.ahead = new Forerun(engine.engine[0])
        if writer is not None:
            self.shared.writer = writer.writer
        self.take(options)
        listeners = _listeners(host, port, threads)
        try:
            self.address = listeners[0].getsockname()[:2]
            for index, listener in enumerate(listeners):
                self.open(index, listener.detach())
        finally:
            for listener in listeners:
                listener.close()

    cdef take(self, options):
        cdef Shared* shared = self.shared
        shared.options.calls_max = options.calls_max
        shared.options.connections_max = options.connections_max
        shared.options.streams_max = options.streams_max
        shared.options.message_bytes_max = options.message_bytes_max
        shared.options.metadata_bytes_max = options.metadata_bytes_max
        shared.options.buffer_bytes_max = options.buffer_bytes_max
        shared.options.idle = options.idle_ns
        shared.options.request = options.request_ns
        shared.options.keepalive = options.keepalive_ns
        shared.options.wait = options.wait_ns
        shared.options.default_ttl = options.default_ttl_ns
        shared.options.waits = options.durable

    cdef open(self, int index, int listener):
        cdef Loop* loop = self.shared.loops.emplace_back(new Loop(self.shared, index)).get()
        cdef int problem
        loop.bell.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        if self.shared.options.waits:
            self.shared.writer.listen(&loop.bell)
        problem = open_loop(loop, listener)
        if problem:
            raise OSError(-problem, os.strerror(-problem))

    def __dealloc__(self):
        cdef size_t i
        del self.ahead
        if self.shared == NULL:
            return
        self.shared.is_stopping.store(True)
        for i in range(self.shared.loops.size()):
            if not self.shared.loops[i].get().is_started:
                self.tell(i)
                run_loop(self.shared.loops[i].get())
            close_loop(self.shared.loops[i].get())
            if self.shared.options.waits:
                self.shared.writer.quiet(&self.shared.loops[i].get().bell)
        del self.shared

    cdef void tell(self, size_t index) noexcept:
        uv_async_send(&self.shared.loops[index].get().told)

    cdef tell_all(self):
        if not self.shared.is_stopping.load():
            self.send_all()

    cdef send_all(self):
        cdef size_t i
        for i in range(self.shared.loops.size()):
            self.tell(i)

    def run(self, int index):
        cdef Loop* loop = NULL
        if 0 <= index < <int>self.shared.loops.size():
            loop = self.shared.loops[index].get()
        if loop == NULL or loop.is_started:
            raise ValueError(f"there is no loop {index} that could be run")
        loop.is_started = True
        with nogil:
            serve_promptly()
            run_loop(loop)

    def stand_in(self, int index):
        if not 0 <= index < <int>self.shared.loops.size():
            raise ValueError(f"there is no loop {index} to stand in for")
        cdef Loop* loop = self.shared.loops[index].get()
        with nogil:
            serve_promptly()
            stand_in(loop)

    def forerun(self):
        with nogil:
            self.ahead.run()

    def publish_clock(self, int64_t wall_ns, int64_t steady_ns, int64_t ppm):
        self.shared.clock.publish(wall_ns, steady_ns, ppm)

    def now_ns(self):
        return self.shared.clock.now()

    def set_default_ttl(self, int64_t ns):
        cdef size_t i
        for i in range(self.shared.loops.size()):
            store(&self.shared.loops[i].get().judge.default_ttl, ns)

    def set_tls(self, bytes cert not None, bytes key not None, bytes client_ca not None):
        self.shared.tls.set(make_context(cert, key, client_ca))

    def tls_refusals(self):
        return self.shared.tls_refusals.count(), words_of(self.shared.tls_refusals.latest())

    def retire(self):
        self.shared.is_retired.store(True)
        self.tell_all()

    def drain(self):
        self.shared.is_draining.store(True)
        self.tell_all()

    def stop(self):
        # Once: a loop that has ended can't be told anything.
        if not self.shared.is_stopping.load():
            self.shared.is_stopping.store(True)
            self.ahead.finish()
            self.send_all()

    @property
    def open_calls(self):
        return open_calls(self.shared[0])

    def statistics(self):
        cdef size_t i, method, code
        cdef Loop* loop
        answered, outcomes = {}, {}
        refused, ended = dict.fromkeys(_REFUSED, 0), {}
        journal_refused = dict.fromkeys(_JOURNAL_REASONS, 0)
        accepted = parked = received = sent = 0
        for i in range(self.shared.loops.size()):
            loop = self.shared.loops[i].get()
            accepted += loop.counts.accepted.get()
            parked += loop.counts.parked.get()
            received += loop.counts.received_bytes.get()
            sent += loop.counts.sent_bytes.get()
            _add_answered(loop, answered)
            _add_outcomes(loop, outcomes)
            for code in range(REFUSED_REASONS):
                refused[_REFUSED[code]] += loop.counts.refused[code].get()
            for code in range(JOURNAL_REASONS):
                journal_refused[_JOURNAL_REASONS[code]] += loop.judge.refused_by(code)
            for code in range(FINE + 1, GUARD_COUNT):
                name = guard_name(<Guard>code).decode()
                ended[name] = ended.get(name, 0) + loop.counts.ended[code].get()
        return FrontStatistics(
            connections(self.shared[0]), accepted, open_calls(self.shared[0]), parked,
            held_bytes(self.shared[0]), received, sent, answered, outcomes, refused,
            journal_refused, ended, _latencies(self.shared))


cdef _add_answered(Loop* loop, dict answered):
    # By method and gRPC's code; what never was is left out.
    cdef size_t method, code
    cdef int64_t count
    for method in range(CALL_METHODS):
        for code in range(CODES):
            count = loop.counts.answered[method][code].get()
            if count:
                key = (_CALL_METHODS[method], code)
                answered[key] = answered.get(key, 0) + count


cdef _add_outcomes(Loop* loop, dict outcomes):
    # By method and outcome, a number of vocabulary's; what never was is left out.
    cdef int method, outcome
    cdef int64_t count
    for method in range(COUNTED_METHODS):
        for outcome in range(COUNTED_OUTCOMES):
            count = loop.judge.counted(method, outcome)
            if count:
                key = (_CALL_METHODS[method], outcome)
                outcomes[key] = outcomes.get(key, 0) + count


cdef dict _latencies(Shared* shared):
    # By method, over all loops.
    cdef size_t i, method, place
    latencies = {}
    for method in range(TIMED_METHODS):
        counts, total = [0] * TIME_PLACES, 0
        for i in range(shared.loops.size()):
            total += shared.loops[i].get().latencies.of(method).sum()
            for place in range(TIME_PLACES):
                counts[place] += shared.loops[i].get().latencies.of(method).count(place)
        latencies[_CALL_METHODS[method]] = TimeCounts(tuple(counts), total)
    return latencies
