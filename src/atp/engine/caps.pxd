# Caps at work: which counts a command concerns, what they say, and how they change. Owns every
# change of a counter. The table of caps itself is made in cap_table.pxi and read under any
# shard's lock.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove
from libcpp.vector cimport vector

from atp.engine.layout cimport (
    CapTable, Counter, CounterIdentity, Engine, NO_LIMIT, PLACE_BITS, Probe, Ref, Rule, Window,
    WindowEntry, at, counter_hash, home, mask_address,
)
from atp.engine.limits cimport CAP_REFUSALS_MAX
from atp.engine.locks cimport mask_of_hash
from atp.engine.native cimport add, hash64, load
from atp.engine.records cimport Caller
from atp.engine.scratch cimport (
    JudgedLine, NO_TALLY, Scratch, Tally, add_claim, add_tally, room_for_rules, subject_of,
)
from atp.engine.words cimport (
    LINE_CAP_REACHED, LINE_GRANTED, MODE_ENFORCE, MODE_SHADOW, SUBJECT_CUSTOMER, SUBJECT_EVERYONE,
    SUBJECT_IP, SUBJECT_RESERVATION, SUBJECT_SUBNET,
)

# A cap that stood in the way. Copied whole, because caps may change once the shards are unlocked.
cdef struct CapRefusal:
    int64_t limit
    int64_t in_force
    int64_t asked
    uint32_t line  # judged line, for a cap that counts each SKU apart
    uint8_t per_sku
    uint8_t subject_kind
    uint8_t prefix
    uint8_t subject_size
    uint8_t cap_id_size
    uint8_t subject[64]
    char cap_id[64]


cdef inline uint64_t subjects_mask(Engine* engine, const Caller* caller) noexcept nogil:
    # The shards where counters of this caller live, by the plan as it is now. Read without a
    # lock: who uses it compares the plan's generation afterwards, under the locks.
    cdef uint64_t mask = <uint64_t>load(&engine.plan.everyone_shards)
    cdef int64_t count = load(&engine.plan.subnet_count)
    cdef int64_t pair, i
    cdef uint8_t subnet[16]
    if caller.customer_size and load(&engine.plan.counts_customers):
        mask |= mask_of_hash(caller.customer_hash)
    if caller.address_size:
        if load(&engine.plan.counts_addresses):
            mask |= mask_of_hash(caller.address_hash)
        for i in range(count):
            pair = load(&engine.plan.subnets[i])
            memcpy(subnet, caller.address, caller.address_size)
            mask_address(subnet, caller.address_size,
                         <unsigned int>(pair >> 8 if caller.address_size == 4 else pair & 255))
            mask |= mask_of_hash(hash64(subnet, caller.address_size))
    return mask


cdef inline int64_t limit_for(
    const Tally* tally, const Rule* rule, bint is_address, unsigned int prefix
) noexcept nogil:
    if not rule.has_overrides:
        return rule.limit
    return CapTable.limit_of(rule[0], subject_of(tally), tally.subject_size, is_address, prefix)


cdef inline bint set_subject(Tally* tally, const Rule* rule, const Caller* caller) noexcept nogil:
    # Who the rule counts of this caller; False when it counts nobody.
    cdef unsigned int prefix
    tally.subject_size = 0
    tally.subject = NULL
    if rule.subject == SUBJECT_CUSTOMER:
        if not caller.customer_size:
            return False
        tally.subject_size = <uint8_t>caller.customer_size
        tally.subject = <const uint8_t*>caller.customer
        tally.subject_hash = caller.customer_hash
        tally.limit = limit_for(tally, rule, False, 0)
    elif rule.subject == SUBJECT_IP or rule.subject == SUBJECT_SUBNET:
        if not caller.address_size:
            return False
        tally.subject_size = <uint8_t>caller.address_size
        tally.subject = caller.address
        prefix = caller.address_size * 8
        tally.subject_hash = caller.address_hash
        if rule.subject == SUBJECT_SUBNET:
            prefix = rule.prefix4 if caller.address_size == 4 else rule.prefix6
            memcpy(tally.masked, caller.address, caller.address_size)
            mask_address(tally.masked, tally.subject_size, prefix)
            tally.subject = NULL
            tally.subject_hash = hash64(tally.masked, tally.subject_size)
        tally.limit = limit_for(tally, rule, True, prefix)
    else:
        tally.limit = rule.limit
        tally.subject_hash = hash64(tally.masked, 0)
    return True


cdef inline void aim(Tally* tally, const Rule* rule, Ref sku) noexcept nogil:
    # Where the counter of a tally is, or would be; its subject is set.
    if rule.subject == SUBJECT_EVERYONE:
        tally.shard = sku >> PLACE_BITS if rule.per_sku else rule.home_shard
    else:
        tally.shard = home(tally.subject_hash)
    tally.hash = counter_hash(rule.uid, sku if rule.per_sku else 0, tally.subject_hash)


