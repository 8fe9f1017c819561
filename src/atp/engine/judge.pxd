# The judgement of a reserve: whether units are still to sell. Reads top to bottom: what is asked,
# what is locked, what is known of the request, then line by line. Changes nothing but the caps'
# statistics; reserve.pxd grants. docs/semantics.md has the rules in prose; its numbers are in the
# comments.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from atp.engine.arena cimport fetch_free_block
from atp.engine.asked cimport Case, ReserveAnswer, ReserveCommand
from atp.engine.caps cimport (
    collect, count_granted, judge_whole, list_refusals, note_statistics, read_counters,
    subjects_mask, trim,
)
from atp.engine.ending cimport whole_mask
from atp.engine.layout cimport (
    Engine, Line, PLACE_BITS, Record, Ref, Rule, Shard, available_of, held_of, home, kind_of,
    line_at, lines_of, record_at, sku_at, was_partial,
)
from atp.engine.limits cimport NEVER, TIME_MAX
from atp.engine.line_queue cimport first_end_beside
from atp.engine.locks cimport mask_of_hash, unlock
from atp.engine.native cimport load, prefetch_to_write
from atp.engine.read cimport View, view_record
from atp.engine.records cimport find_record, is_receipt
from atp.engine.replacing cimport (
    find_own_line, find_replaced, replaced_mask, same_owner, take_as_free,
)
from atp.engine.scratch cimport JudgedLine, Scratch, Tally
from atp.engine.stock cimport find_sku
from atp.engine.sweep cimport enter
from atp.engine.words cimport *

cdef enum:
    SEND_FOR_MOST = 32  # blocks fetched ahead; more would push each other out


cdef inline void send_for_blocks(Case* case) noexcept nogil:
    # Fetches into the cache what will be read next, all at once instead of one after another.
    cdef Shard* shard
    cdef uint32_t i
    fetch_free_block(case.shard, sizeof(Record) + case.scratch.line_count * sizeof(Line)
                     + case.caller.address_size + case.caller.customer_size)
    if case.command.hashed:
        return  # a batch has sent for them before
    for i in range(min(case.scratch.line_count, <uint32_t>SEND_FOR_MOST)):
        shard = case.engine.shard(home(case.scratch.lines[i].hash))
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
    answer.reveals = record.last_sequence
    if is_receipt(record) or record.fingerprint != case.fingerprint:
        answer.outcome = RESERVE_REQUEST_ID_REUSED
        return True
    answer.outcome = RESERVE_GRANTED_PARTIALLY if was_partial(record) else RESERVE_GRANTED
    answer.repeated = True
    answer.sequence = record.grant_sequence
    if view != NULL:
        view_record(engine, record, view)
    return True


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
    case.answer.reveals = record.last_sequence
    if not same_owner(case, record):
        return RESERVE_REPLACED_NOT_OWNED
    if kind_of(record) != STATE_HELD:
        return RESERVE_REPLACED_ENDED
    return 0


cdef inline void look_up_lines(Case* case) noexcept nogil:
    # Which SKUs there are; what each has is sent for, and read when the caps have been looked up
    # too.
    cdef JudgedLine* line
    cdef uint32_t i
    for i in range(case.scratch.line_count):
        line = &case.scratch.lines[i]
        line.ref = find_sku(
            case.engine.shard(home(line.hash)), line.name, line.name_size, line.hash)
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
            line.first_expire = line.sku.first_expire
            prefetch_to_write(line_at(case.engine, line.sku.row_last))
    if not case.command.has_replaces:
        return
    record = record_at(case.engine, case.replaced)
    own = lines_of(record)
    for i in range(record.line_count):
        line = find_own_line(case, &own[i])
        if line != NULL and held_of(&own[i]):
            line.available += held_of(&own[i])
            line.held -= held_of(&own[i])
            line.first_expire = first_end_beside(case.engine, line.sku, &own[i])


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


cdef inline void note_revealed(Case* case) noexcept nogil:
    # A refusal lets see what there is of its SKUs and what the caps in its way count: the answer
    # waits until that is durable. A grant is newer than all of it.
    cdef ReserveAnswer* answer = case.answer
    cdef Scratch* scratch = case.scratch
    cdef const Rule* rule
    cdef Tally* tally
    cdef uint32_t i
    for i in range(scratch.line_count):
        if scratch.lines[i].sku != NULL:
            answer.reveals = max(answer.reveals, scratch.lines[i].sku.last_sequence)
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        rule = &case.engine.caps.rules[tally.rule]
        if tally.failed and rule.mode == MODE_ENFORCE:
            answer.reveals = max(answer.reveals, rule.set_sequence)
            if tally.counter != NULL:
                answer.reveals = max(answer.reveals, tally.counter.last_sequence)


cdef inline void note_asked(Case* case) noexcept nogil:
    # For those who look at what is hot.
    cdef uint32_t times = <uint32_t>load(&case.engine.unasked) + 1
    cdef Ref ref
    cdef uint32_t i
    for i in range(case.scratch.line_count):
        ref = case.scratch.lines[i].ref
        if ref:
            case.engine.shard(ref >> PLACE_BITS).hot.ask(ref, times)


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
    if <int64_t>case.key.low & load(&engine.unasked) == 0:
        note_asked(case)
    read_counters(engine, case.scratch, case.now)
    if case.command.has_replaces:
        take_as_free(case)
    outcome = judge_partial(case) if case.command.allow_partial else judge_all_or_nothing(case)
    answer.with_lines = outcome != RESERVE_GRANTED
    if answer.with_lines:
        answer.refusal_count = list_refusals(engine, case.scratch, answer.refusals)
    if engine.caps.rules.size():
        note_statistics(engine, case.scratch, outcome > RESERVE_GRANTED_PARTIALLY)
    if outcome > RESERVE_GRANTED_PARTIALLY:
        note_revealed(case)
    return outcome
