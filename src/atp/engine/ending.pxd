# Giving units back: to stock, and to the caps that counted them; and ending a hold. Owns what
# release, expiry and replacement have in common. Needs no memory, so it cannot fail. Every shard
# concerned is locked.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.vector cimport vector

from atp.engine.caps cimport (
    find_counter, rule_count, rule_number, rules_by_sku, set_subject, subjects_mask,
)
from atp.engine.counters cimport lower_counter
from atp.engine.cut cimport keep_record
from atp.engine.events cimport EXPIRED, EventFacts, clear_facts, record_change
from atp.engine.expiry cimport unlink_line
from atp.engine.layout cimport (
    Engine, Line, PLACE_BITS, Record, Rule, Sku, address_of, address_size, customer_of, held_of,
    home, lines_of, name_of, shard_of, sku_at,
)
from atp.engine.locks cimport mask_of_hash
from atp.engine.native cimport hash64
from atp.engine.places cimport give_live_place
from atp.engine.records cimport Caller, mark_ended
from atp.engine.scratch cimport Tally
from atp.engine.stock cimport give_back_units
from atp.engine.words cimport STATE_EXPIRED, SUBJECT_RESERVATION


cdef inline Caller caller_of(Record* record) noexcept nogil:
    cdef Caller caller
    caller.address = address_of(record)
    caller.address_size = address_size(record)
    caller.customer = customer_of(record)
    caller.customer_size = record.customer_size
    caller.address_hash = hash64(caller.address, caller.address_size)
    caller.customer_hash = hash64(caller.customer, caller.customer_size)
    return caller


cdef inline uint64_t lines_mask(Record* record) noexcept nogil:
    # The shards of a reservation's SKUs.
    cdef Line* lines = lines_of(record)
    cdef uint64_t mask = 0
    cdef uint32_t i
    for i in range(record.line_count):
        mask |= <uint64_t>1 << (lines[i].sku >> PLACE_BITS)
    return mask


cdef inline uint64_t whole_mask(Engine* engine, Record* record) noexcept nogil:
    # All shards that giving back a hold concerns. Needs no lock but one that keeps the record
    # there: what it reads never changes.
    cdef Caller caller = caller_of(record)
    return (mask_of_hash(record.key.low) | lines_mask(record)
            | subjects_mask(engine, &caller))


cdef inline bint counts(const Rule* rule, const Record* record) noexcept nogil:
    # Has the cap counted this hold when it was granted?
    return (rule.subject != SUBJECT_RESERVATION
            and rule.since_generation <= record.caps_generation)


cdef inline void uncount_line(
    Engine* engine, Record* record, const Caller* caller, Line* line, int64_t units, int64_t now,
    int64_t sequence
) noexcept nogil:
    # Caps that counted these units count them no more.
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef const vector[uint32_t]* by_sku
    cdef const Rule* rule
    cdef Tally tally
    cdef uint32_t i
    if engine.caps.rules.size() == 0:
        return
    by_sku = rules_by_sku(engine, name_of(sku), sku.name_size)
    for i in range(rule_count(engine, by_sku)):
        rule = &engine.caps.rules[rule_number(engine, by_sku, i)]
        if counts(rule, record) and set_subject(&tally, rule, caller):
            find_counter(engine, &tally, rule, line.sku, now)
            if tally.counter != NULL:
                lower_counter(engine, &tally, rule, record.create_time, units, sequence)


cdef inline void give_back_line(
    Engine* engine, Record* record, const Caller* caller, Line* line, int64_t units, int64_t now,
    int64_t sequence
) noexcept nogil:
    give_back_units(shard_of(engine, line.sku), sku_at(engine, line.sku), units, sequence)
    uncount_line(engine, record, caller, line, units, now, sequence)


cdef inline void give_back_all(
    Engine* engine, Record* record, int kind, int64_t end_time, int64_t now, int64_t sequence
) noexcept nogil:
    # Ends a hold by giving back all that it still holds. Lines that hold nothing are linked no
    # more.
    cdef Caller caller = caller_of(record)
    cdef Line* lines = lines_of(record)
    cdef int64_t units
    cdef uint32_t i
    keep_record(engine.shard(home(record.key.low)), record)
    for i in range(record.line_count):
        units = held_of(&lines[i])
        if units == 0:
            continue
        unlink_line(engine, &lines[i])
        give_back_line(engine, record, &caller, &lines[i], units, now, sequence)
        if kind != STATE_EXPIRED:
            lines[i].released += <int>units
    record.last_sequence = sequence
    give_live_place(engine, engine.shard(home(record.key.low)))
    mark_ended(engine, record, kind, end_time)


cdef inline void expire_hold(Engine* engine, Record* record, int64_t now) noexcept nogil:
    cdef EventFacts facts
    cdef int64_t sequence
    clear_facts(&facts, now)
    facts.key = &record.key
    sequence = record_change(engine, EXPIRED, &facts)
    engine.shard(home(record.key.low)).expired_holds += 1
    give_back_all(engine, record, STATE_EXPIRED, record.expire_time, now, sequence)
