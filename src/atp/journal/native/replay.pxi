# Records to changes of an engine, without the GIL: each is checked, read and applied in the order
# of sequences, and what the next ones will look up is fetched into the cache meanwhile. Caps are
# rare, and handed to Python. Judges nothing, not even why records end. Included by _native.pyx.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from atp.engine.apply cimport apply_event
from atp.engine.apply_ahead cimport (
    fetch_blocks, fetch_buckets, fetch_what_blocks_name,
)
from atp.engine.applying cimport Applying, close_applying, open_applying
from atp.engine.event_reader cimport LINES_READ_AHEAD, EventRead, read_event
from atp.engine.events cimport (
    CAP_REMOVED, CAP_SET, EventFacts, EventLine, RecordHead,
)
from atp.engine.limits cimport BASKET_LINES_MAX, NEVER
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport load
from atp.journal.record cimport EVENT_BYTES_MOST, seal_record, sound_record

from typing import NamedTuple

from atp.journal.cap_message import cap_of
from atp.journal.errors import EventRefused
from atp.vocabulary import LimitReached

cdef enum:
    RECORDS_AHEAD = 32
    BLOCKS_AHEAD = 20
    LAST_AHEAD = 10

    REPLAY_ENDED = 0  # no whole and sound record of the next sequence stands there
    REPLAY_CAP = 1  # the next change is one of a cap
    REPLAY_REFUSED = 2  # the next change can't be applied

cdef uint64_t EVERY_SHARD = <uint64_t>0xFFFFFFFFFFFFFFFF


class ReplayResult(NamedTuple):
    offset: int
    sequence: int
    records: int

# A record read ahead. Its lines, if they are many, are read when it is applied.
cdef struct Ahead:
    EventRead event
    const char* record
    size_t size  # of the event
    const char* problem

cdef struct Replaying:
    L.Engine* engine
    const char* data
    size_t size
    size_t read_at  # where the next record to be read ahead begins
    int64_t read_sequence  # and its sequence
    size_t at  # where the next record to be applied begins
    int64_t sequence
    int64_t until  # the last sequence to apply
    int64_t applied
    const char* problem
    EventLine* lines  # room for a largest basket
    Ahead ahead[RECORDS_AHEAD]


cdef inline bint read_ahead(Replaying* replaying, Ahead* into) noexcept nogil:
    # Reads one record; False where there is no further one.
    cdef RecordHead head
    cdef size_t size
    if replaying.read_sequence > replaying.until:
        return False
    into.record = replaying.data + replaying.read_at
    size = sound_record(into.record, replaying.size - replaying.read_at, &head)
    if size == 0 or head.sequence != replaying.read_sequence:
        return False
    into.size = head.size
    into.problem = read_event(into.record + sizeof(RecordHead), head.size, &into.event,
                              into.event.own_lines, LINES_READ_AHEAD)
    if into.problem == NULL:
        fetch_buckets(replaying.engine, &into.event)
    replaying.read_at += size
    replaying.read_sequence += 1
    return True


cdef inline void pass_record(Replaying* replaying, const Ahead* ahead) noexcept nogil:
    replaying.at += sizeof(RecordHead) + ahead.size
    replaying.sequence += 1


cdef inline int apply_record(Replaying* replaying, Applying* applying, Ahead* ahead) noexcept nogil:
    # Returns REPLAY_ENDED when it was applied, or why it was not. What the engine has already is
    # passed over.
    cdef EventRead* event = &ahead.event
    if replaying.sequence > load(&replaying.engine.shared.sequence):
        replaying.problem = ahead.problem
        if replaying.problem == NULL:
            if event.kind == CAP_SET or event.kind == CAP_REMOVED:
                return REPLAY_CAP
            if event.line_count > LINES_READ_AHEAD:
                read_event(ahead.record + sizeof(RecordHead), ahead.size, event, replaying.lines,
                           BASKET_LINES_MAX)
            replaying.problem = apply_event(applying, event, replaying.sequence)
        if replaying.problem != NULL:
            return REPLAY_REFUSED
        replaying.applied += 1
    pass_record(replaying, ahead)
    return REPLAY_ENDED


