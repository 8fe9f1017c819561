# Applying a reserve that happened: the judgement left out, what it granted is granted again with
# the parts of reserve.pxd. Bounds of settings are not asked: what happened, happened.
from libc.stdint cimport int64_t, uint32_t

from atp.engine.applying cimport Applying, find_hold, forget_through, no_memory, read_lines
from atp.engine.asked cimport Case
from atp.engine.caps cimport collect, count_granted, entries_of, read_counters, window_of
from atp.engine.counters cimport make_counters, raise_counters
from atp.engine.ending cimport give_back_all
from atp.engine.events cimport EventFacts
from atp.engine.expiry cimport make_room_for_line
from atp.engine.housekeep cimport housekeep
from atp.engine.layout cimport (
    Engine, Line, Record, Rule, Window, held_of, home, lines_of, shard_of, sku_at,
)
from atp.engine.limits cimport CUSTOMER_ID_BYTES_MAX, NEVER, SHARDS
from atp.engine.places cimport tell, untold_most
from atp.engine.records cimport drop_record, forget_old, make_record
from atp.engine.reserve cimport FORGET_MOST, fill_record
from atp.engine.scratch cimport JudgedLine, Scratch, Tally
from atp.engine.stock cimport find_sku
from atp.engine.text cimport is_text
from atp.engine.words cimport (
    LIMIT_CAP_COUNTERS, LIMIT_NONE, RESERVE_GRANTED, RESERVE_GRANTED_PARTIALLY, STATE_RELEASED,
)


cdef inline const char* check_frame(const EventFacts* facts) noexcept nogil:
    if facts.key == NULL:
        return b"names no reservation"
    if (facts.customer_size > CUSTOMER_ID_BYTES_MAX
            or not is_text(facts.customer, facts.customer_size)):
        return b"has a customer who is no text or longer than allowed"
    if facts.address_size != 0 and facts.address_size != 4 and facts.address_size != 16:
        return b"has an address that has not 4 or 16 bytes"
    if not 0 < facts.expire_time < NEVER:
        return b"has an expiry that is out of bounds"
    return NULL


cdef inline void shift_held(Engine* engine, Record* record, int64_t sign) noexcept nogil:
    # For a moment: takes a hold's units from what is held, or puts them back.
    cdef Line* own = lines_of(record)
    cdef uint32_t i
    for i in range(record.line_count):
        sku_at(engine, own[i].sku).held += sign * held_of(&own[i])


cdef inline const char* check_basket(Applying* applying, Record* replaced) noexcept nogil:
    # Every SKU is there, and has what was granted.
    cdef Engine* engine = applying.engine
    cdef const char* problem = NULL
    cdef JudgedLine* line
    cdef uint32_t i
    if applying.scratch.line_count == 0:
        return b"reserves nothing"
    for i in range(applying.scratch.line_count):
        line = &applying.scratch.lines[i]
        line.ref = find_sku(engine.shard(home(line.hash)), line.name, line.name_size, line.hash)
        if not line.ref:
            return b"names a SKU that there is not"
        line.sku = sku_at(engine, line.ref)
    if replaced != NULL:
        shift_held(engine, replaced, -1)
    for i in range(applying.scratch.line_count):
        line = &applying.scratch.lines[i]
        line.granted = line.asked
        if line.sku.held + line.granted > line.sku.on_hand:
            problem = b"would break law 1: more held than on hand"
    if replaced != NULL:
        shift_held(engine, replaced, 1)
    return problem


