# Stock from outside: setting and adjusting what is on hand. Judged in the order of
# docs/semantics.md.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool

from atp.engine.events cimport (
    EventFacts, STOCK_CHANGED, clear_facts, promise_event, record_change,
)
from atp.engine.gate cimport in_the_way
from atp.engine.layout cimport Engine, Record, Ref, Sku, home, kind_of, record_at, shard_of, sku_at
from atp.engine.limits cimport STOCK_MAX
from atp.engine.locks cimport mask_of_hash, unlock
from atp.engine.native cimport Key, add, hash128, hash64
from atp.engine.read cimport SkuView, view_sku
from atp.engine.records cimport drop_record, file_receipt, find_record, make_receipt
from atp.engine.stock cimport change_on_hand, find_sku, make_sku
from atp.engine.sweep cimport enter
from atp.engine.words cimport *

# A change of stock as asked; its fields are within the bounds of limits.pxd.
cdef struct SupplyCommand:
    const char* sku
    const char* request_id  # of an adjustment
    int64_t now
    int64_t quantity  # on hand from now on; for an adjustment, units to add
    int64_t expected  # on hand, if has_expected
    uint32_t sku_size
    uint32_t request_id_size
    uint8_t reason  # REASON_NONE: set; else adjust
    cbool has_expected

cdef struct SupplyAnswer:
    int64_t sequence
    int64_t reveals  # the newest change that the answer tells of or lets see
    uint8_t outcome
    uint8_t repeated
    uint8_t limit


cdef inline void answer_unchanged(SupplyAnswer* answer, int64_t sequence) noexcept nogil:
    answer.outcome = STOCK_DONE
    answer.repeated = True
    answer.sequence = sequence


cdef inline int judge_supply(
    const SupplyCommand* command, const Sku* sku, int64_t* received, int64_t* adjusted
) noexcept nogil:
    # The change of a known SKU: what it adds, or the refusal; 0 when it may be done.
    cdef int64_t delta = command.quantity
    received[0] = 0
    if command.reason == REASON_NONE:
        if command.has_expected and command.expected != sku.on_hand:
            return STOCK_ON_HAND_CHANGED
        delta = command.quantity - sku.on_hand
    if sku.on_hand + delta < sku.held:
        return STOCK_BELOW_HELD
    if command.reason == REASON_RECEIVED:
        received[0] = delta
        delta = 0
    adjusted[0] = delta
    if (sku.on_hand + received[0] + delta > STOCK_MAX or sku.received + received[0] > STOCK_MAX
            or sku.received + received[0] < 0 or sku.adjusted + delta > STOCK_MAX
            or sku.adjusted + delta < -STOCK_MAX):
        return STOCK_OUT_OF_RANGE
    return 0


cdef inline bint answer_known(
    Engine* engine, const SupplyCommand* command, const Key* key, uint64_t fingerprint, int64_t now,
    SupplyAnswer* answer
) noexcept nogil:
    # An adjustment's id is known.
    cdef Record* known
    cdef Ref ref
    if command.request_id_size == 0:
        return False
    ref = find_record(engine, engine.shard(home(key.low)), key, now)
    if not ref:
        return False
    known = record_at(engine, ref)
    answer.reveals = known.last_sequence
    if kind_of(known) == RECEIPT_ADJUST and known.fingerprint == fingerprint:
        answer_unchanged(answer, known.grant_sequence)
    else:
        answer.outcome = STOCK_REQUEST_ID_REUSED
    return True


cdef inline bint may_create(
    Engine* engine, const SupplyCommand* command, SupplyAnswer* answer
) noexcept nogil:
    # For a first setting: takes the place of one more SKU; False when it is refused, and the answer
    # says why.
    if command.reason != REASON_NONE or command.has_expected:
        answer.outcome = STOCK_SKU_UNKNOWN
        return False
    if add(&engine.shared.skus, 1) > engine.settings.sku_max:
        add(&engine.shared.skus, -1)
        answer.outcome = STOCK_LIMIT_REACHED
        answer.limit = LIMIT_SKUS
        return False
    return True


cdef inline uint64_t fingerprint_of_supply(
    const SupplyCommand* command, uint64_t hash
) noexcept nogil:
    cdef uint64_t[4] content
    content[0] = hash
    content[1] = <uint64_t>command.quantity
    content[2] = command.reason
    content[3] = RECEIPT_ADJUST
    return hash64(content, sizeof(content))