cdef int replay_some(Replaying* replaying, Applying* applying) noexcept nogil:
    # Applies until something must be told. Begins with the ring empty.
    cdef int64_t first = replaying.sequence
    cdef int64_t number
    cdef int told = REPLAY_ENDED
    cdef bint more = True
    replaying.read_at = replaying.at
    replaying.read_sequence = first
    while told == REPLAY_ENDED:
        while more and replaying.read_sequence < replaying.sequence + RECORDS_AHEAD:
            more = read_ahead(
                replaying, &replaying.ahead[(replaying.read_sequence - first) % RECORDS_AHEAD])
        number = replaying.sequence + BLOCKS_AHEAD
        if number < replaying.read_sequence:
            fetch_blocks(
                replaying.engine, &replaying.ahead[(number - first) % RECORDS_AHEAD].event)
        number = replaying.sequence + LAST_AHEAD
        if number < replaying.read_sequence:
            fetch_what_blocks_name(
                replaying.engine, &replaying.ahead[(number - first) % RECORDS_AHEAD].event)
        if replaying.sequence == replaying.read_sequence:
            break
        told = apply_record(
            replaying, applying, &replaying.ahead[(replaying.sequence - first) % RECORDS_AHEAD])
    return told


cdef object apply_cap_change(Engine engine, Ahead* ahead, int64_t sequence, size_t offset):
    # Raises EventRefused.
    cdef const EventFacts* facts = &ahead.event.facts
    cdef bytes message = facts.message[:facts.message_size] if facts.message_size else b""
    try:
        if ahead.event.kind == CAP_SET:
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
    cdef Ahead* ahead
    cdef int64_t first
    cdef int told
    while True:
        first = replaying.sequence
        with nogil:
            lock(native, EVERY_SHARD)
            told = replay_some(replaying, applying)
            unlock(native, EVERY_SHARD)
        if told != REPLAY_CAP:
            break
        ahead = &replaying.ahead[(replaying.sequence - first) % RECORDS_AHEAD]
        apply_cap_change(engine, ahead, replaying.sequence, replaying.at)
        pass_record(replaying, ahead)
        replaying.applied += 1
    if told == REPLAY_REFUSED:
        raise EventRefused(
            replaying.sequence, (<bytes>replaying.problem).decode(), replaying.at)
    return ReplayResult(replaying.at, replaying.sequence - 1, replaying.applied)


def replay(Engine engine not None, data, *, Py_ssize_t offset, int64_t first_sequence, until=None):
    cdef const uint8_t[::1] view = data
    cdef Replaying* replaying = NULL
    cdef Applying* applying = NULL
    if not 0 <= offset <= len(view):
        raise ValueError(f"offset is {offset}; the data has {len(view)} bytes")
    if len(view) == 0:
        return ReplayResult(0, first_sequence - 1, 0)
    try:
        replaying = <Replaying*>calloc(1, sizeof(Replaying))
        applying = <Applying*>calloc(1, sizeof(Applying))
        if replaying == NULL or applying == NULL:
            raise MemoryError("no memory to replay changes")
        replaying.lines = <EventLine*>malloc(BASKET_LINES_MAX * sizeof(EventLine))
        if replaying.lines == NULL:
            raise MemoryError("no memory to replay changes")
        replaying.engine = engine.engine
        replaying.data = <const char*>&view[0]
        replaying.size = len(view)
        replaying.at = offset
        replaying.sequence = first_sequence
        replaying.until = NEVER - 1 if until is None else until
        open_applying(applying, engine.engine)
        try:
            return replay_all(engine, replaying, applying)
        finally:
            close_applying(applying)
    finally:
        if replaying != NULL:
            free(replaying.lines)
        free(replaying)
        free(applying)


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
