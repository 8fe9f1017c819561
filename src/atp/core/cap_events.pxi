# Caps as events tell that they were set and removed, with the sequences and times that they had.
# Judges nothing, records nothing. Included by _core.pyx, after cap_table.pxi.

cdef int swap_applied(
    L.Engine* engine, L.CapTable* table, const L.CapPlan* plan, Py_ssize_t number, bint anew,
    int64_t time, int64_t sequence
) except -1:
    cdef bint is_next
    with nogil:
        lock(engine, EVERY_SHARD)
        is_next = sequence == load(&engine.shared.sequence) + 1
        if is_next:
            swap_in(engine, table, plan, number, anew, time, sequence)
            store(&engine.shared.sequence, sequence)
            raise_to(&engine.time, time)
        unlock(engine, EVERY_SHARD)
    if not is_next:
        raise words.FieldInvalid("sequence", f"{sequence} is not the next one")
    return 0


cdef int apply_cap_set(
    L.Engine* engine, dict caps, cap, bint anew, int64_t sequence, int64_t time
) except -1:
    cdef L.Rule rule
    cdef CapFacts cap_facts
    cdef vector[L.Rule] rules
    cdef L.CapTable table
    cdef L.CapPlan plan
    cdef Py_ssize_t number
    compile_cap(cap, &rule, &cap_facts)
    old = caps.get(cap.cap_id)
    if not anew and (old is None or not counts_alike(old, cap)):
        raise bad_cap("cap_id", f"{cap.cap_id!r} goes on with counts that it did not have")
    rules = engine.caps.rules
    number = enter_rule(engine, rules, &rule, old is not None, anew)
    in_order = caps_in_order(rules, {**caps, cap.cap_id: cap})
    table = build_table(rules, in_order)
    build_plan(&table, in_order, &plan)
    swap_applied(engine, &table, &plan, number, anew, time, sequence)
    caps[cap.cap_id] = cap
    return 0


cdef int apply_cap_removed(
    L.Engine* engine, dict caps, str cap_id, int64_t sequence, int64_t time
) except -1:
    cdef vector[L.Rule] rules = engine.caps.rules
    cdef L.CapTable table
    cdef L.CapPlan plan
    cdef Py_ssize_t number = rule_number_of(engine, cap_id)
    rules.erase(rules.begin() + number)
    in_order = caps_in_order(rules, caps)
    table = build_table(rules, in_order)
    build_plan(&table, in_order, &plan)
    swap_applied(engine, &table, &plan, -1, False, time, sequence)
    del caps[cap_id]
    return 0
