# The committer's face in Python: opens the last segment of a folder and makes durable what an
# engine leaves in its tail. Included by _native.pyx; _native.pyi documents every method.

cdef enum:
    _NICE_AHEAD = 5  # of whoever makes room before it is needed

cdef dict _DURABILITIES = {"sync": SYNC, "interval": INTERVAL, "off": OFF}

WriterStatistics = namedtuple(
    "WriterStatistics",
    "durable written waiting_records waiting_bytes syncs sync_p50_ns sync_p99_ns sync_most_ns"
    " written_bytes segment_bytes space_level is_behind sync_counts sync_sum_ns lag_ns")


def checksum(data):
    """XXH3-64 of bytes: the checksum of every record, header and mark."""
    cdef const unsigned char[::1] view = data
    return hash64(&view[0], len(view)) if len(view) else hash64(NULL, 0)


cdef object _fault_of(NativeWriter* writer):
    cdef str doing = writer.fault().doing.decode()
    cdef str path = os.fsdecode(<bytes>writer.fault().path)
    cdef int number = writer.fault().number
    if number == 0:
        return ValueError(f"{path} {doing}")
    return OSError(number, f"could not {doing}: {os.strerror(number)}", path)


@cython.final
@cython.no_gc_clear  # the engine must be there until the writer is gone
cdef class Writer:
    def __cinit__(
        self, Engine engine not None, directory, bytes store_id not None, *,
        int64_t next_sequence, int64_t now_ns, int64_t segment_bytes, str durability not None,
        int64_t sync_interval_ns, int64_t backlog_bytes_max, int64_t room_kept_bytes=0,
        bint inline_commits=True,
    ):
        cdef WriterOptions options
        cdef const uint8_t* identity = store_id
        cdef int64_t last = 0
        if len(store_id) != 16:
            raise ValueError(f"a store id has 16 bytes, not {len(store_id)}")
        if durability not in _DURABILITIES:
            raise ValueError(f"durability is sync, interval or off, not {durability}")
        if min(next_sequence, sync_interval_ns, backlog_bytes_max) < 1 or segment_bytes < 128:
            raise ValueError("next_sequence, sync_interval_ns and backlog_bytes_max are 1 or more,"
                             " segment_bytes 128 or more")
        if not engine.engine.settings.record_events or engine.engine.tail.has_writer:
            raise ValueError("the engine records no events, or has another writer")
        folder = os.path.join(os.fspath(directory), "journal")
        for name in os.listdir(folder):
            if name.endswith(".part"):
                os.unlink(os.path.join(folder, name))
            elif name.endswith(".segment"):
                last = max(last, int(name.removesuffix(".segment")))
        options.segment_bytes = segment_bytes
        options.durability = <Durability>(<int>_DURABILITIES[durability])
        options.sync_interval = sync_interval_ns
        options.backlog_bytes_most = backlog_bytes_max
        options.room_kept_bytes = room_kept_bytes
        options.inline_commits = inline_commits
        options.now = now_ns
        self.engine = engine
        self.writer = new NativeWriter(engine.engine[0], os.fsencode(folder), identity, options)
        if not self.writer.open(last, next_sequence):
            raise _fault_of(self.writer)

    def __dealloc__(self):
        del self.writer

    def run(self):
        cdef bint done
        with nogil:
            serve_promptly()
            done = self.writer.run()
        if not done:
            raise _fault_of(self.writer)

    def run_ahead(self):
        with nogil:
            give_way(_NICE_AHEAD)
            self.writer.run_ahead()

    def tend(self):
        with nogil:
            self.writer.tend()

    def stop(self):
        with nogil:
            self.writer.stop()

    def wait(self, int64_t sequence, int64_t timeout_ns, *, bint may_commit=True):
        cdef bint done
        cdef int64_t longest = min(timeout_ns, LONGEST)
        with nogil:
            done = self.writer.wait(sequence, longest, may_commit)
        return done

    def kick(self, int64_t sequence):
        with nogil:
            self.writer.kick(sequence)

    @property
    def durable(self):
        return self.writer.durable()

    @property
    def written(self):
        return self.writer.written()

    @property
    def notify_fd(self):
        return self.writer.bell()

    def statistics(self):
        cdef WriterFigures told
        cdef size_t i
        with nogil:
            told = self.writer.figures()
        sequence = load(&self.engine.engine.shared.sequence)
        return WriterStatistics(
            told.durable, told.written, sequence - told.durable, max(0, told.waiting_bytes),
            told.syncs.count, told.syncs.p50, told.syncs.p99, told.syncs.most, told.written_bytes,
            told.segment_bytes, told.space, told.behind,
            tuple([told.syncs.counts[i] for i in range(TIME_PLACES)]), told.syncs.sum, told.lag)