cdef inline CounterIdentity identity_of(
    const Rule* rule, const Tally* tally, Ref sku
) noexcept nogil:
    # What tells a counter apart: the cap, the SKU if the cap counts each apart, the subject.
    cdef CounterIdentity identity
    identity.cap_uid = rule.uid
    identity.sku = sku if rule.per_sku else 0
    identity.subject = subject_of(tally)
    identity.subject_size = tally.subject_size
    return identity


cdef inline Window* window_of(Engine* engine, Counter* counter) noexcept nogil:
    return <Window*>at(engine, counter.window)


cdef inline WindowEntry* entries_of(Window* window) noexcept nogil:
    return <WindowEntry*>(<char*>window + sizeof(Window))


cdef inline size_t window_bytes(uint32_t room) noexcept nogil:
    return sizeof(Window) + room * sizeof(WindowEntry)


cdef inline void move_window(
    Engine* engine, Counter* counter, int64_t step, int64_t length, int64_t now
) noexcept nogil:
    # Stops counting what the window has passed over.
    cdef Window* window
    cdef WindowEntry* entries
    cdef uint32_t passed = 0
    if not counter.window:
        return
    window = window_of(engine, counter)
    entries = entries_of(window)
    while passed < window.count and now >= (entries[passed].step + 1) * step + length:
        counter.units -= entries[passed].units
        passed += 1
    if passed:
        window.count -= passed
        memmove(entries, entries + passed, window.count * sizeof(WindowEntry))


cdef inline void read_counter(
    Engine* engine, Tally* tally, const Rule* rule, Ref sku, int64_t now
) noexcept nogil:
    # Fills in the counter that a tally is aimed at, and what it counts now.
    cdef CounterIdentity identity = identity_of(rule, tally, sku)
    cdef Probe probe
    cdef uint32_t place
    probe.data = &identity
    probe.size = sizeof(identity)
    probe.hash = tally.hash
    tally.counter = NULL
    tally.in_force = 0
    place = engine.shard(tally.shard).counters.find(probe)
    if place:
        tally.counter = <Counter*>at(engine, place | (tally.shard << PLACE_BITS))
        if rule.window:
            move_window(engine, tally.counter, rule.step, rule.window, now)
        tally.in_force = tally.counter.units


cdef inline void find_counter(
    Engine* engine, Tally* tally, const Rule* rule, Ref sku, int64_t now
) noexcept nogil:
    aim(tally, rule, sku)
    read_counter(engine, tally, rule, sku, now)


cdef inline const vector[uint32_t]* rules_by_sku(
    Engine* engine, const char* name, size_t size
) noexcept nogil:
    # The rules that name this SKU, or NULL.
    if engine.caps.for_some.size() == 0:
        return NULL
    return engine.caps.rules_of(name, size, hash64(name, size))


cdef inline uint32_t rule_count(Engine* engine, const vector[uint32_t]* by_sku) noexcept nogil:
    return <uint32_t>(engine.caps.for_all.size() + (0 if by_sku == NULL else by_sku.size()))


cdef inline uint32_t rule_number(
    Engine* engine, const vector[uint32_t]* by_sku, uint32_t i
) noexcept nogil:
    # The i-th of the rules that concern a SKU.
    cdef size_t for_all = engine.caps.for_all.size()
    return engine.caps.for_all[i] if i < for_all else by_sku[0][i - for_all]


cdef inline bint add_line(
    Engine* engine, Scratch* scratch, uint32_t line_number, uint32_t rule_number,
    const Caller* caller, bint send
) noexcept nogil:
    # One line under one rule: finds the tally it belongs to, or begins one. False when memory is
    # short.
    cdef const Rule* rule = &engine.caps.rules[rule_number]
    cdef JudgedLine* line = &scratch.lines[line_number]
    cdef Tally* tally
    cdef uint32_t known = scratch.rule_tallies[rule_number]
    if known != NO_TALLY and not rule.per_sku:
        scratch.tallies[known].asked += line.asked
        return add_claim(scratch, known)
    tally = add_tally(scratch)
    if tally == NULL:
        return False
    if not set_subject(tally, rule, caller):
        scratch.tally_count -= 1
        return True
    scratch.rule_tallies[rule_number] = scratch.tally_count - 1
    tally.rule = rule_number
    tally.line = line_number
    tally.asked = line.asked
    tally.granted = 0
    tally.failed = 0
    tally.counter = NULL
    tally.in_force = 0
    if rule.subject != SUBJECT_RESERVATION:
        aim(tally, rule, line.ref)
        if send:
            engine.shard(tally.shard).counters.fetch_block(
                tally.hash, engine.shard(tally.shard).base)
    return add_claim(scratch, scratch.tally_count - 1)


cdef inline bint collect(
    Engine* engine, Scratch* scratch, const Caller* caller, bint send
) noexcept nogil:
    # Fills tallies and claims for the scratch's lines, and sends for the counters. Unknown SKUs
    # concern no cap. False when memory is short.
    cdef const vector[uint32_t]* by_sku
    cdef JudgedLine* line
    cdef uint32_t number, i
    if not room_for_rules(scratch, <uint32_t>engine.caps.rules.size()):
        return False
    for number in range(scratch.line_count):
        line = &scratch.lines[number]
        line.claims_begin = scratch.claim_count
        if line.sku != NULL and engine.caps.rules.size():
            by_sku = rules_by_sku(engine, line.name, line.name_size)
            for i in range(rule_count(engine, by_sku)):
                if not add_line(engine, scratch, number, rule_number(engine, by_sku, i), caller,
                                send):
                    return False
        line.claims_end = scratch.claim_count
    return True


