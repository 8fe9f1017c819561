# Commit, release, extend: what can become of a hold. Each is judged in the order of
# docs/semantics.md, whose numbers are in the comments, and changes everything after its point of
# no return.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from atp.engine.basket cimport LineTable, add_up, find_line
from atp.engine.cut cimport keep_record
from atp.engine.ending cimport caller_of, give_back_line, lines_mask, whole_mask
from atp.engine.events cimport (
    COMMITTED, EXTENDED, EventFacts, EventField, EventLine, RELEASED, clear_facts, promise_event,
    record_change, records,
)
from atp.engine.expiry cimport make_room_to_relink, relink_line, unlink_line
from atp.engine.gate cimport in_the_way
from atp.engine.layout cimport (
    Engine, Line, Record, Ref, Shard, Sku, held_of, home, kind_of, lines_of, name_of, record_at,
    ref_of, shard_of, sku_at,
)
from atp.engine.limits cimport NEVER, TIME_MAX
from atp.engine.locks cimport lock_more, mask_of_hash, unlock
from atp.engine.native cimport Key, hash128, hash64, load
from atp.engine.places cimport give_live_place
from atp.engine.read cimport View, view_record
from atp.engine.records cimport (
    Caller, drop_record, fetch_oldest, file_receipt, find_record, forget_old, is_receipt,
    make_receipt, mark_ended,
)
from atp.engine.scratch cimport LineAsk, Scratch, room_for_lines
from atp.engine.stock cimport note_new_end, sell_units
from atp.engine.sweep cimport enter
from atp.engine.words cimport *

cdef enum ChangeKind:  # with the numbers of their receipts
    COMMIT = 5
    RELEASE = 6
    EXTEND = 7

# A commit, release or extension as asked; its fields are within the bounds of limits.pxd.
cdef struct ChangeCommand:
    Key key  # of the reservation
    const LineAsk* lines  # none: all that is still held
    const char* request_id
    int64_t now
    int64_t ttl  # as in ReserveCommand
    int64_t expire_time
    int64_t default_ttl
    uint32_t line_count
    uint32_t request_id_size  # 0: none
    uint8_t kind

cdef struct ChangeAnswer:
    int64_t sequence
    int64_t reveals  # the newest change that the answer tells of or lets see
    int64_t latest_expire_time  # for an extension of a reservation that is known, else 0
    int64_t line_index  # -1: the outcome is not about a line
    uint8_t outcome  # 0: malformed, a SKU is named twice; line_index says where
    uint8_t repeated
    uint8_t limit  # in the way, for CHANGE_LIMIT_REACHED

cdef struct Turn:
    Engine* engine
    const ChangeCommand* command
    Scratch* scratch  # the named lines; `granted` is the number of the reservation's line, from 1
    ChangeAnswer* answer
    Record* record
    Key request_key
    uint64_t fingerprint
    uint64_t mask
    int64_t now
    int64_t expire_time
    Ref receipt
    LineTable table


cdef inline uint64_t fingerprint_of_change(
    const ChangeCommand* command, uint64_t lines
) noexcept nogil:
    cdef uint64_t[6] content
    content[0] = lines
    content[1] = command.kind
    content[2] = command.key.high
    content[3] = command.key.low
    content[4] = <uint64_t>command.ttl
    content[5] = <uint64_t>command.expire_time
    return hash64(content, sizeof(content))


cdef inline void lock_turn(Turn* turn) noexcept nogil:
    # Locks the reservation's shard and the receipt's, finds the reservation, and locks what it
    # concerns. What a reservation concerns never changes, so it holds as long as the reservation
    # is there.
    cdef Engine* engine = turn.engine
    cdef const Key* key = &turn.command.key
    cdef uint64_t mask = mask_of_hash(key.low)
    cdef uint64_t wanted
    cdef Ref ref
    if turn.command.request_id_size:
        mask |= mask_of_hash(turn.request_key.low)
    while True:
        turn.now = enter(engine, turn.command.now, mask)
        ref = find_record(engine, engine.shard(home(key.low)), key, turn.now)
        turn.record = record_at(engine, ref) if ref else NULL
        wanted = mask
        if turn.record != NULL and kind_of(turn.record) == STATE_HELD:
            wanted |= (whole_mask(engine, turn.record) if turn.command.kind == RELEASE
                       else lines_mask(turn.record))
        if wanted & ~mask == 0:
            turn.mask = mask
            return
        if lock_more(engine, mask, wanted):
            turn.now = load(&engine.time)  # others may have used the new shards since
            if load(&engine.due.next) > turn.now:
                turn.mask = wanted
                return
            unlock(engine, wanted)
        mask = wanted


