# Housekeeping and what operators and tests look at: counters, bounds, recounts, the whole state.
# Included by _core.pyx.

cdef enum:
    PAGE_MOST = 4096
    FORGET_AT_A_SWEEP = 1000  # old records of one shard

_VIOLATIONS = {
    1: "law 1: {name} holds {held} units with {on_hand} on hand",
    2: "law 2: {name} has {on_hand} on hand, not {received} received + {adjusted} adjusted"
       " - {sold} sold",
    3: "law 1: {name} does not hold what its live lines hold",
    4: "law 3: a line of reservation {name} has more units ended than it was granted",
    5: "law 9: a line of reservation {name} is not due when its hold expires",
    6: "law 6: a count of a cap is below 0, or not the sum of its window ({name})",
    7: "a total does not fit what it totals",
}


cdef int64_t sweep_all(L.Engine* engine, int64_t now) noexcept nogil:
    # Expires what is due, forgets what is old, and looks through the counters of one shard a time.
    cdef int64_t expired
    cdef uint64_t mask
    cdef int64_t time
    cdef uint32_t i, kept
    raise_to(&engine.time, now)
    time = load(&engine.time)
    expired = expire_due(engine, time)
    for i in range(bounds.SHARDS):
        mask = <uint64_t>1 << i
        lock(engine, mask)
        forget_old(engine, engine.shard(i), time, FORGET_AT_A_SWEEP)
        unlock(engine, mask)
    engine.due.sweeping.take()
    kept = engine.due.next_housekept
    engine.due.next_housekept = (kept + 1) % bounds.SHARDS
    engine.due.sweeping.give()
    mask = <uint64_t>1 << kept
    lock(engine, mask)
    housekeep(engine, engine.shard(kept), time)
    unlock(engine, mask)
    return expired


cdef struct Totals:
    int64_t ended
    int64_t receipts
    int64_t live
    int64_t bytes


cdef Totals totals_of(L.Engine* engine) noexcept nogil:
    cdef Totals totals
    cdef L.Shard* shard
    cdef uint32_t i
    totals.ended = 0
    totals.receipts = 0
    totals.live = 0
    totals.bytes = 0
    for i in range(bounds.SHARDS):
        shard = engine.shard(i)
        lock(engine, <uint64_t>1 << i)
        totals.receipts += shard.receipt_count
        totals.ended += shard.ended_count - shard.receipt_count
        totals.live += shard.live_holds
        totals.bytes += shard.used_bytes + <int64_t>(
            shard.skus.bytes() + shard.records.bytes() + shard.counters.bytes())
        unlock(engine, <uint64_t>1 << i)
    return totals


cdef object engine_status(L.Engine* engine, Py_ssize_t caps):
    cdef Totals totals
    with nogil:
        totals = totals_of(engine)
    return words.EngineStatus(
        load(&engine.shared.sequence), load(&engine.time), load(&engine.shared.skus),
        totals.live, totals.ended, totals.receipts,
        load(&engine.shared.counters), caps, totals.bytes)


cdef object limit_rows(L.Engine* engine, Py_ssize_t caps):
    status = engine_status(engine, caps)
    rows = [
        words.Limit("sku_max", engine.settings.sku_max, status.skus, _LIMIT_MEANINGS["sku_max"]),
        words.Limit("live_holds_max", engine.settings.live_holds_max, status.live_holds,
                    _LIMIT_MEANINGS["live_holds_max"]),
        words.Limit("cap_counters_max", engine.settings.cap_counters_max, status.cap_counters,
                    _LIMIT_MEANINGS["cap_counters_max"]),
        words.Limit("ended_max", engine.settings.ended_max,
                    status.ended_reservations + status.receipts, _LIMIT_MEANINGS["ended_max"]),
        words.Limit("memory", <int64_t>bounds.SHARDS * (L.PLACE_MASK + 1) * L.GRANULE, status.bytes,
                    _LIMIT_MEANINGS["memory"]),
        words.Limit("caps_max", bounds.CAPS_MAX, status.caps, _LIMIT_MEANINGS["caps_max"]),
    ]
    named = {row.name for row in rows}
    rows += [words.Limit(name, value, -1, _LIMIT_MEANINGS[name])
             for name, value in LIMITS.items() if name not in named]
    return rows


