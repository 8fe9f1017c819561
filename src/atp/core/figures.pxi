# What metrics are made of: sums over all SKUs, the SKUs asked for most, how often caps stood in the
# way. A shard is locked for as long as its own take, and never two. Included by _core.pyx.

cdef struct HotSku:
    L.Ref sku
    uint32_t count


cdef object stock_totals(L.Engine* engine):
    cdef int64_t on_hand = 0, held = 0, sold = 0, expired = 0
    cdef L.Shard* shard
    cdef uint32_t i
    with nogil:
        for i in range(bounds.SHARDS):
            shard = engine.shard(i)
            lock(engine, <uint64_t>1 << i)
            on_hand += shard.supplied - shard.sold
            held += shard.held
            sold += shard.sold
            expired += shard.expired_holds
            unlock(engine, <uint64_t>1 << i)
    return words.StockTotals(on_hand, held, sold, expired)


cdef tuple lines_due(L.Engine* engine, int64_t sooner, int64_t later):
    cdef Soon soon
    memset(&soon, 0, sizeof(soon))
    soon.sooner = min(sooner, later)
    soon.later = later
    with nogil:
        count_soon(engine, &soon)
    return soon.by_sooner, soon.by_later


cdef void note_hot(L.Engine* engine, HotSku* into) noexcept nogil:
    # All that is known, HOT_KNOWN of each shard.
    cdef L.Shard* shard
    cdef uint32_t i, k
    for i in range(bounds.SHARDS):
        shard = engine.shard(i)
        lock(engine, <uint64_t>1 << i)
        for k in range(L.HOT_KNOWN):
            into[i * L.HOT_KNOWN + k].sku = shard.hot.sku(k)
            into[i * L.HOT_KNOWN + k].count = shard.hot.count(k)
        unlock(engine, <uint64_t>1 << i)


cdef list hottest(L.Engine* engine, Py_ssize_t count):
    # SKUs stay where they are for ever, so that names can be read when the shards are open again.
    cdef vector[HotSku] known
    cdef L.Sku* sku
    known.resize(bounds.SHARDS * L.HOT_KNOWN)
    with nogil:
        note_hot(engine, known.data())
    told = []
    for one in known:
        if one.count:
            sku = L.sku_at(engine, one.sku)
            told.append((-<int64_t>one.count, name_text(L.name_of(sku), sku.name_size)))
    return [(name, -heat) for heat, name in sorted(told)[:max(count, 0)]]


cdef enum:
    CALM_CHANGES = 100_000  # from one cooling to the next; below, every question counts


cdef int64_t cool_all(L.Engine* engine, int64_t changes_before) noexcept nogil:
    # Returns the changes so far. What is refused changes nothing, and is seen in the counts.
    cdef int64_t changes = load(&engine.shared.sequence)
    cdef int64_t asked = 0
    cdef uint32_t i
    for i in range(bounds.SHARDS):
        lock(engine, <uint64_t>1 << i)
        asked += engine.shard(i).hot.cool()
        unlock(engine, <uint64_t>1 << i)
    store(&engine.unasked, 0 if max(asked, changes - changes_before) < CALM_CHANGES
          else <int64_t>L.HOT_SKIPPED)
    return changes


cdef list hits_of_caps(L.Engine* engine):
    # The table changes only under the guard of caps.
    cdef L.CapStatistics* statistics
    cdef size_t i
    hits = []
    for i in range(engine.caps.rules.size()):
        statistics = engine.caps.rules[i].statistics.get()
        hits.append(((<bytes>engine.caps.rules[i].cap_id).decode(),
                     load(&statistics.refused), load(&statistics.shadow_refused)))
    return hits
