# Records to changes of an engine, without the GIL: they are read ahead by a thread (read_ahead.h)
# and applied by this one in the order of sequences, and what the next ones will look up is fetched
# into the cache meanwhile. Caps are rare, and handed to Python. Judges nothing, not even why
# records end. Included by _native.pyx.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from atp.engine.apply cimport apply_event
from atp.engine.apply_ahead cimport (
    fetch_blocks, fetch_buckets, fetch_what_blocks_name,
)
from atp.engine.applying cimport Applying, close_applying, open_applying
from atp.engine.event_reader cimport (
    LINES_READ_AHEAD, EventRead, fetch_all, read_event,
)
from atp.engine.events cimport (
    CAP_REMOVED, CAP_SET, EventFacts, EventLine, RecordHead,
)
from atp.engine.limits cimport BASKET_LINES_MAX, NEVER
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport load
from atp.journal.read_ahead cimport THREAD_FROM, ReadAhead, RecordRead, RecordSource
from atp.journal.record cimport EVENT_BYTES_MOST, seal_record

from typing import NamedTuple

from atp.journal.cap_message import cap_of
from atp.journal.errors import EventRefused
from atp.vocabulary import LimitReached

cdef enum:
    RECORDS_AHEAD = 64  # a power of two
    BUCKETS_AHEAD = 40
    BLOCKS_AHEAD = 24
    LAST_AHEAD = 12

    REPLAY_ENDED = 0  # no whole and sound record of the next sequence stands there
    REPLAY_CAP = 1  # the next change is one of a cap
    REPLAY_REFUSED = 2  # the next change can't be applied

cdef uint64_t EVERY_SHARD = <uint64_t>0xFFFFFFFFFFFFFFFF


class ReplayResult(NamedTuple):
    offset: int
    sequence: int
    records: int

cdef struct Replaying:
    L.Engine* engine
    ReadAhead* reader
    int64_t drawn  # records that were drawn from the reader
    int64_t passed  # of these, how many were applied or passed over
    size_t at  # where the next record to be applied begins
    int64_t sequence  # and its sequence
    int64_t applied
    const char* problem
    EventLine* lines  # room for a largest basket
    RecordRead* window[RECORDS_AHEAD]


cdef inline RecordRead* record_ahead(Replaying* replaying, int64_t ahead) noexcept nogil:
    # So many after the next one to be applied, which is there.
    return replaying.window[(replaying.passed + ahead) % RECORDS_AHEAD]


cdef inline bint draw(Replaying* replaying) noexcept nogil:
    # One more record from the reader, which another core has in its cache. False where there is no
    # further one, or none yet; waits only if there is nothing to apply.
    cdef RecordRead* one = replaying.reader.next(replaying.drawn == replaying.passed)
    if one == NULL:
        return False
    fetch_all(one, sizeof(RecordRead))
    replaying.window[replaying.drawn % RECORDS_AHEAD] = one
    replaying.drawn += 1
    return True


cdef inline void fetch_ahead(Replaying* replaying) noexcept nogil:
    # For records further ahead less, because they can't know yet where more is.
    cdef int64_t there = replaying.drawn - replaying.passed
    cdef RecordRead* one
    if there > BUCKETS_AHEAD:
        one = record_ahead(replaying, BUCKETS_AHEAD)
        fetch_all(one.record, min(one.size, <size_t>192))
        if one.problem == NULL:
            fetch_buckets(replaying.engine, &one.event)
    if there > BLOCKS_AHEAD:
        one = record_ahead(replaying, BLOCKS_AHEAD)
        if one.problem == NULL:
            fetch_blocks(replaying.engine, &one.event)
    if there > LAST_AHEAD:
        one = record_ahead(replaying, LAST_AHEAD)
        if one.problem == NULL:
            fetch_what_blocks_name(replaying.engine, &one.event)


cdef inline void pass_record(Replaying* replaying, const RecordRead* one) noexcept nogil:
    replaying.at += sizeof(RecordHead) + one.size
    replaying.sequence += 1
    replaying.passed += 1
    replaying.reader.give_back()


cdef inline int apply_record(
    Replaying* replaying, Applying* applying, RecordRead* one
) noexcept nogil:
    # Returns REPLAY_ENDED when it was applied, or why it was not. What the engine has already is
    # passed over.
    cdef EventRead* event = &one.event
    if replaying.sequence > load(&replaying.engine.shared.sequence):
        replaying.problem = one.problem
        if replaying.problem == NULL:
            if event.kind == CAP_SET or event.kind == CAP_REMOVED:
                return REPLAY_CAP
            if event.line_count > LINES_READ_AHEAD:
                read_event(one.record + sizeof(RecordHead), one.size, event, replaying.lines,
                           BASKET_LINES_MAX)
            replaying.problem = apply_event(applying, event, replaying.sequence)
        if replaying.problem != NULL:
            return REPLAY_REFUSED
        replaying.applied += 1
    pass_record(replaying, one)
    return REPLAY_ENDED