cdef str violation_text(L.Engine* engine, uint64_t violation):
    cdef int kind = <int>(violation >> 32)
    cdef L.Ref ref = <L.Ref>violation
    cdef L.Sku* sku
    if kind == 7:
        return _VIOLATIONS[7]
    if kind in (4, 5):
        return _VIOLATIONS[kind].format(name=key_text(&L.record_at(engine, ref).key))
    if kind == 6:
        return _VIOLATIONS[6].format(name=hex(ref))
    sku = L.sku_at(engine, ref)
    return _VIOLATIONS[kind].format(
        name=name_text(L.name_of(sku), sku.name_size), held=sku.held, on_hand=sku.on_hand,
        received=sku.received, adjusted=sku.adjusted, sold=sku.sold)


cdef object check_report(L.Engine* engine, int64_t now):
    cdef Recount count
    cdef Walk walk
    cdef Key sum
    cdef int64_t sequence = -1
    memset(&count, 0, sizeof(count))
    with nogil:
        now = enter(engine, now, EVERY_SHARD)
        if open_walk(engine, &walk):
            recount(engine, &count, &walk)
            sum = digest(engine, now, &walk)
            sequence = engine.shared.sequence
        unlock(engine, EVERY_SHARD)
    if sequence < 0:
        raise MemoryError("no memory for a recount; nothing was counted")
    return words.CheckReport(
        tuple([violation_text(engine, one) for one in walk.found]), key_text(&sum), sequence,
        count.skus, count.records)


cdef str digest_text(L.Engine* engine, int64_t now):
    cdef Walk walk
    cdef Key sum
    cdef bint opened
    with nogil:
        now = enter(engine, now, EVERY_SHARD)
        opened = open_walk(engine, &walk)
        if opened:
            sum = digest(engine, now, &walk)
        unlock(engine, EVERY_SHARD)
    if not opened:
        raise MemoryError("no memory for a digest")
    return key_text(&sum)


cdef object stock_page(L.Engine* engine, int64_t now, page_size, str page_token):
    # The token is shard and SKU to go on from, in the shard's order of places, which never changes.
    cdef uint32_t shard = 0
    cdef uint32_t after = 0
    cdef Py_ssize_t size
    if page_size < 0:
        raise words.FieldInvalid("page_size", f"is {page_size}; 0 or more")
    if page_token:
        try:
            shard, after = [int(part) for part in page_token.split("-")]
        except (ValueError, OverflowError):
            shard = bounds.SHARDS
        if shard >= bounds.SHARDS:
            raise words.FieldInvalid("page_token", "is none that was given out")
    size = min(page_size or 1000, PAGE_MOST)
    page = []
    while shard < bounds.SHARDS and len(page) < size:
        after = read_shard(engine, now, shard, after, size - len(page), page)
        if not after:
            shard += 1
    return page, f"{shard}-{after}" if shard < bounds.SHARDS else ""


cdef uint32_t read_shard(
    L.Engine* engine, int64_t now, uint32_t number, uint32_t after, Py_ssize_t most, list page
) except? 0:
    # Appends SKUs of one shard; returns the place to go on from, or 0 when it is through.
    cdef uint64_t mask = <uint64_t>1 << number
    cdef vector[uint32_t] places
    cdef SkuView view
    cdef L.Sku* sku
    cdef Py_ssize_t i
    cdef bint listed
    with nogil:
        enter(engine, now, mask)
        listed = engine.shard(number).skus.places(places)
        unlock(engine, mask)
    if not listed:
        raise MemoryError("no memory to list the SKUs of a shard")
    wanted = np.sort(np.asarray(places, dtype=np.uint32))
    wanted = wanted[np.searchsorted(wanted, after, side="right"):]
    for i in range(min(most, <Py_ssize_t>len(wanted))):
        sku = L.sku_at(engine, <L.Ref>wanted[i] | (number << L.PLACE_BITS))
        with nogil:
            enter(engine, now, mask)
            view_sku(sku, &view)
            unlock(engine, mask)
        page.append(stock_of(name_text(L.name_of(sku), sku.name_size), &view))
    return wanted[most - 1] if len(wanted) > most else 0


