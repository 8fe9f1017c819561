# The judgement of a reserve: whether units are still to sell. Reads top to bottom: what is asked,
# what is locked, what is known of the request, then line by line. Changes nothing but the caps'
# statistics; reserve.pxd grants. docs/semantics.md has the rules in prose; its numbers are in the
# comments.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from atp.engine.arena cimport fetch_free_block
from atp.engine.basket cimport LineTable, find_line
from atp.engine.caps cimport (
    CapRefusal, collect, count_granted, find_counter, judge_whole, list_refusals, note_statistics,
    read_counters, rule_count, rule_number, rules_by_sku, set_subject, subjects_mask, trim,
)
from atp.engine.counters cimport still_counted
from atp.engine.ending cimport caller_of, counts, whole_mask
from atp.engine.layout cimport (
    Engine, Line, Record, Ref, Rule, Shard, Sku, available_of, customer_of, held_of, kind_of,
    lines_of, name_of, record_at, sku_at, was_partial,
)
from atp.engine.limits cimport CAP_REFUSALS_MAX, NEVER, TIME_MAX
from atp.engine.locks cimport mask_of_hash, unlock
from atp.engine.native cimport Key, hash64, load
from atp.engine.read cimport View, first_expire_beside, view_record
from atp.engine.records cimport Caller, find_record, is_receipt
from atp.engine.scratch cimport JudgedLine, LineAsk, NO_TALLY, Scratch, Tally
from atp.engine.stock cimport find_sku
from atp.engine.sweep cimport enter
from atp.engine.words cimport *

cdef enum:
    SEND_FOR_MOST = 32  # blocks fetched ahead; more would push each other out

# A reserve as asked. Its fields are within the bounds of limits.pxd: whoever fills it has checked.
cdef struct ReserveCommand:
    const char* request_id
    const LineAsk* lines
    Caller caller  # its hashes, and the key, only if they are known
    Key key
    Key replaces
    int64_t now
    int64_t ttl  # ns, 0: not given
    int64_t expire_time  # ns, used when ttl is not given; 0: not given either
    int64_t default_ttl
    uint32_t request_id_size
    uint32_t line_count
    cbool allow_partial
    cbool has_replaces
    cbool hashed  # the key and the caller's hashes are filled in

cdef struct ReserveAnswer:
    Key key  # of the reservation
    int64_t sequence
    uint32_t refusal_count
    uint32_t bad_line
    uint8_t outcome  # 0: malformed, the lines of one SKU add up to too many units at bad_line
    uint8_t repeated
    uint8_t limit
    uint8_t with_lines  # the scratch's lines are line results
    CapRefusal refusals[CAP_REFUSALS_MAX]

# What the steps of one reserve share.
cdef struct Case:
    Engine* engine
    const ReserveCommand* command
    Scratch* scratch
    ReserveAnswer* answer
    Caller caller
    Key key
    uint64_t fingerprint
    uint64_t mask
    int64_t now
    int64_t expire_time
    Shard* shard  # of the reservation
    Ref replaced  # 0: none
    LineTable table


cdef inline uint64_t fingerprint_of(const Case* case, uint64_t lines) noexcept nogil:
    # Content is everything the caller sent except the id.
    cdef uint64_t[9] content
    cdef const ReserveCommand* command = case.command
    content[0] = lines
    content[1] = case.caller.address_hash
    content[2] = case.caller.customer_hash
    content[3] = <uint64_t>command.ttl
    content[4] = <uint64_t>command.expire_time if command.ttl == 0 else 0
    content[5] = command.replaces.high if command.has_replaces else 0
    content[6] = command.replaces.low if command.has_replaces else 0
    content[7] = (1 if command.allow_partial else 0) + (2 if command.has_replaces else 0)
    content[8] = (case.caller.address_size << 8) + case.caller.customer_size
    return hash64(content, sizeof(content))


cdef inline uint64_t replaced_mask(Case* case) noexcept nogil:
    # The shards that giving back the replaced hold concerns. What never changes of it is read
    # under its own shard's lock, before all locks are taken in order.
    cdef Engine* engine = case.engine
    cdef const Key* key = &case.command.replaces
    cdef uint64_t mask = mask_of_hash(key.low)
    cdef int64_t now = enter(engine, case.command.now, mask)
    cdef Ref ref = find_record(engine, engine.shard(key.low >> 58), key, now)
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
            case.engine, case.engine.shard(key.low >> 58), key, case.now)
    return case.replaced != 0 and kind_of(record_at(case.engine, case.replaced)) == STATE_HELD