cdef int replay_some(Replaying* replaying, Applying* applying) noexcept nogil:
    # Applies until something must be told.
    cdef int told = REPLAY_ENDED
    while told == REPLAY_ENDED:
        while replaying.drawn < replaying.passed + RECORDS_AHEAD:
            if not draw(replaying):
                break
        if replaying.drawn == replaying.passed:
            break
        fetch_ahead(replaying)
        told = apply_record(replaying, applying, record_ahead(replaying, 0))
    return told


cdef object apply_cap_change(Engine engine, RecordRead* one, int64_t sequence, size_t offset):
    # Raises EventRefused.
    cdef const EventFacts* facts = &one.event.facts
    cdef bytes message = facts.message[:facts.message_size] if facts.message_size else b""
    try:
        if one.event.kind == CAP_SET:
            cap = cap_of(message)
            engine.apply_cap(cap.cap_id, cap, sequence=sequence, time_ns=facts.time,
                             counts_reset=facts.counts_reset)
        else:
            engine.apply_cap(message.decode(), None, sequence=sequence, time_ns=facts.time)
    except (ValueError, LookupError, LimitReached) as error:
        raise EventRefused(
            sequence, f"is a cap that can't be applied: {error}", offset) from error


cdef object replay_all(Engine engine, Replaying* replaying, Applying* applying):
    cdef L.Engine* native = engine.engine
    cdef RecordRead* one
    cdef int told
    while True:
        with nogil:
            lock(native, EVERY_SHARD)
            told = replay_some(replaying, applying)
            unlock(native, EVERY_SHARD)
        if told != REPLAY_CAP:
            break
        one = record_ahead(replaying, 0)
        apply_cap_change(engine, one, replaying.sequence, replaying.at)
        pass_record(replaying, one)
        replaying.applied += 1
    if told == REPLAY_REFUSED:
        raise EventRefused(
            replaying.sequence, (<bytes>replaying.problem).decode(), replaying.at)
    if replaying.reader.error():
        raise OSError(replaying.reader.error(), os.strerror(replaying.reader.error()))
    return ReplayResult(replaying.at, replaying.sequence - 1, replaying.applied)


cdef object replay_from(Engine engine, const RecordSource* source, bint with_thread):
    cdef Replaying* replaying = NULL
    cdef Applying* applying = NULL
    cdef ReadAhead* reader = new ReadAhead(source[0])
    try:
        replaying = <Replaying*>calloc(1, sizeof(Replaying))
        applying = <Applying*>calloc(1, sizeof(Applying))
        if replaying == NULL or applying == NULL:
            raise MemoryError("no memory to replay changes")
        replaying.lines = <EventLine*>malloc(BASKET_LINES_MAX * sizeof(EventLine))
        if replaying.lines == NULL:
            raise MemoryError("no memory to replay changes")
        replaying.engine = engine.engine
        replaying.reader = reader
        replaying.at = source.at
        replaying.sequence = source.sequence
        if with_thread:
            reader.start()
        open_applying(applying, engine.engine)
        try:
            return replay_all(engine, replaying, applying)
        finally:
            close_applying(applying)
    finally:
        with nogil:
            del reader  # stops its thread
        if replaying != NULL:
            free(replaying.lines)
        free(replaying)
        free(applying)


def replay(Engine engine not None, data, *, Py_ssize_t offset, int64_t first_sequence, until=None):
    cdef const uint8_t[::1] view = data
    cdef RecordSource source
    if not 0 <= offset <= len(view):
        raise ValueError(f"offset is {offset}; the data has {len(view)} bytes")
    if len(view) == 0:
        return ReplayResult(0, first_sequence - 1, 0)
    source.data = <const char*>&view[0]
    source.size = len(view)
    source.file = -1
    source.at = offset
    source.sequence = first_sequence
    source.until = NEVER - 1 if until is None else until
    return replay_from(engine, &source, source.size - source.at >= THREAD_FROM)


def replay_file(Engine engine not None, path, *, Py_ssize_t offset, int64_t first_sequence):
    cdef RecordSource source
    cdef int file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        source.data = NULL
        source.size = 0
        source.file = file
        source.at = offset
        source.sequence = first_sequence
        source.until = NEVER - 1
        return replay_from(engine, &source, os.fstat(file).st_size >= offset + THREAD_FROM)
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(file)


def record_of(int64_t sequence, bytes event not None, uint32_t behind=1):
    cdef RecordHead head
    cdef bytearray record = bytearray(sizeof(RecordHead)) + event
    cdef char* into = record
    if not 1 <= len(event) <= <Py_ssize_t>EVENT_BYTES_MOST:
        raise ValueError(f"an event has 1 to {EVENT_BYTES_MOST} bytes, not {len(event)}")
    head.checksum = 0
    head.sequence = sequence
    head.size = <uint32_t>len(event)
    head.behind = 0
    memcpy(into, &head, sizeof(head))
    seal_record(into, behind)
    return bytes(record)
