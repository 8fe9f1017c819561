# Loads a snapshot's entries into a fresh engine: SKUs, then records, then what links them, then
# counters, each for all shards at once. Trusts nothing: an entry that breaks a law, or names what
# is not there, is told as damage, and whoever asked throws the engine away. Caps are there before.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from atp.engine.layout cimport (
    Engine, Line, PLACE_BITS, PLACE_MASK, Probe, Record, Ref, Shard, Sku, held_of, home,
    kind_of, line_at, lines_of, record_at, ref_of, set_kind, sku_at,
)
from atp.engine.expiry cimport grow_due, link_line, make_room_for_line
from atp.engine.limits cimport (
    BASKET_LINES_MAX, CUSTOMER_ID_BYTES_MAX, NEVER, QUANTITY_MAX, SHARDS, SKU_BYTES_MAX, STOCK_MAX,
)
from atp.engine.native cimport Key, hash64, store
from atp.engine.records cimport Caller, file_record, forget_first, is_receipt, make_record
from atp.engine.stock cimport find_sku, make_sku
from atp.engine.words cimport RECEIPT_ADJUST, RECEIPT_COMMIT, STATE_HELD
from atp.journal.copier cimport CHUNK_COUNTERS, CHUNK_RECORDS, CHUNK_SKUS, ChunkHead
from atp.journal.reading cimport (
    Chunk, Cursor, Ended, LineEntry, Link, RecordEntry, Restoring, SkuEntry, push,
    read_key_bytes, record_address_size, run_on_all,
)
from atp.journal.restoring_counters cimport restore_counter

cdef enum:
    ENTRY_BYTES_LEAST = 19  # of a counter; room is made for no more than there can be
    RECORDS_AHEAD = 8
    LINKS_AHEAD = 12


cdef inline const char* restore_sku(
    Restoring* restoring, Shard* shard, Cursor* cursor
) noexcept nogil:
    # Returns what is wrong, or NULL.
    cdef SkuEntry entry
    cdef const char* name
    cdef uint64_t hash
    cdef Sku* sku
    cdef Ref ref
    if not cursor.read_sku(&entry):
        return b"a SKU is cut off"
    name = cursor.take(entry.name_size)
    if name == NULL or not 1 <= entry.name_size <= SKU_BYTES_MAX:
        return b"a SKU's name is of a size that none has"
    hash = hash64(name, entry.name_size)
    if home(hash) != shard.number or entry.number >> PLACE_BITS != shard.number:
        return b"a SKU is of another shard"
    if not (0 <= entry.on_hand <= STOCK_MAX and 0 <= entry.received <= STOCK_MAX
            and -STOCK_MAX <= entry.adjusted <= STOCK_MAX and 0 <= entry.sold <= 2 * STOCK_MAX
            and entry.on_hand == entry.received + entry.adjusted - entry.sold):
        return b"law 2: a SKU has not on hand what was received, adjusted and sold"
    if not 1 <= entry.last_sequence <= restoring.parts.head.sequence:
        return b"a SKU has a sequence that was not given yet"
    if (restoring.numbers[shard.number].find(entry.number)
            or find_sku(shard, name, entry.name_size, hash)):
        return b"a SKU is there twice"
    ref = make_sku(restoring.engine, shard, name, entry.name_size, hash)
    if not ref or not restoring.numbers[shard.number].set(entry.number, ref):
        return b""
    sku = sku_at(restoring.engine, ref)
    sku.on_hand = entry.on_hand
    sku.sold = entry.sold
    sku.received = entry.received
    sku.adjusted = entry.adjusted
    sku.last_sequence = entry.last_sequence
    shard.supplied += entry.on_hand + entry.sold
    shard.sold += entry.sold
    restoring.found[shard.number].skus += 1
    restoring.found[shard.number].on_hand += entry.on_hand
    restoring.found[shard.number].sold += entry.sold
    return NULL