cdef inline void send_for_blocks(Case* case) noexcept nogil:
    # Fetches into the cache what will be read next, all at once instead of one after another.
    cdef Shard* shard
    cdef uint32_t i
    fetch_free_block(case.shard, sizeof(Record) + case.scratch.line_count * sizeof(Line)
                     + case.caller.address_size + case.caller.customer_size)
    if case.command.hashed:
        return  # a batch has sent for them before
    for i in range(min(case.scratch.line_count, <uint32_t>SEND_FOR_MOST)):
        shard = case.engine.shard(case.scratch.lines[i].hash >> 58)
        shard.skus.fetch_block(case.scratch.lines[i].hash, shard.base)


cdef inline void lock_all(Case* case) noexcept nogil:
    # Locks what the command concerns, by the caps as they are once it is locked.
    cdef Engine* engine = case.engine
    cdef int64_t generation
    cdef uint64_t mask
    cdef uint32_t i
    while True:
        generation = load(&engine.plan.generation)
        mask = mask_of_hash(case.key.low) | subjects_mask(engine, &case.caller)
        for i in range(case.scratch.line_count):
            mask |= mask_of_hash(case.scratch.lines[i].hash)
        if case.command.has_replaces:
            mask |= replaced_mask(case)
        case.now = enter(engine, case.command.now, mask)
        case.mask = mask
        if load(&engine.plan.generation) != generation:
            unlock(engine, mask)
            continue
        send_for_blocks(case)
        # The hold to be replaced may have come into being since its shards were asked for.
        if find_replaced(case) and whole_mask(engine, record_at(engine, case.replaced)) & ~mask:
            unlock(engine, mask)
            continue
        return


cdef inline bint answer_repeat(Case* case, View* view) noexcept nogil:
    # 1. The id is known.
    cdef Engine* engine = case.engine
    cdef ReserveAnswer* answer = case.answer
    cdef Ref ref = find_record(engine, case.shard, &case.key, case.now)
    cdef Record* record
    if not ref:
        return False
    record = record_at(engine, ref)
    if is_receipt(record) or record.fingerprint != case.fingerprint:
        answer.outcome = RESERVE_REQUEST_ID_REUSED
        return True
    answer.outcome = RESERVE_GRANTED_PARTIALLY if was_partial(record) else RESERVE_GRANTED
    answer.repeated = True
    answer.sequence = record.grant_sequence
    if view != NULL:
        view_record(engine, record, view)
    return True


cdef inline bint same_owner(Case* case, Record* record) noexcept nogil:
    cdef const Caller* caller = &case.caller
    if not caller.customer_size or caller.customer_size != record.customer_size:
        return False
    return memcmp(customer_of(record), caller.customer, caller.customer_size) == 0


cdef inline int judge_frame(Case* case) noexcept nogil:
    # 2 and 3: all but the lines. Returns the refusal, or 0.
    cdef const ReserveCommand* command = case.command
    cdef int64_t ttl = command.ttl
    cdef Record* record
    if ttl == 0 and command.expire_time == 0:
        ttl = command.default_ttl
    case.expire_time = command.expire_time
    if ttl:
        case.expire_time = min(case.now + min(ttl, TIME_MAX - 1), NEVER - 1)
    if (case.expire_time <= case.now
            or case.expire_time - case.now > case.engine.settings.longest_life):
        return RESERVE_EXPIRY_OUT_OF_RANGE
    if not command.has_replaces:
        return 0
    if not case.replaced or is_receipt(record_at(case.engine, case.replaced)):
        return RESERVE_REPLACED_NOT_FOUND
    record = record_at(case.engine, case.replaced)
    if not same_owner(case, record):
        return RESERVE_REPLACED_NOT_OWNED
    if kind_of(record) != STATE_HELD:
        return RESERVE_REPLACED_ENDED
    return 0


cdef inline JudgedLine* find_own_line(Case* case, const Line* own) noexcept nogil:
    # The line of this basket for the SKU of the replaced hold's line, or NULL.
    cdef Sku* sku = sku_at(case.engine, own.sku)
    cdef uint32_t number = find_line(
        case.scratch, &case.table, name_of(sku), sku.name_size,
        hash64(name_of(sku), sku.name_size), False)
    return &case.scratch.lines[number] if number < case.scratch.line_count else NULL


cdef inline void look_up_lines(Case* case) noexcept nogil:
    # Which SKUs there are; what each has is sent for, and read when the caps have been looked up
    # too.
    cdef JudgedLine* line
    cdef uint32_t i
    for i in range(case.scratch.line_count):
        line = &case.scratch.lines[i]
        line.ref = find_sku(
            case.engine.shard(line.hash >> 58), line.name, line.name_size, line.hash)
        if line.ref:
            line.sku = sku_at(case.engine, line.ref)


