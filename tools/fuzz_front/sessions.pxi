# Bytes to a whole connection, as if a socket had brought them, and what must be true after each
# session: what was said is HTTP/2 and gRPC, nothing is left behind when the client is gone, and the
# engine changed only if a call was granted. The listener that a loop must have is never asked.
cdef enum:
    HEARD_MOST = 1 << 16
    TEND_EVERY = 64


@cython.final
cdef class Sessions:
    """A loop of the front's with one connection at a time, fed by one round's inputs."""

    cdef Engine engine
    cdef Shared* shared
    cdef Loop* loop
    cdef Round* round
    cdef Noted noted
    cdef readonly int64_t done
    cdef readonly int64_t answered
    cdef readonly int64_t changes
    cdef char[HEARD_MOST] heard_room

    def __cinit__(self, Engine engine not None, *, int kind, uint64_t seed,
                  bytes note_path not None, int64_t now_ns, int listener):
        check_bounds()
        self.engine = engine
        self.round = new Round(<Kind>kind, seed)
        self.round.world.now = now_ns
        if not self.noted.open(note_path):
            raise OSError(f"cannot write {note_path.decode()}")
        self.shared = new Shared()
        self.shared.engine = engine.engine
        self.shared.options.calls_max = 1000
        self.shared.options.connections_max = 1000
        self.shared.options.streams_max = 64
        self.shared.options.message_bytes_max = 1 << 20
        self.shared.options.metadata_bytes_max = 16 << 10
        self.shared.options.buffer_bytes_max = 64 << 20
        self.shared.options.idle = 1 << 60
        self.shared.options.request = 1 << 60
        self.shared.options.keepalive = 1 << 60
        self.shared.options.default_ttl = 60_000_000_000
        self.shared.options.wait = 1 << 60
        self.shared.options.waits = False
        self.set_clock()
        self.loop = self.shared.loops.emplace_back(new Loop(self.shared, 0)).get()
        if open_loop(self.loop, listener):
            raise OSError("the loop can't be opened")

    def __dealloc__(self):
        if self.loop != NULL:
            stop_loop(self.loop)
            run_loop(self.loop)
        del self.shared
        del self.round

    def run(self, int64_t count):
        """Feeds `count` sessions; raises Fault."""
        cdef const char* fault
        cdef int64_t step
        while count > 0:
            step = min(count, STEP)
            self.round.world.now += <int64_t>self.round.dice.below(3_000_000_000)
            self.set_clock()
            self.engine.sweep(now_ns=self.round.world.now)
            with nogil:
                fault = self.steps(step)
            if fault != NULL:
                raise Fault(f"{fault.decode()}; input {self.done}, {self.round.input.size()} "
                            f"bytes: {(<bytes>self.round.input)[:20000].hex()}")
            count -= step

    def leak(self):
        """Bytes that each run over all that was kept leaves allocated, as leaks.h has it."""
        cdef LeakHunt hunt
        cdef size_t i
        with nogil:
            while hunt.goes_on(<int64_t>bytes_allocated()):
                for i in range(self.round.kept.size()):
                    self.round.input = self.round.kept[i].input
                    self.session()
        return hunt.each_turn()

    @property
    def now_ns(self):
        return self.round.world.now

    @property
    def kept(self):
        return self.round.kept.size()

    @property
    def ways(self):
        return count_ways()

    cdef void set_clock(self) noexcept nogil:
        # It stands still: its steady clock has not come to where it goes on from.
        self.shared.clock.publish(self.round.world.now, <int64_t>1 << 62, 0)

    cdef const char* steps(self, int64_t count) noexcept nogil:
        cdef const char* fault
        for _ in range(count):
            self.round.draw()
            self.noted.note(self.done, 0, string_view(self.round.input))
            fault = self.session()
            if fault != NULL:
                return fault
            if end_ways():
                self.round.keep()
            self.done += 1
        return NULL

    cdef int64_t granted(self) noexcept nogil:
        # At least as often as the engine has changed: a repeat is granted too.
        cdef int64_t sum = self.loop.judge.counted(0, 2)
        cdef int method
        for method in range(4):
            sum += self.loop.judge.counted(method, 1)
        return sum

    cdef const char* session(self) noexcept nogil:
        cdef int[2] pair
        cdef Heard heard
        cdef const char* fault
        cdef int64_t granted = self.granted()
        cdef int64_t changes
        cdef Connection* connection
        changes = load(&self.engine.engine.shared.sequence)
        if socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair):
            return b"there is no socket to be had"
        connection = self.arrive(pair[0])
        begin_ways()
        fault = self.feed(connection, pair[1], &heard)
        if self.loop.connections != NULL:
            on_bytes(<uv_stream_t*>&connection.tcp, UV_EOF, NULL)
        close(pair[1])
        uv_run(&self.loop.uv, UV_RUN_NOWAIT)
        end_round(self.loop)
        self.answered += heard.answered
        self.remember(heard.messages)
        if fault == NULL:
            fault = self.left_behind()
        changes = load(&self.engine.engine.shared.sequence) - changes
        self.changes += changes
        if fault == NULL and changes and self.granted() == granted:
            fault = b"the engine has changed, and no call was granted"
        return fault

    cdef void remember(self, vector[string]& messages) noexcept nogil:
        # What looks like the answer to a reserve names a reservation.
        cdef Told told
        cdef size_t i, k
        for i in range(messages.size()):
            told = told_by(0, messages[i])
            for k in range(told.reservations.size()):
                if told.reservations[k].size() == 32:
                    self.round.world.remember(told.reservations[k], self.round.dice)

    cdef Connection* arrive(self, int socket) noexcept nogil:
        cdef Loop* loop = self.loop
        cdef Connection* connection
        loop.now = <int64_t>uv_hrtime()
        connection = new Connection(loop, loop.now)
        uv_tcp_init(&loop.uv, &connection.tcp)
        connection.tcp.data = connection
        uv_tcp_open(&connection.tcp, socket)
        greet(loop, connection)
        link_connection(&loop.connections, connection)
        loop.counts.connections.add(1)
        mark_dirty(connection)
        return connection

    cdef const char* feed(self, Connection* connection, int plug, Heard* heard) noexcept nogil:
        # In pieces as a network would cut them, with rounds of the loop in between.
        cdef Loop* loop = self.loop
        cdef size_t at = 0
        cdef size_t size
        cdef uv_buf_t buffer
        while at < self.round.input.size() and loop.connections != NULL:
            size = self.round.input.size() - at
            if self.round.dice.below(3) == 0:
                size = min(size, 1 + self.round.dice.below(100))
            size = min(size, READ_MOST)
            on_room(<uv_handle_t*>&connection.tcp, READ_MOST, &buffer)
            memcpy(buffer.base, self.round.input.data() + at, size)
            on_bytes(<uv_stream_t*>&connection.tcp, size, &buffer)
            at += size
            if self.round.dice.below(3) != 0:
                self.turn(plug, heard)
        if self.round.dice.below(4) == 0:
            return heard.read()  # it hangs up in the round that brought its last bytes
        self.turn(plug, heard)
        if self.done % TEND_EVERY == 0:
            on_tick(&loop.tick)
            on_due(&loop.due)
            self.turn(plug, heard)
        return heard.read()

    cdef void turn(self, int plug, Heard* heard) noexcept nogil:
        # The end of a round, and the client takes what was said.
        cdef ssize_t size = 1
        end_round(self.loop)
        uv_run(&self.loop.uv, UV_RUN_NOWAIT)
        while size > 0:
            size = recv(plug, self.heard_room, HEARD_MOST, MSG_DONTWAIT)
            if size > 0:
                heard.add(self.heard_room, size)
                uv_run(&self.loop.uv, UV_RUN_NOWAIT)

    cdef const char* left_behind(self) noexcept nogil:
        cdef Loop* loop = self.loop
        if loop.connections != NULL or loop.counts.connections.get():
            return b"the client is gone, and its connection is still there"
        if loop.counts.open_calls.get():
            return b"the client is gone, and its calls are still counted"
        if loop.counts.held.get():
            return b"the client is gone, and its bytes are still counted"
        if loop.counts.parked.get() or not loop.ready.empty():
            return b"the client is gone, and its calls are still in line"
        return NULL
