# Reserve: from the question to the answer. Judges (judge.pxd), takes what granting needs, and
# after the point of no return changes everything in one step and cannot fail.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from atp.engine.asked cimport Case, ReserveAnswer, ReserveCommand, fingerprint_of
from atp.engine.basket cimport add_up
from atp.engine.counters cimport drop_empty, make_counters, raise_counters
from atp.engine.ending cimport give_back_all
from atp.engine.events cimport (
    EventFacts, EventLine, RESERVED, clear_facts, promise_event, record_change,
)
from atp.engine.expiry cimport link_line, make_room_for_line
from atp.engine.gate cimport in_the_way
from atp.engine.housekeep cimport make_places
from atp.engine.judge cimport answer_repeat, judge_frame, judge_lines, lock_all
from atp.engine.layout cimport (
    Engine, Line, Record, Ref, home, lines_of, record_at, ref_of, set_kind, shard_of,
)
from atp.engine.locks cimport unlock
from atp.engine.native cimport hash128, hash64, load
from atp.engine.places cimport give_live_place, take_live_place, tell
from atp.engine.read cimport View, view_caller, view_granted
from atp.engine.records cimport drop_record, file_record, forget_old, make_record
from atp.engine.scratch cimport JudgedLine, Scratch, room_for_lines
from atp.engine.stock cimport hold_units
from atp.engine.words cimport *

cdef enum:
    INLINE_EVENT_LINES = 16
    FORGET_MOST = 4  # old records that one command forgets on the way

# What a grant has taken before its point of no return.
cdef struct Grant:
    EventFacts facts
    EventLine* event_lines
    Ref record
    uint32_t line_count
    EventLine own_event_lines[INLINE_EVENT_LINES]


cdef inline bint describe(Case* case, Grant* grant) noexcept nogil:
    # What the event will say; False when memory is short.
    cdef Scratch* scratch = case.scratch
    cdef EventFacts* facts = &grant.facts
    cdef JudgedLine* line
    cdef EventLine* event_line
    cdef uint32_t i
    grant.event_lines = grant.own_event_lines
    grant.line_count = 0
    for i in range(scratch.line_count):
        grant.line_count += scratch.lines[i].granted > 0
    if not case.engine.settings.record_events:
        return True
    if grant.line_count > INLINE_EVENT_LINES:
        grant.event_lines = <EventLine*>malloc(grant.line_count * sizeof(EventLine))
        if grant.event_lines == NULL:
            grant.event_lines = grant.own_event_lines
            return False
    event_line = grant.event_lines
    for i in range(scratch.line_count):
        line = &scratch.lines[i]
        if line.granted:
            event_line.sku = line.name
            event_line.sku_size = line.name_size
            event_line.quantity = line.granted
            event_line += 1
    clear_facts(facts, case.now)
    facts.key = &case.key
    facts.fingerprint = case.fingerprint
    facts.expire_time = case.expire_time
    facts.lines = grant.event_lines
    facts.line_count = grant.line_count
    facts.customer = case.caller.customer
    facts.customer_size = case.caller.customer_size
    facts.address = case.caller.address
    facts.address_size = case.caller.address_size
    facts.partial = case.answer.outcome == RESERVE_GRANTED_PARTIALLY
    facts.replaced = &case.command.replaces if case.command.has_replaces else NULL
    facts.request_id = case.command.request_id
    facts.request_id_size = case.command.request_id_size
    return True


cdef inline int take_memory(Case* case, Grant* grant) noexcept nogil:
    # All memory that the change needs. Returns the limit in the way; room in tables that was made
    # by then stays, everything else has been given back.
    cdef Engine* engine = case.engine
    cdef JudgedLine* line
    cdef uint32_t i
    cdef int limit
    if not describe(case, grant):
        return LIMIT_MEMORY
    for i in range(case.scratch.line_count):
        line = &case.scratch.lines[i]
        if line.granted and not make_room_for_line(
                engine, shard_of(engine, line.ref), line.sku, case.expire_time,
                grant.line_count):
            return LIMIT_MEMORY
    grant.record = make_record(engine, case.shard, &case.key, grant.line_count, &case.caller)
    if not grant.record:
        return LIMIT_MEMORY
    limit = make_counters(engine, case.scratch)
    if limit == LIMIT_NONE and not promise_event(engine):
        drop_empty(engine, case.scratch)
        limit = LIMIT_MEMORY
    if limit != LIMIT_NONE:
        drop_record(engine, case.shard, grant.record)
    return limit


cdef inline int take_place(Case* case, Grant* grant) noexcept nogil:
    # 5. Tables. Returns the limit in the way, or 0 with everything taken.
    cdef Engine* engine = case.engine
    cdef int limit = in_the_way(engine, False)
    cdef bint new = not case.command.has_replaces  # a replacement needs no further place
    if limit != LIMIT_NONE:
        return limit
    if new and not take_live_place(engine, case.shard):
        return LIMIT_LIVE_HOLDS
    limit = take_memory(case, grant)
    if limit != LIMIT_NONE:
        if new:
            give_live_place(engine, case.shard)
        if grant.event_lines != grant.own_event_lines:
            free(grant.event_lines)
    return limit