cdef inline void read_lines(Case* case) noexcept nogil:
    # What there is of each SKU; a replaced hold's units are free.
    cdef JudgedLine* line
    cdef Line* own
    cdef Record* record
    cdef uint32_t i
    for i in range(case.scratch.line_count):
        line = &case.scratch.lines[i]
        line.available = 0
        line.held = 0
        line.first_expire = NEVER
        line.outcome = LINE_SKU_UNKNOWN
        if line.sku != NULL:
            line.available = available_of(line.sku)
            line.held = line.sku.held
            line.outcome = LINE_GRANTED
            if line.sku.heap_count:
                line.first_expire = line.sku.first_expire
    if not case.command.has_replaces:
        return
    record = record_at(case.engine, case.replaced)
    own = lines_of(record)
    for i in range(record.line_count):
        line = find_own_line(case, &own[i])
        if line != NULL and held_of(&own[i]):
            line.available += held_of(&own[i])
            line.held -= held_of(&own[i])
            line.first_expire = first_expire_beside(case.engine, line.sku, &own[i])


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


cdef inline int refusal_of(uint8_t line_outcome) noexcept nogil:
    if line_outcome == LINE_SKU_UNKNOWN:
        return RESERVE_SKU_UNKNOWN
    return RESERVE_CAP_REACHED if line_outcome == LINE_CAP_REACHED else RESERVE_STOCK_SHORT


cdef inline int judge_all_or_nothing(Case* case) noexcept nogil:
    # 4. Returns the outcome.
    cdef Scratch* scratch = case.scratch
    cdef JudgedLine* line
    cdef int outcome = RESERVE_LIMIT_REACHED
    cdef uint32_t i
    judge_whole(case.engine, scratch)
    for i in range(scratch.line_count):
        line = &scratch.lines[i]
        if line.outcome == LINE_GRANTED and line.asked > line.available:
            line.outcome = LINE_STOCK_SHORT
        if line.outcome != LINE_GRANTED:
            outcome = min(outcome, refusal_of(line.outcome))
    for i in range(scratch.line_count):
        line = &scratch.lines[i]
        if outcome == RESERVE_LIMIT_REACHED:
            line.granted = line.asked
            count_granted(scratch, line)
        elif line.outcome == LINE_GRANTED:
            line.outcome = LINE_NOT_ATTEMPTED
    return RESERVE_GRANTED if outcome == RESERVE_LIMIT_REACHED else outcome


cdef inline int judge_partial(Case* case) noexcept nogil:
    # 4, for a caller who takes what is left. Returns the outcome.
    cdef Scratch* scratch = case.scratch
    cdef JudgedLine* line
    cdef int refusal = RESERVE_LIMIT_REACHED
    cdef int64_t left
    cdef uint32_t i, granted = 0
    for i in range(scratch.line_count):
        line = &scratch.lines[i]
        if line.outcome == LINE_GRANTED:
            left = trim(case.engine, scratch, line)
            line.granted = min(left, line.available)
            count_granted(scratch, line)
            if line.granted < line.asked:
                line.outcome = (LINE_CAP_REACHED if left < line.asked and left <= line.available
                                else LINE_STOCK_SHORT)
        granted += line.granted > 0
        if line.outcome != LINE_GRANTED:
            refusal = min(refusal, refusal_of(line.outcome))
    if granted == 0:
        return refusal
    return RESERVE_GRANTED if refusal == RESERVE_LIMIT_REACHED else RESERVE_GRANTED_PARTIALLY


cdef inline int judge_lines(Case* case) noexcept nogil:
    # 4. Returns the outcome; the scratch says the rest.
    cdef Engine* engine = case.engine
    cdef ReserveAnswer* answer = case.answer
    cdef int outcome
    look_up_lines(case)
    if not collect(engine, case.scratch, &case.caller, not case.command.hashed):
        answer.limit = LIMIT_MEMORY
        return RESERVE_LIMIT_REACHED
    read_lines(case)
    read_counters(engine, case.scratch, case.now)
    if case.command.has_replaces:
        take_as_free(case)
    outcome = judge_partial(case) if case.command.allow_partial else judge_all_or_nothing(case)
    answer.with_lines = outcome != RESERVE_GRANTED
    if answer.with_lines:
        answer.refusal_count = list_refusals(engine, case.scratch, answer.refusals)
    if engine.caps.rules.size():
        note_statistics(engine, case.scratch, outcome > RESERVE_GRANTED_PARTIALLY)
    return outcome
