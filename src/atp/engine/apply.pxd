# Applying what happened: one event at a time changes the engine as the command did that it tells
# of, with the engine's own parts, so that the state comes out the same. Judges nothing, gives no
# sequence, records nothing, and lets nothing expire by the clock: expiries are events. An event
# that does not fit the state, or would break a law, is told and changes nothing. Every shard is
# locked, or nobody else has the engine.
from libc.stdint cimport int64_t, uint8_t, uint64_t

from atp.engine.apply_reserved cimport apply_reserved
from atp.engine.applying cimport Applying, find_hold, forget_through, no_memory, read_lines
from atp.engine.change cimport (
    COMMIT, EXTEND, RELEASE, Turn, answer_bad_line, extend_lines, sell_or_give_back,
)
from atp.engine.ending cimport give_back_all
from atp.engine.event_reader cimport EventRead
from atp.engine.events cimport (
    COMMITTED, EXPIRED, EXTENDED, EventFacts, RELEASED, RESERVED, STOCK_CHANGED,
)
from atp.engine.expiry cimport make_room_to_relink
from atp.engine.layout cimport Engine, Record, Ref, Shard, Sku, home, sku_at
from atp.engine.limits cimport NEVER, SKU_BYTES_MAX, STOCK_MAX, TIME_MAX
from atp.engine.native cimport add, load, raise_to, store
from atp.engine.records cimport drop_record, file_receipt, forget_old, make_receipt
from atp.engine.stock cimport change_on_hand, find_sku, make_sku
from atp.engine.text cimport is_text
from atp.engine.words cimport RECEIPT_ADJUST, STATE_EXPIRED


# What became of a hold.


cdef inline const char* take_receipt(Applying* applying, Ref* receipt) noexcept nogil:
    # The memory of the command's id, if it had one.
    cdef const EventFacts* facts = &applying.event.facts
    receipt[0] = 0
    if facts.receipt_key == NULL:
        return NULL
    if find_hold(applying.engine, facts.receipt_key) != NULL:
        return b"has the id of a hold that lives"
    receipt[0] = make_receipt(applying.engine, facts.receipt_key)
    if not receipt[0]:
        return no_memory()
    return NULL


cdef inline void keep_receipt(
    Applying* applying, Ref receipt, int kind, int64_t sequence
) noexcept nogil:
    cdef const EventFacts* facts = &applying.event.facts
    if receipt:
        forget_through(applying.engine, facts.receipt_key)
        file_receipt(applying.engine, receipt, facts.receipt_key, kind, facts.receipt_fingerprint,
                     facts.time, sequence)


cdef inline const char* apply_change(Applying* applying, int kind, int64_t sequence) noexcept nogil:
    cdef Engine* engine = applying.engine
    cdef const EventFacts* facts = &applying.event.facts
    cdef Turn* turn = &applying.turn
    cdef const char* problem
    cdef Ref receipt = 0
    turn.record = find_hold(engine, facts.key)
    turn.now = facts.time
    turn.expire_time = facts.expire_time
    applying.command.kind = <uint8_t>kind
    applying.command.line_count = applying.event.line_count
    if turn.record == NULL:
        return b"is about a hold that there is not"
    if kind == EXTEND and not 0 < facts.expire_time < NEVER:
        return b"has an expiry that is out of bounds"
    if applying.event.line_count:
        problem = read_lines(applying, &turn.table)
        if problem != NULL:
            return problem
        if answer_bad_line(turn):
            return b"would break law 3: ends units that the hold does not hold"
    if kind == EXTEND and not make_room_to_relink(engine, turn.record, facts.expire_time):
        return no_memory()
    problem = take_receipt(applying, &receipt)
    if problem != NULL:
        return problem
    # Cannot fail from here. In the order of change.pxd.
    keep_receipt(applying, receipt, kind, sequence)
    if kind == EXTEND:
        extend_lines(turn, sequence)
    else:
        sell_or_give_back(turn, sequence)
    forget_old(engine, engine.shard(home(facts.key.low)), facts.time, 1)
    return NULL