cdef inline const char* sound_frame(
    Restoring* restoring, Shard* shard, const RecordEntry* entry, const Key* key
) noexcept nogil:
    # All of a record but its lines.
    cdef int kind = entry.flags & 15
    cdef int64_t now = restoring.parts.totals.end_time
    cdef bint receipt = kind >= RECEIPT_COMMIT
    if home(key.low) != shard.number:
        return b"a record is of another shard"
    if (not STATE_HELD <= kind <= RECEIPT_ADJUST or entry.flags >> 5 > 2
            or entry.customer_size > CUSTOMER_ID_BYTES_MAX):
        return b"a record is of a kind that none is"
    if receipt and (entry.line_count or entry.flags >> 4 or entry.customer_size):
        return b"a receipt has what only a reservation has"
    if not receipt and not 1 <= entry.line_count <= BASKET_LINES_MAX:
        return b"a reservation has a number of lines that none has"
    if not (1 <= entry.grant_sequence <= entry.last_sequence
            and entry.last_sequence <= restoring.parts.head.sequence):
        return b"a record has a sequence that was not given yet"
    if not (0 <= entry.create_time <= now and 0 <= entry.expire_time < NEVER
            and (kind == STATE_HELD or entry.expire_time <= now)
            and entry.caps_generation <= restoring.parts.head.caps_generation):
        return b"a record has a time that has not come yet"
    return NULL


cdef inline const char* restore_lines(
    Restoring* restoring, Shard* shard, Record* record, Cursor* cursor
) noexcept nogil:
    cdef Line* lines = lines_of(record)
    cdef bint live = kind_of(record) == STATE_HELD
    cdef int64_t held = 0
    cdef LineEntry entry
    cdef Link link
    cdef uint32_t i
    for i in range(record.line_count):
        cursor.read_line(&entry)  # the caller has seen that they are there
        if not (1 <= entry.quantity <= QUANTITY_MAX and entry.committed >= 0 and entry.released >= 0
                and entry.committed <= entry.quantity - entry.released):
            return b"law 3: a line has more units ended than it was granted"
        lines[i].sku = restoring.numbers[entry.sku >> PLACE_BITS].find(entry.sku)
        lines[i].quantity = entry.quantity
        lines[i].committed = entry.committed
        lines[i].released = entry.released
        lines[i].place = 0
        lines[i].index = <uint16_t>i
        if not lines[i].sku:
            return b"a line is of a SKU that is not there"
        if live and held_of(&lines[i]):
            held += held_of(&lines[i])
            link.expire_time = record.expire_time
            link.line = ref_of(shard, &lines[i])
            link.sku = lines[i].sku
            if not restoring.add_link(shard.number, link):
                return b""
    restoring.found[shard.number].lines += record.line_count
    restoring.found[shard.number].held += held
    if live and not held:
        return b"a hold holds nothing"
    return NULL


cdef inline bint note_end(Restoring* restoring, Shard* shard, Ref ref) noexcept nogil:
    cdef Record* record = record_at(restoring.engine, ref)
    cdef Ended ended
    ended.order = <uint64_t>record.last_sequence * 2 + (0 if is_receipt(record) else 1)
    ended.record = ref
    return push(restoring.ended[shard.number], ended)


cdef inline Ref make_restored(
    Restoring* restoring, Shard* shard, const RecordEntry* entry, const Key* key,
    const Caller* caller
) noexcept nogil:
    # 0 when memory is short. Its lines are still to come.
    cdef Ref ref = make_record(restoring.engine, shard, key, entry.line_count, caller)
    cdef Record* record
    if not ref:
        return 0
    record = record_at(restoring.engine, ref)
    record.fingerprint = entry.fingerprint
    record.create_time = entry.create_time
    record.expire_time = entry.expire_time
    record.grant_sequence = entry.grant_sequence
    record.last_sequence = entry.last_sequence
    record.caps_generation = entry.caps_generation
    record.flags = entry.flags
    file_record(shard, ref, key)
    restoring.found[shard.number].records += 1
    restoring.found[shard.number].receipts += is_receipt(record)
    restoring.found[shard.number].live += kind_of(record) == STATE_HELD
    if kind_of(record) != STATE_HELD and not note_end(restoring, shard, ref):
        return 0
    return ref