cdef inline bint answer_known_id(Turn* turn) noexcept nogil:
    # 1. The id is known.
    cdef Engine* engine = turn.engine
    cdef Record* known
    cdef Ref ref
    if turn.command.request_id_size == 0:
        return False
    ref = find_record(engine, engine.shard(home(turn.request_key.low)), &turn.request_key, turn.now)
    if not ref:
        return False
    known = record_at(engine, ref)
    turn.answer.reveals = known.last_sequence
    if kind_of(known) == turn.command.kind and known.fingerprint == turn.fingerprint:
        turn.answer.outcome = CHANGE_DONE
        turn.answer.repeated = True
        turn.answer.sequence = known.grant_sequence
    else:
        turn.answer.outcome = CHANGE_REQUEST_ID_REUSED
    return True


cdef inline void answer_done_before(Turn* turn) noexcept nogil:
    turn.answer.outcome = CHANGE_DONE
    turn.answer.repeated = True
    turn.answer.sequence = turn.record.last_sequence


cdef inline bint answer_ended(Turn* turn) noexcept nogil:
    # 2 and 3. There is no such hold, or it has ended.
    cdef int kind
    if turn.record == NULL or is_receipt(turn.record):
        turn.record = NULL
        turn.answer.outcome = CHANGE_NOT_FOUND
        return True
    kind = kind_of(turn.record)
    if kind == STATE_HELD:
        return False
    if turn.command.line_count == 0 and (
            (kind == STATE_COMMITTED and turn.command.kind == COMMIT)
            or (kind == STATE_RELEASED and turn.command.kind == RELEASE)):
        answer_done_before(turn)
    elif kind == STATE_COMMITTED:
        turn.answer.outcome = CHANGE_ALREADY_COMMITTED
    elif kind == STATE_RELEASED:
        turn.answer.outcome = CHANGE_ALREADY_RELEASED
    else:
        turn.answer.outcome = CHANGE_ALREADY_EXPIRED
    return True


cdef inline int64_t named_units(Turn* turn, Line* line) noexcept nogil:
    # How many units of this line the command is about; and which named line that is, for later.
    cdef Sku* sku
    cdef uint32_t number
    if turn.command.line_count == 0:
        return held_of(line)
    sku = sku_at(turn.engine, line.sku)
    number = find_line(turn.scratch, &turn.table, name_of(sku), sku.name_size,
                       hash64(name_of(sku), sku.name_size), False)
    if number == turn.scratch.line_count:
        return 0
    turn.scratch.lines[number].granted = line.index + 1
    return turn.scratch.lines[number].asked


cdef inline bint answer_bad_line(Turn* turn) noexcept nogil:
    # 4. A named line is not there, or holds less than named.
    cdef Line* own = lines_of(turn.record)
    cdef uint32_t i
    if turn.command.line_count == 0:
        return False
    for i in range(turn.record.line_count):
        named_units(turn, &own[i])
    for i in range(turn.scratch.line_count):
        if turn.scratch.lines[i].granted == 0:
            turn.answer.outcome = CHANGE_LINE_NOT_FOUND
        elif turn.scratch.lines[i].asked > held_of(&own[turn.scratch.lines[i].granted - 1]):
            turn.answer.outcome = CHANGE_QUANTITY_ABOVE_HELD
        else:
            continue
        turn.answer.line_index = i
        return True
    return False


