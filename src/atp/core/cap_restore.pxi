# Caps as a snapshot has them, with the numbers that their counters and holds know them by. For a
# fresh engine that nobody else has yet. Included by _core.pyx, after cap_table.pxi.

cdef int restore_rule(L.Rule* rule, row) except -1:
    cdef CapFacts facts
    cap, uid, since_generation, set_sequence, update_time, refused, shadow_refused = row
    compile_cap(cap, rule, &facts)
    rule.uid = uid
    rule.since_generation = since_generation
    rule.set_sequence = set_sequence
    rule.update_time = update_time
    rule.statistics.get().refused = refused
    rule.statistics.get().shadow_refused = shadow_refused
    return 0


cdef int restore_table(
    L.Engine* engine, dict caps, list rows, int64_t generation, uint32_t next_cap_uid
) except -1:
    cdef vector[L.Rule] rules
    cdef L.CapTable table
    cdef L.CapPlan plan
    if caps or load(&engine.shared.sequence):
        raise ValueError("caps are restored into a fresh engine only")
    in_order = [row[0] for row in rows]
    encoded = [cap.cap_id.encode() for cap in in_order]
    if encoded != sorted(set(encoded)) or len(rows) > bounds.CAPS_MAX:
        raise ValueError("caps are restored in the order of their ids, each once")
    if len({row[1] for row in rows}) != len(rows):
        raise ValueError("two caps have one uid")
    for row in rows:
        if not (0 < row[1] < next_cap_uid and row[2] <= generation):
            raise ValueError("a cap has a number that was not given yet")
        rules.push_back(L.Rule())
        restore_rule(&rules[rules.size() - 1], row)
    table = build_table(rules, in_order)
    build_plan(&table, in_order, &plan)
    L.swap_tables(engine.caps, table)
    install_plan(engine, &plan)
    store(&engine.plan.generation, generation)
    engine.next_cap_uid = next_cap_uid
    for cap in in_order:
        caps[cap.cap_id] = cap
    return 0