cdef inline const char* restore_record(
    Restoring* restoring, Shard* shard, Cursor* cursor
) noexcept nogil:
    # Returns what is wrong, or NULL; an empty text when memory is short.
    cdef RecordEntry entry
    cdef const char* wrong
    cdef const char* rest
    cdef Caller caller
    cdef Cursor lines
    cdef Probe probe
    cdef Key key
    cdef Ref ref
    if not cursor.read_record(&entry):
        return b"a record is cut off"
    key = read_key_bytes(entry.key)
    wrong = sound_frame(restoring, shard, &entry, &key)
    if wrong != NULL:
        return wrong
    lines.at = cursor.take(entry.line_count * sizeof(LineEntry))
    lines.end = cursor.at
    caller.address_size = record_address_size(entry.flags)
    caller.customer_size = entry.customer_size
    rest = cursor.take(caller.address_size + caller.customer_size)
    if lines.at == NULL or rest == NULL:
        return b"a record is cut off"
    caller.address = <const uint8_t*>rest
    caller.customer = rest + caller.address_size
    probe.data = &key
    probe.size = sizeof(Key)
    probe.hash = key.low
    if shard.records.find(probe):
        return b"a record is there twice"
    ref = make_restored(restoring, shard, &entry, &key, &caller)
    if not ref:
        return b""
    return restore_lines(restoring, shard, record_at(restoring.engine, ref), &lines)


cdef inline void restore_chunk(
    Restoring* restoring, Shard* shard, const Chunk* chunk, unsigned int thread
) noexcept nogil:
    cdef Cursor cursor, ahead
    cdef const char* begin
    cdef const char* wrong = NULL
    cdef uint64_t offset
    cdef uint32_t count = 0
    cdef int i
    if not restoring.parts.open_chunk(chunk[0], thread, &cursor):
        return
    offset = chunk.offset + sizeof(ChunkHead)
    ahead = cursor
    if chunk.kind == CHUNK_RECORDS:
        for i in range(RECORDS_AHEAD):
            restoring.send_for_record(&ahead)
    while cursor.at < cursor.end:
        begin = cursor.at
        if chunk.kind == CHUNK_SKUS:
            wrong = restore_sku(restoring, shard, &cursor)
        elif chunk.kind == CHUNK_RECORDS:
            restoring.send_for_record(&ahead)
            wrong = restore_record(restoring, shard, &cursor)
        else:
            wrong = restore_counter(restoring, shard, &cursor)
        if wrong != NULL:
            restoring.parts.damage.note(offset, wrong)
            return
        offset += <uint64_t>(cursor.at - begin)
        count += 1
    if count != chunk.count:
        restoring.parts.damage.note(chunk.offset, b"a chunk has not as many entries as it says")