cdef inline bint answer_bad_expiry(Turn* turn) noexcept nogil:
    # 5. The new end is out of range, or the present one.
    cdef const ChangeCommand* command = turn.command
    cdef int64_t ttl = command.ttl
    cdef int64_t latest = turn.record.create_time + turn.engine.settings.longest_life
    if ttl == 0 and command.expire_time == 0:
        ttl = command.default_ttl
    turn.expire_time = command.expire_time
    if ttl:
        turn.expire_time = min(turn.now + min(ttl, TIME_MAX - 1), NEVER - 1)
    turn.answer.latest_expire_time = latest
    if (turn.expire_time < turn.record.expire_time or turn.expire_time <= turn.now
            or turn.expire_time > latest):
        turn.answer.outcome = CHANGE_EXPIRY_OUT_OF_RANGE
        return True
    if turn.expire_time == turn.record.expire_time:
        answer_done_before(turn)
        return True
    return False


cdef inline bint take_memory_for_change(
    Turn* turn, EventFacts* facts, EventLine* lines
) noexcept nogil:
    # 6. All memory that the change needs; False when it is short: room that was made by then stays,
    # and nothing else was taken.
    cdef const ChangeCommand* command = turn.command
    cdef uint32_t i
    turn.receipt = 0
    if command.kind == EXTEND and not make_room_to_relink(
            turn.engine, turn.record, turn.expire_time):
        return False
    if command.request_id_size:
        turn.receipt = make_receipt(turn.engine, &turn.request_key)
        if not turn.receipt:
            return False
    if not records(turn.engine):
        return True
    clear_facts(facts, turn.now)
    facts.key = &command.key
    facts.expire_time = turn.expire_time
    if turn.receipt:
        facts.receipt_key = &turn.request_key
        facts.receipt_fingerprint = turn.fingerprint
    if lines != NULL:
        for i in range(command.line_count):
            lines[i].sku = command.lines[i].sku
            lines[i].sku_size = command.lines[i].sku_size
            lines[i].quantity = command.lines[i].quantity
        facts.lines = lines
        facts.line_count = command.line_count
    if not promise_event(turn.engine):
        if turn.receipt:
            drop_record(turn.engine, turn.engine.shard(home(turn.request_key.low)), turn.receipt)
        return False
    return True


cdef inline void sell_or_give_back(Turn* turn, int64_t sequence) noexcept nogil:
    cdef Engine* engine = turn.engine
    cdef Record* record = turn.record
    cdef Line* own = lines_of(record)
    cdef Caller caller
    cdef int64_t units, left = 0
    cdef uint32_t i
    cdef bint selling = turn.command.kind == COMMIT
    keep_record(engine.shard(home(record.key.low)), record)
    if not selling:
        caller = caller_of(record)
    for i in range(record.line_count):
        units = named_units(turn, &own[i])
        if units:
            if selling:
                sell_units(
                    shard_of(engine, own[i].sku), sku_at(engine, own[i].sku), units, sequence)
                own[i].committed += <int>units
            else:
                give_back_line(engine, record, &caller, &own[i], units, turn.now, sequence)
                own[i].released += <int>units
            if held_of(&own[i]) == 0:
                unlink_line(engine, &own[i])
        left += held_of(&own[i])
    record.last_sequence = sequence
    if left == 0:
        give_live_place(engine, engine.shard(home(record.key.low)))
        mark_ended(engine, record, STATE_COMMITTED if selling else STATE_RELEASED, turn.now)


cdef inline void extend_lines(Turn* turn, int64_t sequence) noexcept nogil:
    cdef Engine* engine = turn.engine
    cdef Record* record = turn.record
    cdef Line* own = lines_of(record)
    cdef Shard* shard = engine.shard(home(record.key.low))
    cdef uint32_t i
    keep_record(shard, record)
    record.expire_time = turn.expire_time
    record.last_sequence = sequence
    for i in range(record.line_count):
        if held_of(&own[i]):
            relink_line(engine, &own[i], ref_of(shard, &own[i]), turn.expire_time)
            note_new_end(shard_of(engine, own[i].sku), sku_at(engine, own[i].sku), sequence)