cdef inline const char* apply_expired(Applying* applying, int64_t sequence) noexcept nogil:
    cdef const EventFacts* facts = &applying.event.facts
    cdef Record* record = find_hold(applying.engine, facts.key)
    if record == NULL:
        return b"is about a hold that there is not"
    give_back_all(
        applying.engine, record, STATE_EXPIRED, record.expire_time, facts.time, sequence)
    return NULL


# Stock from outside.


cdef inline const char* check_stock(const EventFacts* facts, const Sku* sku) noexcept nogil:
    # `sku` is NULL when it is new.
    cdef int64_t sold = 0 if sku == NULL else sku.sold
    cdef int64_t held = 0 if sku == NULL else sku.held
    if not (0 <= facts.on_hand <= STOCK_MAX and 0 <= facts.received <= STOCK_MAX
            and -STOCK_MAX <= facts.adjusted <= STOCK_MAX):
        return b"has a quantity that is out of bounds"
    if facts.on_hand < held:
        return b"would break law 1: more held than on hand"
    if facts.on_hand != facts.received + facts.adjusted - sold:
        return b"would break law 2: on hand is not received + adjusted - sold"
    return NULL


cdef inline const char* apply_stock_changed(Applying* applying, int64_t sequence) noexcept nogil:
    cdef Engine* engine = applying.engine
    cdef const EventFacts* facts = &applying.event.facts
    cdef uint64_t hash = applying.event.own_hashes[0]
    cdef Shard* shard = engine.shard(home(hash))
    cdef const char* problem
    cdef Ref receipt = 0
    cdef Ref ref
    cdef Sku* sku
    if not 1 <= facts.sku_size <= SKU_BYTES_MAX or not is_text(facts.sku, facts.sku_size):
        return b"has a SKU that is empty, no text or longer than allowed"
    ref = find_sku(shard, facts.sku, facts.sku_size, hash)
    problem = check_stock(facts, sku_at(engine, ref) if ref else NULL)
    if problem == NULL:
        problem = take_receipt(applying, &receipt)
    if problem != NULL:
        return problem
    if not ref:
        ref = make_sku(engine, shard, facts.sku, facts.sku_size, hash)
        if not ref:
            if receipt:
                drop_record(engine, engine.shard(home(facts.receipt_key.low)), receipt)
            return no_memory()
        add(&engine.shared.skus, 1)
    # Cannot fail from here. In the order of supply.pxd.
    sku = sku_at(engine, ref)
    change_on_hand(
        shard, sku, facts.received - sku.received, facts.adjusted - sku.adjusted, sequence)
    keep_receipt(applying, receipt, RECEIPT_ADJUST, sequence)
    return NULL


cdef inline const char* apply_event(
    Applying* applying, const EventRead* event, int64_t sequence
) noexcept nogil:
    # One change of stock or of holds, with all its lines read; caps are for core/cap_table.pxi.
    cdef Engine* engine = applying.engine
    cdef const char* problem = b"is about a cap"
    if sequence != load(&engine.shared.sequence) + 1:
        return b"is not the next one"
    if not 0 <= event.facts.time <= TIME_MAX:
        return b"has a time that is out of bounds"
    if event.facts.line_count != event.line_count:
        return b"has more lines than a basket may have"
    applying.event = event
    if event.kind == RESERVED:
        problem = apply_reserved(applying, sequence)
    elif event.kind == COMMITTED:
        problem = apply_change(applying, COMMIT, sequence)
    elif event.kind == RELEASED:
        problem = apply_change(applying, RELEASE, sequence)
    elif event.kind == EXTENDED:
        problem = apply_change(applying, EXTEND, sequence)
    elif event.kind == EXPIRED:
        problem = apply_expired(applying, sequence)
    elif event.kind == STOCK_CHANGED:
        problem = apply_stock_changed(applying, sequence)
    if problem == NULL:
        store(&engine.shared.sequence, sequence)
        raise_to(&engine.time, event.facts.time)
    return problem