cdef inline void restore_kind(
    Restoring* restoring, size_t number, uint32_t kind, unsigned int thread
) noexcept nogil:
    # All of a kind in one shard.
    cdef Shard* shard = restoring.engine.shard(<unsigned int>number)
    cdef const Chunk* chunk
    cdef size_t count = 0
    cdef size_t i
    for i in range(restoring.parts.chunks.size()):
        chunk = &restoring.parts.chunks[i]
        if chunk.kind == kind and chunk.shard == number:
            count += min(chunk.count, chunk.size // ENTRY_BYTES_LEAST)
    if kind == CHUNK_SKUS:
        shard.skus.expect(count)
    elif kind == CHUNK_RECORDS:
        shard.records.expect(count)
    else:
        shard.counters.expect(count)
    for i in range(restoring.parts.chunks.size()):
        chunk = &restoring.parts.chunks[i]
        if chunk.kind == kind and chunk.shard == number and not restoring.parts.damage.any():
            restore_chunk(restoring, shard, chunk, thread)


cdef inline void restore_skus_of(
    void* restoring, size_t number, unsigned int thread
) noexcept nogil:
    restore_kind(<Restoring*>restoring, number, CHUNK_SKUS, thread)


cdef inline void restore_counters_of(
    void* restoring, size_t number, unsigned int thread
) noexcept nogil:
    restore_kind(<Restoring*>restoring, number, CHUNK_COUNTERS, thread)


cdef inline void restore_records_of(
    void* restoring, size_t number, unsigned int thread
) noexcept nogil:
    # Then files the ended ones, in the order in which they ended.
    cdef Restoring* all = <Restoring*>restoring
    cdef Engine* engine = all.engine
    cdef Shard* shard = engine.shard(<unsigned int>number)
    cdef Record* record
    cdef Ref ref
    cdef size_t i
    restore_kind(all, number, CHUNK_RECORDS, thread)
    all.sort_ended(<unsigned int>number)
    for i in range(all.ended[number].size()):
        ref = all.ended[number][i].record
        record = record_at(engine, ref)
        record.caps_generation = 0
        if shard.ended_last:
            record_at(engine, shard.ended_last).caps_generation = ref
        else:
            shard.ended_first = ref
            shard.ended_first_time = record.expire_time
        shard.ended_last = ref
        shard.ended_count += 1
        shard.receipt_count += is_receipt(record)
    shard.live_holds = all.found[number].live
    shard.live_told = shard.live_holds


cdef inline void link_lines_of(
    void* restoring, size_t number, unsigned int thread
) noexcept nogil:
    # The live lines of one shard's SKUs, wherever their records are, the first to end first.
    cdef Restoring* all = <Restoring*>restoring
    cdef Engine* engine = all.engine
    cdef Shard* shard = engine.shard(<unsigned int>number)
    cdef vector[Link] links
    cdef const Link* link
    cdef Line* line
    cdef Sku* sku
    cdef size_t i
    if not all.gather_links(shard.number, &links):
        all.parts.damage.note(0, b"")
        return
    for i in range(links.size()):
        all.send_for_link(links, i + LINKS_AHEAD)
        link = &links[i]
        sku = sku_at(engine, link.sku)
        line = line_at(engine, link.line)
        sku.held += held_of(line)
        shard.held += held_of(line)
        if sku.held > sku.on_hand:
            all.parts.damage.note(0, b"law 1: a SKU holds more than is on hand")
            return
        if not make_room_for_line(engine, shard, sku, link.expire_time, 1):
            all.parts.damage.note(0, b"")
            return
        link_line(engine, line, link.line, link.expire_time)


cdef inline void finish(Restoring* restoring) noexcept nogil:
    # What all shards come to, and the bounds that are tighter now.
    cdef Engine* engine = restoring.engine
    cdef Shard* shard
    cdef uint32_t i
    for i in range(SHARDS):
        shard = engine.shard(i)
        while shard.ended_count > max(<int64_t>1, engine.settings.ended_max // SHARDS):
            forget_first(engine, shard)
        engine.shared.live_holds += shard.live_told
        engine.shared.skus += <int64_t>shard.skus.size()
        engine.shared.counters += <int64_t>shard.counters.size()
    store(&engine.shared.sequence, restoring.parts.head.sequence)
    store(&engine.time, restoring.parts.totals.end_time)


cdef inline bint adds_up(Restoring* restoring) noexcept nogil:
    cdef int64_t skus = 0, records = 0, live = 0, receipts = 0, lines = 0, counters = 0
    cdef int64_t on_hand = 0, sold = 0, held = 0, counted = 0
    cdef uint32_t i
    for i in range(SHARDS):
        skus += restoring.found[i].skus
        records += restoring.found[i].records
        live += restoring.found[i].live
        receipts += restoring.found[i].receipts
        lines += restoring.found[i].lines
        counters += restoring.found[i].counters
        on_hand += restoring.found[i].on_hand
        sold += restoring.found[i].sold
        held += restoring.found[i].held
        counted += restoring.found[i].counted
    return (
        skus == restoring.parts.totals.skus and records == restoring.parts.totals.records
        and live == restoring.parts.totals.live and receipts == restoring.parts.totals.receipts
        and lines == restoring.parts.totals.lines and counters == restoring.parts.totals.counters
        and on_hand == restoring.parts.totals.on_hand and sold == restoring.parts.totals.sold
        and held == restoring.parts.totals.held and counted == restoring.parts.totals.counted)


cdef inline bint restore_all(Restoring* restoring) noexcept nogil:
    # False when there is damage; its reason is empty when memory was short.
    run_on_all(restoring.threads, SHARDS, restore_skus_of, restoring)
    if not restoring.parts.damage.any():
        run_on_all(restoring.threads, SHARDS, restore_records_of, restoring)
    if not restoring.parts.damage.any():
        run_on_all(restoring.threads, SHARDS, link_lines_of, restoring)
    if not restoring.parts.damage.any():
        run_on_all(restoring.threads, SHARDS, restore_counters_of, restoring)
    if not restoring.parts.damage.any() and not adds_up(restoring):
        restoring.parts.damage.note(
            restoring.parts.chunks.back().offset, b"what it holds does not add up to its totals")
    if restoring.parts.damage.any():
        return False
    finish(restoring)
    return True