cdef inline bint take_memory_for_supply(
    Engine* engine, const SupplyCommand* command, const Key* key, EventFacts* facts,
    Ref* receipt, SupplyAnswer* answer
) noexcept nogil:
    # The receipt, and room for the event; False when memory is short, and then nothing was taken.
    answer.outcome = STOCK_LIMIT_REACHED
    answer.limit = LIMIT_MEMORY
    receipt[0] = 0
    if command.request_id_size:
        receipt[0] = make_receipt(engine, key)
        if not receipt[0]:
            return False
    facts.sku = command.sku
    facts.sku_size = command.sku_size
    facts.reason = command.reason
    facts.receipt_key = key if receipt[0] else NULL
    if promise_event(engine):
        return True
    if receipt[0]:
        drop_record(engine, engine.shard(home(key.low)), receipt[0])
    return False


cdef inline void decide_supply(
    Engine* engine, const SupplyCommand* command, uint64_t hash, const Key* key, int64_t now,
    SupplyAnswer* answer, SkuView* view
) noexcept nogil:
    cdef uint64_t fingerprint = fingerprint_of_supply(command, hash)
    cdef Ref ref = find_sku(engine.shard(home(hash)), command.sku, command.sku_size, hash)
    cdef bint new = ref == 0
    cdef int64_t received = command.quantity
    cdef int64_t adjusted = 0
    cdef EventFacts facts
    cdef Ref receipt = 0
    cdef Sku* sku
    if not new:
        view_sku(sku_at(engine, ref), view)
    if answer_known(engine, command, key, fingerprint, now, answer):
        return
    if not new:
        sku = sku_at(engine, ref)
        answer.outcome = <uint8_t>judge_supply(command, sku, &received, &adjusted)
        if answer.outcome:
            return
        if command.reason == REASON_NONE and adjusted == 0:
            answer_unchanged(answer, sku.last_sequence)
            return
    elif not may_create(engine, command, answer):
        return
    answer.limit = <uint8_t>in_the_way(engine, False)
    if answer.limit != LIMIT_NONE:
        answer.outcome = STOCK_LIMIT_REACHED
        if new:
            add(&engine.shared.skus, -1)
        return
    clear_facts(&facts, now)
    facts.receipt_fingerprint = fingerprint
    if not take_memory_for_supply(engine, command, key, &facts, &receipt, answer):
        if new:
            add(&engine.shared.skus, -1)
        return
    if new:
        ref = make_sku(engine, engine.shard(home(hash)), command.sku, command.sku_size, hash)
        if not ref:
            add(&engine.shared.skus, -1)
            return
        sku = sku_at(engine, ref)
    # Cannot fail from here.
    facts.on_hand = sku.on_hand + received + adjusted
    facts.received = sku.received + received
    facts.adjusted = sku.adjusted + adjusted
    answer.sequence = record_change(engine, STOCK_CHANGED, &facts)
    change_on_hand(shard_of(engine, ref), sku, received, adjusted, answer.sequence)
    if receipt:
        file_receipt(
            engine, receipt, key, RECEIPT_ADJUST, fingerprint, now, answer.sequence)
    answer.outcome = STOCK_DONE
    answer.limit = LIMIT_NONE
    view_sku(sku, view)


cdef inline void supply(
    Engine* engine, const SupplyCommand* command, SupplyAnswer* answer, SkuView* view
) noexcept nogil:
    # Judges one change of stock. The view gets the counters, if the SKU is known.
    cdef Key key
    cdef uint64_t hash = hash64(command.sku, command.sku_size)
    cdef uint64_t mask = mask_of_hash(hash)
    cdef int64_t now
    key.high = 0
    key.low = 0
    answer.sequence = 0
    answer.reveals = 0
    answer.outcome = 0
    answer.repeated = False
    answer.limit = LIMIT_NONE
    view.known = False
    if command.request_id_size:
        key = hash128(command.request_id, command.request_id_size)
        mask |= mask_of_hash(key.low)
    now = enter(engine, command.now, mask)
    decide_supply(engine, command, hash, &key, now, answer, view)
    if view.known:
        answer.reveals = max(answer.reveals, view.last_sequence)
    unlock(engine, mask)