cdef inline bint windows_go_on(Applying* applying) noexcept nogil:
    # Within one counter time never goes back; a grant before the window's last step would not be
    # found again when it is given back.
    cdef Engine* engine = applying.engine
    cdef Tally* tally
    cdef const Rule* rule
    cdef Window* window
    cdef uint32_t i
    for i in range(applying.scratch.tally_count):
        tally = &applying.scratch.tallies[i]
        rule = &engine.caps.rules[tally.rule]
        if not rule.window or tally.counter == NULL or not tally.counter.window:
            continue
        window = window_of(engine, tally.counter)
        if window.count and entries_of(window)[window.count - 1].step > (
                applying.case.now // rule.step):
            return False
    return True


cdef inline const char* count_grant(Applying* applying) noexcept nogil:
    # Makes the counters that the grant raises.
    cdef Engine* engine = applying.engine
    cdef Case* case = &applying.case
    cdef Scratch* scratch = &applying.scratch
    cdef int limit
    cdef uint32_t attempt, i
    if engine.caps.rules.size() == 0:
        scratch.tally_count = 0
        return NULL
    case.caller.address_hash = applying.event.address_hash
    case.caller.customer_hash = applying.event.customer_hash
    for attempt in range(2):
        if not collect(engine, scratch, &case.caller, False):
            return no_memory()
        read_counters(engine, scratch, case.now)
        if not windows_go_on(applying):
            return b"goes back in time within the window of a cap"
        for i in range(scratch.line_count):
            count_granted(scratch, &scratch.lines[i])
        limit = make_counters(engine, scratch)
        if limit == LIMIT_NONE:
            return NULL
        if limit != LIMIT_CAP_COUNTERS:
            return no_memory()
        # Counters that are over take places until somebody looks through them, which a sweep did
        # when this was live. If that is not enough, the bound was higher then.
        for i in range(SHARDS):
            housekeep(engine, engine.shard(i), case.now)
        engine.settings.cap_counters_max = max(
            engine.settings.cap_counters_max,
            engine.shared.counters + engine.shared.counters // 2 + scratch.tally_count)
    return no_memory()


cdef inline const char* take_memory_to_apply(Applying* applying) noexcept nogil:
    # All that the grant needs, as in reserve.pxd.
    cdef Engine* engine = applying.engine
    cdef Case* case = &applying.case
    cdef Scratch* scratch = &applying.scratch
    cdef const char* problem
    cdef uint32_t i
    for i in range(scratch.line_count):
        if not make_room_for_line(engine, shard_of(engine, scratch.lines[i].ref),
                                  scratch.lines[i].sku, case.expire_time,
                                  scratch.line_count):
            return no_memory()
    applying.grant.record = make_record(
        engine, case.shard, &case.key, scratch.line_count, &case.caller)
    if not applying.grant.record:
        return no_memory()
    problem = count_grant(applying)
    if problem != NULL:
        drop_record(engine, case.shard, applying.grant.record)
    return problem


cdef inline const char* apply_reserved(Applying* applying, int64_t sequence) noexcept nogil:
    cdef Engine* engine = applying.engine
    cdef const EventFacts* facts = &applying.event.facts
    cdef Case* case = &applying.case
    cdef Record* replaced = find_hold(engine, facts.replaced)
    cdef const char* problem = check_frame(facts)
    if problem == NULL and find_hold(engine, facts.key) != NULL:
        problem = b"grants a hold that is there already"
    if problem == NULL and facts.replaced != NULL and replaced == NULL:
        problem = b"replaces a hold that there is not"
    if problem == NULL:
        problem = read_lines(applying, &case.table)
    if problem == NULL:
        problem = check_basket(applying, replaced)
    if problem != NULL:
        return problem
    case.key = facts.key[0]
    case.shard = engine.shard(home(case.key.low))
    case.now = facts.time
    case.fingerprint = facts.fingerprint
    case.expire_time = facts.expire_time
    case.caller.address = facts.address
    case.caller.address_size = <uint32_t>facts.address_size
    case.caller.customer = facts.customer
    case.caller.customer_size = <uint32_t>facts.customer_size
    applying.answer.outcome = RESERVE_GRANTED_PARTIALLY if facts.partial else RESERVE_GRANTED
    problem = take_memory_to_apply(applying)
    if problem != NULL:
        return problem
    # Cannot fail from here. In the order of reserve.pxd.
    forget_through(engine, &case.key)
    raise_counters(engine, &applying.scratch, case.now, sequence)
    case.shard.live_holds += 1
    if case.shard.live_holds - case.shard.live_told >= max(<int64_t>1, untold_most(engine)):
        tell(engine, case.shard)
    if replaced != NULL:
        give_back_all(engine, replaced, STATE_RELEASED, case.now, case.now, sequence)
    fill_record(case, &applying.grant, sequence)
    forget_old(engine, case.shard, case.now, FORGET_MOST)
    return NULL