cdef inline void fill_record(Case* case, Grant* grant, int64_t sequence) noexcept nogil:
    cdef Engine* engine = case.engine
    cdef Record* record = record_at(engine, grant.record)
    cdef Line* own = lines_of(record)
    cdef JudgedLine* line
    cdef uint32_t i, number = 0
    record.fingerprint = case.fingerprint
    record.create_time = case.now
    record.expire_time = case.expire_time
    record.grant_sequence = sequence
    record.last_sequence = sequence
    record.caps_generation = <uint32_t>load(&engine.plan.generation)
    set_kind(record, STATE_HELD)
    if case.answer.outcome == RESERVE_GRANTED_PARTIALLY:
        record.flags |= 16
    for i in range(case.scratch.line_count):
        line = &case.scratch.lines[i]
        if line.granted == 0:
            continue
        own[number].sku = line.ref
        own[number].quantity = <int32_t>line.granted
        own[number].committed = 0
        own[number].released = 0
        own[number].index = <uint16_t>number
        hold_units(shard_of(engine, line.ref), line.sku, line.granted, sequence)
        link_line(engine, &own[number], ref_of(case.shard, &own[number]), case.expire_time)
        number += 1
    file_record(case.shard, grant.record, &case.key)


cdef inline void grant_hold(Case* case, Grant* grant) noexcept nogil:
    # 6. Everything was taken: cannot fail from here. New counts go up before the replaced hold's
    # go down, so that no counter that both need is dropped in between.
    cdef Engine* engine = case.engine
    cdef int64_t sequence = record_change(engine, RESERVED, &grant.facts)
    raise_counters(engine, case.scratch, case.now, sequence)
    if case.command.has_replaces:
        # Before the replaced hold gives back its place, lest another takes that.
        case.shard.live_holds += 1
        tell(engine, case.shard)
        give_back_all(engine, record_at(engine, case.replaced), STATE_RELEASED, case.now, case.now,
                      sequence)
    fill_record(case, grant, sequence)
    case.answer.sequence = sequence
    case.answer.reveals = sequence
    if grant.event_lines != grant.own_event_lines:
        free(grant.event_lines)


cdef inline void decide(Case* case, View* view) noexcept nogil:
    # With everything locked: judge, and grant if nothing stands in the way.
    cdef Grant grant
    cdef ReserveAnswer* answer = case.answer
    if answer_repeat(case, view):
        return
    answer.outcome = <uint8_t>judge_frame(case)
    if answer.outcome:
        return
    answer.outcome = <uint8_t>judge_lines(case)
    if answer.outcome > RESERVE_GRANTED_PARTIALLY:
        return
    answer.limit = <uint8_t>take_place(case, &grant)
    if answer.limit:
        answer.outcome = RESERVE_LIMIT_REACHED
        answer.with_lines = False
        return
    grant_hold(case, &grant)
    if view != NULL:
        # The caller's own words: reading what was written a moment ago as other pieces than it was
        # written in makes the processor wait until all of that is in the cache.
        view_caller(view, case.caller.address, case.caller.address_size, case.caller.customer,
                    case.caller.customer_size)
        view_granted(case.engine, record_at(case.engine, grant.record), view)


cdef inline void judge_and_grant(Case* case, View* view) noexcept nogil:
    lock_all(case)
    decide(case, view)
    forget_old(case.engine, case.shard, case.now, FORGET_MOST)
    unlock(case.engine, case.mask)


cdef inline void reserve(
    Engine* engine, const ReserveCommand* command, Scratch* scratch, ReserveAnswer* answer,
    View* view
) noexcept nogil:
    # Judges one basket and grants it or not. `view`, if given, gets the reservation. The scratch
    # is open, and what the answer says of lines and caps stays in it until it is closed.
    cdef Case case
    cdef uint64_t content
    answer.sequence = 0
    answer.reveals = 0
    answer.outcome = 0
    answer.repeated = False
    answer.limit = LIMIT_NONE
    answer.with_lines = False
    answer.refusal_count = 0
    if not room_for_lines(scratch, command.line_count):
        answer.outcome = RESERVE_LIMIT_REACHED
        answer.limit = LIMIT_MEMORY
        return
    if not add_up(scratch, &case.table, command.lines, command.line_count, &content,
                  &answer.bad_line):
        return
    case.engine = engine
    case.command = command
    case.scratch = scratch
    case.answer = answer
    case.replaced = 0
    case.caller = command.caller
    case.key = command.key
    if not command.hashed:
        case.key = hash128(command.request_id, command.request_id_size)
        case.caller.address_hash = hash64(case.caller.address, case.caller.address_size)
        case.caller.customer_hash = hash64(case.caller.customer, case.caller.customer_size)
    answer.key = case.key
    case.fingerprint = fingerprint_of(&case, content)
    case.shard = engine.shard(home(case.key.low))
    judge_and_grant(&case, view)
    if answer.limit == LIMIT_CAP_COUNTERS and make_places(engine, case.now):
        answer.limit = LIMIT_NONE
        judge_and_grant(&case, view)