cdef inline void decide_change(Turn* turn, EventLine* event_lines) noexcept nogil:
    cdef const ChangeCommand* command = turn.command
    cdef EventFacts facts
    cdef EventField field = EXTENDED
    cdef int64_t sequence
    fetch_oldest(turn.engine, turn.engine.shard(home(command.key.low)))
    if answer_known_id(turn) or answer_ended(turn) or answer_bad_line(turn):
        return
    turn.expire_time = 0
    if command.kind == EXTEND and answer_bad_expiry(turn):
        return
    turn.answer.limit = <uint8_t>in_the_way(turn.engine, command.kind != EXTEND)
    if turn.answer.limit == LIMIT_NONE and not take_memory_for_change(turn, &facts, event_lines):
        turn.answer.limit = LIMIT_MEMORY
    if turn.answer.limit != LIMIT_NONE:
        turn.answer.outcome = CHANGE_LIMIT_REACHED
        return
    # 7. Cannot fail from here.
    if command.kind != EXTEND:
        field = COMMITTED if command.kind == COMMIT else RELEASED
    sequence = record_change(turn.engine, field, &facts)
    # The receipt is filed before the reservation ends: what is filed last is never pushed out, and
    # the reservation is still to be answered with.
    if turn.receipt:
        file_receipt(turn.engine, turn.receipt, &turn.request_key, command.kind, turn.fingerprint,
                     turn.now, sequence)
    if command.kind == EXTEND:
        extend_lines(turn, sequence)
    else:
        sell_or_give_back(turn, sequence)
    turn.answer.outcome = CHANGE_DONE
    turn.answer.sequence = sequence


cdef inline void change(
    Engine* engine, const ChangeCommand* command, Scratch* scratch, ChangeAnswer* answer, View* view
) noexcept nogil:
    # Judges one commit, release or extension. `view`, if given, gets the reservation when it is
    # known.
    cdef Turn turn
    cdef EventLine* event_lines = NULL
    cdef uint64_t content = 0
    cdef uint32_t bad_line = 0
    answer.outcome = 0
    answer.sequence = 0
    answer.reveals = 0
    answer.limit = LIMIT_NONE
    answer.repeated = False
    answer.line_index = -1
    answer.latest_expire_time = 0
    turn.engine = engine
    turn.command = command
    turn.scratch = scratch
    turn.answer = answer
    if command.line_count:
        event_lines = <EventLine*>malloc(command.line_count * sizeof(EventLine))
        if event_lines == NULL or not room_for_lines(scratch, command.line_count):
            free(event_lines)
            answer.outcome = CHANGE_LIMIT_REACHED
            answer.limit = LIMIT_MEMORY
            return
        if (not add_up(scratch, &turn.table, command.lines, command.line_count, &content, &bad_line)
                or scratch.line_count < command.line_count):
            answer.line_index = first_repeated(scratch, command.line_count)
            free(event_lines)
            return
    if command.request_id_size:
        turn.fingerprint = fingerprint_of_change(command, content)
        turn.request_key = hash128(command.request_id, command.request_id_size)
    lock_turn(&turn)
    decide_change(&turn, event_lines)
    if turn.record != NULL and is_receipt(turn.record):
        turn.record = NULL  # of another command, whose id hashes to what was taken for a hold's
    if command.kind == EXTEND and turn.record != NULL and answer.latest_expire_time == 0:
        answer.latest_expire_time = turn.record.create_time + engine.settings.longest_life
    if turn.record != NULL:
        answer.reveals = max(answer.reveals, turn.record.last_sequence)
        if view != NULL:
            view_record(engine, turn.record, view)
    forget_old(engine, engine.shard(home(command.key.low)), turn.now, 1)
    unlock(engine, turn.mask)
    free(event_lines)


cdef inline int64_t first_repeated(const Scratch* scratch, uint32_t count) noexcept nogil:
    # The index in the request of the first line whose SKU was named before.
    cdef uint32_t i
    for i in range(scratch.line_count):
        if scratch.lines[i].line_index != i:
            return i
    return scratch.line_count
