# What applying events has in common: what stays open from one event to the next, and finding what
# an event names. Functions that change the state return what is wrong with the event, or NULL; then
# nothing has changed. Every shard is locked, or nobody else has the engine.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from atp.engine.asked cimport Case, ReserveAnswer
from atp.engine.basket cimport LineTable, find_line, open_table
from atp.engine.change cimport ChangeAnswer, ChangeCommand, Turn
from atp.engine.event_reader cimport LINES_READ_AHEAD, EventRead
from atp.engine.events cimport EventFacts
from atp.engine.layout cimport (
    Engine, PLACE_BITS, Probe, Record, Ref, Shard, home, kind_of, record_at,
)
from atp.engine.limits cimport BASKET_LINES_MAX, QUANTITY_MAX, SKU_BYTES_MAX
from atp.engine.native cimport Key, hash64
from atp.engine.records cimport forget_first
from atp.engine.reserve cimport Grant
from atp.engine.scratch cimport (
    JudgedLine, Scratch, close_scratch, open_scratch, room_for_lines,
)
from atp.engine.words cimport STATE_HELD

cdef struct Applying:
    Engine* engine
    const EventRead* event
    int64_t cap_counters_max  # as it was set
    Case case
    Grant grant
    ReserveAnswer answer
    Turn turn
    ChangeCommand command
    ChangeAnswer change_answer
    Scratch scratch


cdef inline void open_applying(Applying* applying, Engine* engine) noexcept nogil:
    applying.engine = engine
    applying.cap_counters_max = engine.settings.cap_counters_max
    open_scratch(&applying.scratch)
    applying.case.engine = engine
    applying.case.scratch = &applying.scratch
    applying.case.answer = &applying.answer
    applying.turn.engine = engine
    applying.turn.scratch = &applying.scratch
    applying.turn.command = &applying.command
    applying.turn.answer = &applying.change_answer


cdef inline void close_applying(Applying* applying) noexcept nogil:
    close_scratch(&applying.scratch)
    applying.engine.settings.cap_counters_max = applying.cap_counters_max


cdef inline const char* no_memory() noexcept nogil:
    return b"needs more memory than there is"


# What the event names.


cdef inline Ref find_any(Engine* engine, const Key* key) noexcept nogil:
    # A reservation or receipt, live, ended or over; 0 when there is none.
    cdef Shard* shard = engine.shard(home(key.low))
    cdef Probe probe
    cdef uint32_t place
    probe.data = key
    probe.size = sizeof(Key)
    probe.hash = key.low
    place = shard.records.find(probe)
    return place | (shard.number << PLACE_BITS) if place else 0


cdef inline Record* find_hold(Engine* engine, const Key* key) noexcept nogil:
    # A live hold, or NULL.
    cdef Ref ref = find_any(engine, key) if key != NULL else 0
    if not ref or kind_of(record_at(engine, ref)) != STATE_HELD:
        return NULL
    return record_at(engine, ref)


cdef inline void forget_through(Engine* engine, const Key* key) noexcept nogil:
    # An id that is used anew had been forgotten by then, and all that was older in its shard with
    # it - whatever is to be remembered by the settings of today.
    while find_any(engine, key):
        forget_first(engine, engine.shard(home(key.low)))


cdef inline const char* read_lines(Applying* applying, LineTable* table) noexcept nogil:
    # The event's lines to the scratch.
    cdef const EventFacts* facts = &applying.event.facts
    cdef Scratch* scratch = &applying.scratch
    cdef JudgedLine* line
    cdef uint64_t hash
    cdef uint32_t i
    scratch.line_count = 0
    if applying.event.line_count > BASKET_LINES_MAX:
        return b"has more lines than a basket may have"
    if not room_for_lines(scratch, applying.event.line_count):
        return no_memory()
    open_table(table, applying.event.line_count)
    for i in range(applying.event.line_count):
        if not (1 <= facts.lines[i].sku_size <= SKU_BYTES_MAX
                and 1 <= facts.lines[i].quantity <= QUANTITY_MAX):
            return b"has a line whose SKU or quantity is out of bounds"
        hash = applying.event.own_hashes[i] if i < LINES_READ_AHEAD else hash64(
            facts.lines[i].sku, facts.lines[i].sku_size)
        if find_line(scratch, table, facts.lines[i].sku, facts.lines[i].sku_size, hash, True) < i:
            return b"names a SKU twice"
        line = &scratch.lines[i]
        scratch.line_count += 1
        line.name = facts.lines[i].sku
        line.name_size = <uint8_t>facts.lines[i].sku_size
        line.hash = hash
        line.line_index = i
        line.asked = facts.lines[i].quantity
        line.granted = 0
    return NULL
