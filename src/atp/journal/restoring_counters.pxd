# Loads the counters of a snapshot, each into the shard where a command will look for it. Trusts
# nothing, as restoring.pxd.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from atp.engine.arena cimport allocate
from atp.engine.caps cimport aim, entries_of, window_bytes, window_of
from atp.engine.layout cimport (
    COUNTER_SUBJECT_AT, Counter, CounterIdentity, PLACE_BITS, PLACE_MASK, Probe, Ref, Rule, Shard,
    Window, at,
)
from atp.engine.limits cimport CUSTOMER_ID_BYTES_MAX, WINDOW_STEPS
from atp.engine.native cimport hash64
from atp.engine.scratch cimport Tally
from atp.engine.words cimport (
    SUBJECT_CUSTOMER, SUBJECT_EVERYONE, SUBJECT_IP, SUBJECT_RESERVATION, SUBJECT_SUBNET,
)
from atp.journal.reading cimport CounterEntry, Cursor, Restoring, StepEntry


cdef inline bint fits_subject(const Rule* rule, const CounterEntry* entry) noexcept nogil:
    # Does the rule count such a subject?
    if rule.subject == SUBJECT_CUSTOMER:
        return 1 <= entry.subject_size <= CUSTOMER_ID_BYTES_MAX
    if rule.subject == SUBJECT_IP or rule.subject == SUBJECT_SUBNET:
        return entry.subject_size == 4 or entry.subject_size == 16
    return rule.subject == SUBJECT_EVERYONE and entry.subject_size == 0


cdef inline const char* sound_steps(
    const Rule* rule, const CounterEntry* entry, Cursor steps
) noexcept nogil:
    cdef StepEntry step
    cdef int64_t before = -1
    cdef int64_t left = entry.units
    if not rule.window:
        if entry.step_count:
            return b"a count has a window that its cap has not"
        return NULL
    if entry.step_count > WINDOW_STEPS + 2:
        return b"a window has more steps than any has"
    while steps.read_step(&step):
        if step.step <= before or step.units < 0 or step.units > left:
            return b"law 6: a count is not the sum of its window"
        before = step.step
        left -= step.units
    if left:
        return b"law 6: a count is not the sum of its window"
    return NULL


cdef inline bint restore_window(
    Restoring* restoring, Shard* shard, Counter* counter, uint32_t count, const char* steps
) noexcept nogil:
    # False when memory is short.
    cdef uint32_t room = 2
    cdef Window* window
    while room < count:
        room *= 2
    counter.window = allocate(shard, window_bytes(room))
    if not counter.window:
        return False
    window = window_of(restoring.engine, counter)
    window.count = count
    window.room = room
    memcpy(entries_of(window), steps, count * sizeof(StepEntry))
    return True


cdef inline const char* find_place(
    Restoring* restoring, Shard* shard, const CounterEntry* entry, CounterIdentity* identity,
    const Rule* rule, Tally* tally
) noexcept nogil:
    # What the counter is of, and where a command looks for it; there must be none yet.
    cdef Probe probe
    identity.sku = 0
    if entry.sku:
        identity.sku = restoring.numbers[entry.sku >> PLACE_BITS].find(entry.sku)
    if (identity.sku != 0) != rule.per_sku or (entry.sku != 0) != rule.per_sku:
        return b"a count is of a SKU that is not there, or of none"
    identity.cap_uid = entry.cap_uid
    identity.subject_size = entry.subject_size
    tally.subject_hash = hash64(identity.subject, entry.subject_size)
    aim(tally, rule, identity.sku)
    if tally.shard != shard.number:
        return b"a count is of another shard"
    probe.data = identity
    probe.size = sizeof(CounterIdentity)
    probe.hash = tally.hash
    if shard.counters.find(probe):
        return b"a count is there twice"
    return NULL


cdef inline bint make_restored(
    Restoring* restoring, Shard* shard, const CounterEntry* entry, const CounterIdentity* identity,
    uint64_t hash, const char* steps
) noexcept nogil:
    # False when memory is short.
    cdef Counter* counter
    cdef Ref ref = 0
    if shard.counters.make_room(hash):
        ref = allocate(shard, COUNTER_SUBJECT_AT + entry.subject_size)
    if not ref:
        return False
    counter = <Counter*>at(restoring.engine, ref)
    counter.units = entry.units
    counter.last_sequence = restoring.parts.head.sequence  # or before it: all of that is durable
    counter.window = 0
    counter.cap_uid = entry.cap_uid
    counter.sku = identity.sku
    counter.subject_size = entry.subject_size
    memcpy(<char*>counter + COUNTER_SUBJECT_AT, identity.subject, entry.subject_size)
    shard.counters.insert(ref & PLACE_MASK, hash)
    return not entry.step_count or restore_window(
        restoring, shard, counter, entry.step_count, steps)


cdef inline const char* restore_counter(
    Restoring* restoring, Shard* shard, Cursor* cursor
) noexcept nogil:
    # Returns what is wrong, or NULL; an empty text when memory is short.
    cdef CounterEntry entry
    cdef CounterIdentity identity
    cdef const Rule* rule
    cdef const char* wrong
    cdef Cursor steps
    cdef Tally tally
    if not cursor.read_counter(&entry):
        return b"a count is cut off"
    identity.subject = <const uint8_t*>cursor.take(entry.subject_size)
    steps.at = cursor.take(entry.step_count * sizeof(StepEntry))
    steps.end = cursor.at
    if identity.subject == NULL or steps.at == NULL:
        return b"a count is cut off"
    rule = restoring.rule_of_uid(entry.cap_uid)
    if rule == NULL or not fits_subject(rule, &entry):
        return b"a count is of a cap that is not there, or does not count so"
    wrong = sound_steps(rule, &entry, steps)
    if wrong == NULL:
        wrong = find_place(restoring, shard, &entry, &identity, rule, &tally)
    if wrong != NULL:
        return wrong
    if entry.units < 1:
        return b"a count counts nothing"
    if not make_restored(restoring, shard, &entry, &identity, tally.hash, steps.at):
        return b""
    restoring.found[shard.number].counters += 1
    restoring.found[shard.number].counted += entry.units
    return NULL