cdef object dump_all(L.Engine* engine, int64_t now):
    # With every shard locked while Python objects are made: for tests and analysis, not for a sale.
    cdef vector[uint32_t] places
    cdef uint32_t i
    stock = {}
    reservations = {}
    receipts = {}
    cap_counts = {}
    with nogil:
        now = enter(engine, now, EVERY_SHARD)
    try:
        for i in range(bounds.SHARDS):
            dump_shard(engine, engine.shard(i), now, stock, reservations, receipts, cap_counts)
    finally:
        unlock(engine, EVERY_SHARD)
    return {"stock": stock, "reservations": reservations, "receipts": receipts,
            "cap_counts": cap_counts}


cdef int dump_shard(
    L.Engine* engine, L.Shard* shard, int64_t now, dict stock, dict reservations, dict receipts,
    dict cap_counts
) except -1:
    cdef vector[uint32_t] places
    cdef uint32_t base = shard.number << L.PLACE_BITS
    cdef SkuView sku_view
    cdef View view
    cdef L.Sku* sku
    cdef L.Record* record
    cdef size_t i
    if not shard.skus.places(places):
        raise MemoryError("no memory to list a shard")
    for i in range(places.size()):
        sku = L.sku_at(engine, places[i] | base)
        view_sku(sku, &sku_view)
        name = name_text(L.name_of(sku), sku.name_size)
        stock[name] = stock_of(name, &sku_view)
    forget_old(engine, shard, now, 0xFFFFFFFF)
    if not shard.records.places(places):
        raise MemoryError("no memory to list a shard")
    for i in range(places.size()):
        record = L.record_at(engine, places[i] | base)
        if is_receipt(record):
            receipts[key_text(&record.key)] = record.grant_sequence
            continue
        open_view(&view, False)
        view_record(engine, record, &view)
        try:
            reservations[key_text(&record.key)] = reservation_of(&view)
        finally:
            close_view(&view)
    if not shard.counters.places(places):
        raise MemoryError("no memory to list a shard")
    for i in range(places.size()):
        dump_counter(engine, <L.Counter*>L.at(engine, places[i] | base), now, cap_counts)
    return 0


cdef int dump_counter(L.Engine* engine, L.Counter* counter, int64_t now, dict cap_counts) except -1:
    cdef const L.Rule* rule = rule_of(engine, counter.cap_uid)
    cdef L.Sku* sku
    cdef int prefix
    if rule == NULL:
        return 0
    move_window(engine, counter, rule.step, rule.window, now)
    if counter.units == 0:
        return 0
    name = ""
    if counter.sku:
        sku = L.sku_at(engine, counter.sku)
        name = name_text(L.name_of(sku), sku.name_size)
    prefix = rule.prefix4 if counter.subject_size == 4 else rule.prefix6
    subject = subject_text(rule.subject, prefix, <uint8_t*>counter + L.COUNTER_SUBJECT_AT,
                           counter.subject_size)
    cap_counts[((<bytes>rule.cap_id).decode(), subject, name)] = counter.units
    return 0


cdef object taken_events(L.Engine* engine):
    cdef bytes frames
    cdef RecordHead head
    cdef size_t at_byte = 0
    cdef Taken all
    if engine.tail.has_writer:
        raise RuntimeError("a writer takes this engine's events")
    all = take_tail(engine[0])  # with the GIL held until they are back: one at a time
    if all.size == 0:
        return []
    try:
        frames = all.bytes[:all.size]
    finally:
        count_written(engine[0], all.size)
        return_taken(engine[0], all)
    events = []
    while at_byte < <size_t>len(frames):
        memcpy(&head, <const char*>frames + at_byte, sizeof(head))
        at_byte += sizeof(head)
        events.append((head.sequence, frames[at_byte:at_byte + head.size]))
        at_byte += head.size
    return events
