# A reserve that takes the place of a hold of the same owner: finding that hold, and judging as if
# its units were free. Changes nothing; reserve.pxd swaps the two in one step.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp
from libcpp.vector cimport vector

from atp.engine.asked cimport Case
from atp.engine.basket cimport find_line
from atp.engine.caps cimport find_counter, rule_count, rule_number, rules_by_sku, set_subject
from atp.engine.counters cimport still_counted
from atp.engine.ending cimport caller_of, counts, whole_mask
from atp.engine.layout cimport (
    Engine, Line, Record, Ref, Rule, Sku, customer_of, held_of, home, kind_of, lines_of,
    name_of, record_at, sku_at,
)
from atp.engine.locks cimport mask_of_hash, unlock
from atp.engine.native cimport Key, hash64
from atp.engine.records cimport Caller, find_record
from atp.engine.scratch cimport JudgedLine, NO_TALLY, Scratch, Tally
from atp.engine.sweep cimport enter
from atp.engine.words cimport STATE_HELD


cdef inline uint64_t replaced_mask(Case* case) noexcept nogil:
    # The shards that giving back the replaced hold concerns. What never changes of it is read
    # under its own shard's lock, before all locks are taken in order.
    cdef Engine* engine = case.engine
    cdef const Key* key = &case.command.replaces
    cdef uint64_t mask = mask_of_hash(key.low)
    cdef int64_t now = enter(engine, case.command.now, mask)
    cdef Ref ref = find_record(engine, engine.shard(home(key.low)), key, now)
    cdef uint64_t wanted = mask
    if ref and kind_of(record_at(engine, ref)) == STATE_HELD:
        wanted |= whole_mask(engine, record_at(engine, ref))
    unlock(engine, mask)
    return wanted


cdef inline bint find_replaced(Case* case) noexcept nogil:
    # Is there a live hold to replace?
    cdef const Key* key = &case.command.replaces
    case.replaced = 0
    if case.command.has_replaces:
        case.replaced = find_record(
            case.engine, case.engine.shard(home(key.low)), key, case.now)
    return case.replaced != 0 and kind_of(record_at(case.engine, case.replaced)) == STATE_HELD


cdef inline bint same_owner(Case* case, Record* record) noexcept nogil:
    cdef const Caller* caller = &case.caller
    if not caller.customer_size or caller.customer_size != record.customer_size:
        return False
    return memcmp(customer_of(record), caller.customer, caller.customer_size) == 0


cdef inline JudgedLine* find_own_line(Case* case, const Line* own) noexcept nogil:
    # The line of this basket for the SKU of the replaced hold's line, or NULL.
    cdef Sku* sku = sku_at(case.engine, own.sku)
    cdef uint32_t number = find_line(
        case.scratch, &case.table, name_of(sku), sku.name_size,
        hash64(name_of(sku), sku.name_size), False)
    return &case.scratch.lines[number] if number < case.scratch.line_count else NULL


cdef inline Tally* own_tally(
    Case* case, JudgedLine* line, uint32_t rule_number, uint32_t* claim
) noexcept nogil:
    # The tally of a rule that concerns a line of the replaced hold, or NULL. `line` is the
    # basket's line for that SKU, if any: its claims are in the order of the rules, so `claim`
    # only goes forward.
    cdef Scratch* scratch = case.scratch
    cdef Tally* tally
    cdef uint32_t number
    if not case.engine.caps.rules[rule_number].per_sku:
        number = scratch.rule_tallies[rule_number]
        return &scratch.tallies[number] if number != NO_TALLY else NULL
    if line == NULL:
        return NULL
    while claim[0] < line.claims_end:
        tally = &scratch.tallies[scratch.claims[claim[0]].tally]
        if tally.rule != rule_number and case.engine.caps.rules[tally.rule].per_sku:
            return NULL  # of a rule that is still to come
        claim[0] += 1
        if tally.rule == rule_number:
            return tally
    return NULL


cdef inline void take_line_as_free(
    Case* case, Record* record, Caller* owner, Line* own
) noexcept nogil:
    cdef Engine* engine = case.engine
    cdef Sku* sku = sku_at(engine, own.sku)
    cdef JudgedLine* line = find_own_line(case, own)
    cdef const vector[uint32_t]* by_sku = rules_by_sku(engine, name_of(sku), sku.name_size)
    cdef uint32_t claim = 0 if line == NULL else line.claims_begin
    cdef uint32_t i, number
    cdef const Rule* rule
    cdef Tally* tally
    cdef Tally theirs
    for i in range(rule_count(engine, by_sku)):
        number = rule_number(engine, by_sku, i)
        rule = &engine.caps.rules[number]
        tally = own_tally(case, line, number, &claim)
        if tally == NULL or tally.counter == NULL or not counts(rule, record):
            continue
        if set_subject(&theirs, rule, owner):
            find_counter(engine, &theirs, rule, own.sku, case.now)
            if theirs.counter == tally.counter:
                tally.in_force -= still_counted(
                    engine, tally.counter, rule, record.create_time, held_of(own))


cdef inline void take_as_free(Case* case) noexcept nogil:
    # For a replacement: what the replaced hold counts is not in force for this basket.
    cdef Record* record = record_at(case.engine, case.replaced)
    cdef Caller owner = caller_of(record)
    cdef Line* lines = lines_of(record)
    cdef uint32_t i
    for i in range(record.line_count):
        if held_of(&lines[i]):
            take_line_as_free(case, record, &owner, &lines[i])