cdef inline void read_counters(Engine* engine, Scratch* scratch, int64_t now) noexcept nogil:
    # Fills in the counters of the tallies, which `collect` has sent for.
    cdef Tally* tally
    cdef const Rule* rule
    cdef uint32_t i
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        rule = &engine.caps.rules[tally.rule]
        if rule.subject != SUBJECT_RESERVATION:
            read_counter(engine, tally, rule, scratch.lines[tally.line].ref, now)


cdef inline bint exceeds(const Tally* tally) noexcept nogil:
    return tally.limit != NO_LIMIT and tally.in_force + tally.asked > tally.limit


cdef inline void judge_whole(Engine* engine, Scratch* scratch) noexcept nogil:
    # All or nothing: marks the tallies that fail and the lines that an ENFORCE cap refuses.
    cdef JudgedLine* line
    cdef Tally* tally
    cdef uint32_t number, i
    for i in range(scratch.tally_count):
        scratch.tallies[i].failed = exceeds(&scratch.tallies[i])
    for number in range(scratch.line_count):
        line = &scratch.lines[number]
        for i in range(line.claims_begin, line.claims_end):
            tally = &scratch.tallies[scratch.claims[i].tally]
            if tally.failed and engine.caps.rules[tally.rule].mode == MODE_ENFORCE:
                if line.outcome == LINE_GRANTED:
                    line.outcome = LINE_CAP_REACHED


cdef inline int64_t trim(Engine* engine, Scratch* scratch, JudgedLine* line) noexcept nogil:
    # In part: what ENFORCE caps leave for this line after the lines before it.
    cdef int64_t left = line.asked
    cdef int64_t room
    cdef Tally* tally
    cdef uint32_t i
    for i in range(line.claims_begin, line.claims_end):
        tally = &scratch.tallies[scratch.claims[i].tally]
        if tally.limit == NO_LIMIT:
            continue
        room = max(<int64_t>0, tally.limit - tally.in_force - tally.granted)
        if room < line.asked:
            tally.failed = True
            if engine.caps.rules[tally.rule].mode == MODE_ENFORCE:
                left = min(left, room)
    return left


cdef inline void count_granted(Scratch* scratch, const JudgedLine* line) noexcept nogil:
    cdef uint32_t i
    for i in range(line.claims_begin, line.claims_end):
        scratch.tallies[scratch.claims[i].tally].granted += line.granted


cdef inline void note_statistics(Engine* engine, Scratch* scratch, bint refused) noexcept nogil:
    # One command counts once for each cap that failed anywhere. An ENFORCE cap counts refusals
    # only.
    cdef Tally* tally
    cdef const Rule* rule
    cdef uint32_t i
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        if not tally.failed or scratch.rule_tallies[tally.rule] == NO_TALLY:
            continue
        scratch.rule_tallies[tally.rule] = NO_TALLY  # counted
        rule = &engine.caps.rules[tally.rule]
        if rule.mode == MODE_SHADOW:
            add(&rule.statistics.get().shadow_refused, 1)
        elif rule.mode == MODE_ENFORCE and refused:
            add(&rule.statistics.get().refused, 1)


cdef inline void copy_refusal(
    const Rule* rule, const Tally* tally, CapRefusal* into
) noexcept nogil:
    into.line = tally.line
    into.limit = tally.limit
    into.in_force = tally.in_force
    into.asked = tally.asked
    into.per_sku = rule.per_sku
    into.subject_kind = rule.subject
    into.prefix = rule.prefix4 if tally.subject_size == 4 else rule.prefix6
    into.subject_size = tally.subject_size
    memcpy(into.subject, subject_of(tally), tally.subject_size)
    into.cap_id_size = <uint8_t>rule.cap_id.size()
    memcpy(into.cap_id, rule.cap_id.data(), rule.cap_id.size())


cdef inline uint32_t list_refusals(
    Engine* engine, Scratch* scratch, CapRefusal* into
) noexcept nogil:
    # The ENFORCE caps that failed, in order of cap id, then of lines; at most CAP_REFUSALS_MAX.
    cdef uint32_t none = <uint32_t>engine.caps.rules.size()
    cdef uint32_t count = 0, rule_number = 0
    cdef uint32_t i, next_rule
    cdef Tally* tally
    while rule_number < none and count < CAP_REFUSALS_MAX:
        next_rule = none
        for i in range(scratch.tally_count):
            tally = &scratch.tallies[i]
            if not tally.failed or engine.caps.rules[tally.rule].mode != MODE_ENFORCE:
                continue
            if rule_number < tally.rule < next_rule:
                next_rule = tally.rule
            if tally.rule == rule_number and count < CAP_REFUSALS_MAX:
                copy_refusal(&engine.caps.rules[rule_number], tally, &into[count])
                count += 1
        rule_number = next_rule
    return count
