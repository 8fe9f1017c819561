# Caps as they are set: from vocabulary.Cap to the rules that the engine reads. A table is changed
# with every shard locked, so that a cap holds from the next command on. Included by _core.pyx.

cdef uint64_t EVERY_SHARD = <uint64_t>0xFFFFFFFFFFFFFFFF


cdef object bad_cap(str field, str reason):
    return words.FieldInvalid(f"cap.{field}", reason)


cdef int64_t ask_limit(limit, str field) except? -1:
    if limit is None:
        return L.NO_LIMIT
    if not 0 <= limit <= bounds.NEVER:
        raise bad_cap(field, f"is {limit}; 0 or more, or unset for no limit")
    return min(<int64_t>limit, L.NO_LIMIT - 1)


cdef string ask_name(str text, str field) except *:
    cdef uint32_t size = 0
    cdef const char* data = text_of(text, field, 1, &size)
    return string(data, size)


cdef int ask_prefix(length, bint of_subnet, int most, str field) except -1:
    if of_subnet and not 1 <= length <= most:
        raise bad_cap(field, f"is {length}; 1 to {most} are allowed")
    if not of_subnet and length != 0:
        raise bad_cap(field, "is only for caps on subnets")
    return length


cdef string ask_range(str text, str field, uint8_t* prefix, uint32_t* size) except *:
    # An address or a CIDR range: its prefix length and its address, as one key.
    cdef uint8_t[17] key
    cdef uint8_t[17] masked
    cdef int most, length
    cdef int mapped = 0
    address, slash, bits = text.partition("/")
    try:
        size[0] = ask_address(address, field, key + 1)
    except words.FieldInvalid:
        size[0] = 0
    if size[0] == 0:
        raise words.FieldInvalid(field, f"{text!r} is no address and no CIDR range")
    if size[0] == 4 and u":" in address:
        mapped = 96
    most = size[0] * 8
    length = most
    if slash:
        if not (bits.isascii() and bits.isdecimal() and len(bits) <= 3):
            raise words.FieldInvalid(field, f"{text!r} has no prefix length of 0 to {most}")
        length = int(bits) - mapped
        if not 0 <= length <= most:
            raise words.FieldInvalid(field, f"{text!r} has no prefix length of 0 to {most}")
    memcpy(masked, key, sizeof(key))
    L.mask_address(masked + 1, size[0], length)
    if memcmp(masked + 1, key + 1, size[0]) != 0:
        raise words.FieldInvalid(field, f"{text!r} has bits set beyond its prefix length")
    key[0] = <uint8_t>length
    prefix[0] = <uint8_t>length
    return string(<char*>key, size[0] + 1)


cdef int add_overrides(L.Rule* rule, CapFacts* facts, overrides) except -1:
    cdef bint customers = rule.subject == SUBJECT_CUSTOMER
    cdef string key
    cdef uint8_t prefix = 0
    cdef uint32_t size = 0
    cdef int64_t limit
    if len(overrides) > bounds.CAP_OVERRIDES_MAX:
        raise bad_cap("overrides", f"has {len(overrides)}; at most {bounds.CAP_OVERRIDES_MAX}")
    if overrides and rule.subject not in (SUBJECT_IP, SUBJECT_SUBNET, SUBJECT_CUSTOMER):
        raise bad_cap("overrides", "is only for caps on addresses, subnets and customers")
    prefixes = {4: set(), 16: set()}
    seen = set()
    for number, one in enumerate(overrides):
        field = f"cap.overrides[{number}].subject"
        if customers:
            key = ask_name(one.subject, field)
        else:
            key = ask_range(one.subject, field, &prefix, &size)
            prefixes[size].add(prefix)
        if <bytes>key in seen:
            raise words.FieldInvalid(field, "is named twice")
        seen.add(<bytes>key)
        limit = ask_limit(one.limit, f"overrides[{number}].limit_quantity")
        rule.add_override(key, limit)
        facts.override_subjects.push_back(one.subject.encode())
        facts.override_limits.push_back(limit)
    for length in sorted(prefixes[4], reverse=True):
        rule.prefixes4.push_back(length)
    for length in sorted(prefixes[16], reverse=True):
        rule.prefixes6.push_back(length)
    return 0


cdef int compile_cap(cap, L.Rule* rule, CapFacts* facts) except -1:
    # Everything of the rule but what its place in the table decides.
    rule.cap_id = ask_name(cap.cap_id, "cap.cap_id")
    if cap.subject not in NUMBERS["CapSubject"].values():
        raise bad_cap("subject", f"{cap.subject} is no subject")
    if cap.mode not in NUMBERS["CapMode"].values():
        raise bad_cap("mode", f"{cap.mode} is no mode")
    rule.subject = cap.subject
    rule.mode = cap.mode
    rule.per_sku = bool(cap.per_sku)
    rule.limit = ask_limit(cap.limit, "limit_quantity")
    if len(cap.skus) > bounds.CAP_SKUS_MAX:
        raise bad_cap("skus", f"has {len(cap.skus)} SKUs; at most {bounds.CAP_SKUS_MAX}")
    for number, sku in enumerate(cap.skus):
        facts.skus.push_back(ask_name(sku, f"cap.skus[{number}]"))
    rule.has_skus = len(cap.skus) > 0
    if cap.window_ns is not None:
        if not 1 <= cap.window_ns <= bounds.WINDOW_MAX:
            raise bad_cap("window", f"is {cap.window_ns} ns; more than 0, at most 366 days")
        rule.window = cap.window_ns
        rule.step = (rule.window + bounds.WINDOW_STEPS - 1) // bounds.WINDOW_STEPS
    of_subnet = cap.subject == SUBJECT_SUBNET
    rule.prefix4 = <uint8_t>ask_prefix(cap.ipv4_prefix_length, of_subnet, 32, "ipv4_prefix_length")
    rule.prefix6 = <uint8_t>ask_prefix(cap.ipv6_prefix_length, of_subnet, 128, "ipv6_prefix_length")
    rule.home_shard = L.home(hash64(rule.cap_id.data(), rule.cap_id.size()))
    add_overrides(rule, facts, cap.overrides)
    facts.cap_id = rule.cap_id
    facts.subject = rule.subject
    facts.prefix4 = rule.prefix4
    facts.prefix6 = rule.prefix6
    facts.per_sku = rule.per_sku
    facts.limit = rule.limit
    facts.window = rule.window
    facts.mode = rule.mode
    rule.definition = write_cap(facts[0])
    return 0


cdef Py_ssize_t rule_number_of(L.Engine* engine, str cap_id) except -1:
    cdef string wanted = ask_name(cap_id, "cap_id")
    cdef size_t i
    for i in range(engine.caps.rules.size()):
        if engine.caps.rules[i].cap_id == wanted:
            return i
    raise words.CapNotFound(f"no cap has the id {cap_id!r}")


cdef object cap_status(L.Engine* engine, dict caps, Py_ssize_t number):
    cdef L.Rule* rule = &engine.caps.rules[number]
    cap = caps[(<bytes>rule.cap_id).decode()]
    return words.CapStatus(
        cap, f"{rule.set_sequence:x}", rule.update_time,
        load(&rule.statistics.get().refused), load(&rule.statistics.get().shadow_refused))


cdef str etag_of(L.Engine* engine, str cap_id):
    return f"{engine.caps.rules[rule_number_of(engine, cap_id)].set_sequence:x}"


cdef bint counts_alike(old, new):
    # Do both count the same units for the same subjects?
    return (
        old.subject == new.subject
        and old.ipv4_prefix_length == new.ipv4_prefix_length
        and old.ipv6_prefix_length == new.ipv6_prefix_length
        and set(old.skus) == set(new.skus)
        and bool(old.per_sku) == bool(new.per_sku)
        and old.window_ns == new.window_ns
    )


cdef L.CapTable build_table(vector[L.Rule]& rules, list caps) except *:
    # The look-ups over rules in order of cap id.
    cdef L.CapTable table
    cdef uint32_t i
    cdef string name
    table.rules = rules
    for i in range(<uint32_t>rules.size()):
        if not rules[i].has_skus:
            table.for_all.push_back(i)
            continue
        for sku in sorted(set(caps[i].skus)):
            name = sku.encode()
            table.add_for_some(name, i)
    return table


cdef void build_hints(L.CapTable* table, L.CapPlan* plan) noexcept:
    # The first four of the caps whose counters are known as soon as the caller is.
    cdef L.Rule* rule
    cdef uint32_t i
    cdef int subject
    plan.hint_count = 0
    for subject in (SUBJECT_CUSTOMER, SUBJECT_IP):
        for i in range(<uint32_t>table.rules.size()):
            rule = &table.rules[i]
            if (rule.subject == subject and not rule.has_skus and not rule.per_sku
                    and plan.hint_count < 4):
                plan.hints[plan.hint_count] = rule.uid
                plan.hint_count += 1
        if subject == SUBJECT_CUSTOMER:
            plan.customer_hints = plan.hint_count


cdef int build_plan(L.CapTable* table, list caps, L.CapPlan* plan) except -1:
    cdef uint32_t i
    cdef L.Rule* rule
    pairs = set()
    build_hints(table, plan)
    plan.counts_addresses = 0
    plan.counts_customers = 0
    plan.everyone_shards = 0
    for i in range(<uint32_t>table.rules.size()):
        rule = &table.rules[i]
        if rule.subject == SUBJECT_IP:
            plan.counts_addresses = 1
        elif rule.subject == SUBJECT_CUSTOMER:
            plan.counts_customers = 1
        elif rule.subject == SUBJECT_SUBNET:
            pairs.add(rule.prefix4 * 256 + rule.prefix6)
        elif rule.subject == SUBJECT_EVERYONE and not rule.per_sku:
            plan.everyone_shards |= <int64_t>(<uint64_t>1 << rule.home_shard)
    if len(pairs) > bounds.SUBNET_PREFIXES_MAX:
        raise words.LimitReached("subnet_prefixes_max")
    plan.subnet_count = len(pairs)
    for number, pair in enumerate(sorted(pairs)):
        plan.subnets[<int>number] = pair
    return 0


cdef void install_plan(L.Engine* engine, const L.CapPlan* plan) noexcept nogil:
    # Field by field, because others read it without a lock; the generation last.
    cdef int i
    store(&engine.plan.counts_addresses, plan.counts_addresses)
    store(&engine.plan.counts_customers, plan.counts_customers)
    store(&engine.plan.everyone_shards, plan.everyone_shards)
    for i in range(bounds.SUBNET_PREFIXES_MAX):
        store(&engine.plan.subnets[i], plan.subnets[i])
    store(&engine.plan.subnet_count, plan.subnet_count)
    for i in range(4):
        store(&engine.plan.hints[i], plan.hints[i])
    store(&engine.plan.customer_hints, plan.customer_hints)
    store(&engine.plan.hint_count, plan.hint_count)
    store(&engine.plan.generation, engine.plan.generation + 1)


cdef void swap_in(
    L.Engine* engine, L.CapTable* table, const L.CapPlan* plan, Py_ssize_t number, bint anew,
    int64_t time, int64_t sequence
) noexcept nogil:
    # Every shard is locked. `number` is of the rule that is new; -1: one is gone.
    if number >= 0:
        table.rules[number].set_sequence = sequence
        table.rules[number].update_time = time
        if anew:
            table.rules[number].since_generation = <uint32_t>(engine.plan.generation + 1)
    L.swap_tables(engine.caps, table[0])
    install_plan(engine, plan)


cdef int64_t swap_table(
    L.Engine* engine, L.CapTable* table, const L.CapPlan* plan, const EventFacts* facts,
    Py_ssize_t number, bint anew, int64_t now
) noexcept nogil:
    # Returns the sequence, or less than 0 when a limit is in the way: minus its number.
    cdef int64_t sequence
    cdef int64_t time = enter(engine, now, EVERY_SHARD)
    cdef EventFacts stamped = facts[0]
    stamped.time = time
    sequence = -in_the_way(engine, False)
    if sequence == 0 and not promise_event(engine):
        sequence = -LIMIT_MEMORY
    if sequence == 0:
        sequence = record_change(engine, CAP_SET if number >= 0 else CAP_REMOVED, &stamped)
        swap_in(engine, table, plan, number, anew, time, sequence)
    unlock(engine, EVERY_SHARD)
    return sequence


cdef object unchanged_caps(int limit):
    if limit == LIMIT_MEMORY:
        return MemoryError("no memory to change the caps")
    return words.LimitReached(_LIMIT_NAMES[limit])


cdef Py_ssize_t enter_rule(
    L.Engine* engine, vector[L.Rule]& rules, L.Rule* rule, bint known, bint anew
) except -1:
    # Puts the rule where its cap id belongs, and returns where that is. A known cap keeps its
    # statistics, and its counts unless they start anew.
    cdef Py_ssize_t number = 0
    while number < <Py_ssize_t>rules.size() and rules[number].cap_id < rule.cap_id:
        number += 1
    if known:
        rule.statistics = rules[number].statistics
        rule.uid = rules[number].uid
        rule.since_generation = rules[number].since_generation
        rules[number] = rule[0]
    else:
        rules.insert(rules.begin() + number, rule[0])
    if anew:
        rules[number].uid = engine.next_cap_uid
        engine.next_cap_uid += 1
    return number


cdef list caps_in_order(vector[L.Rule]& rules, dict caps):
    return [caps[(<bytes>rules[i].cap_id).decode()] for i in range(rules.size())]


cdef object install_cap(L.Engine* engine, dict caps, cap, int64_t now, str etag):
    cdef L.Rule rule
    cdef CapFacts cap_facts
    cdef EventFacts facts
    cdef vector[L.Rule] rules
    cdef L.CapTable table
    cdef L.CapPlan plan
    cdef Py_ssize_t number
    cdef int64_t sequence
    cdef bint anew
    compile_cap(cap, &rule, &cap_facts)
    cap = words.Cap(*cap)._replace(skus=tuple(cap.skus), overrides=tuple(cap.overrides))
    old = caps.get(cap.cap_id)
    if etag and (old is None or etag_of(engine, cap.cap_id) != etag):
        raise words.CapChanged(f"the cap {cap.cap_id!r} has changed; read it again")
    if old is None and len(caps) >= bounds.CAPS_MAX:
        raise words.LimitReached("caps_max")
    if old is not None:
        number = rule_number_of(engine, cap.cap_id)
        if engine.caps.rules[number].definition == rule.definition:
            return cap_status(engine, caps, number), engine.caps.rules[number].set_sequence
    anew = old is None or not counts_alike(old, cap)
    rules = engine.caps.rules
    number = enter_rule(engine, rules, &rule, old is not None, anew)
    in_order = caps_in_order(rules, {**caps, cap.cap_id: cap})
    table = build_table(rules, in_order)
    build_plan(&table, in_order, &plan)
    clear_facts(&facts, now)
    facts.message = rule.definition.data()
    facts.message_size = rule.definition.size()
    facts.counts_reset = anew
    with nogil:
        sequence = swap_table(engine, &table, &plan, &facts, number, anew, now)
    if sequence < 0:
        raise unchanged_caps(<int>-sequence)
    caps[cap.cap_id] = cap
    return cap_status(engine, caps, number), sequence


cdef int64_t uninstall_cap(
    L.Engine* engine, dict caps, str cap_id, int64_t now, str etag
) except -1:
    cdef EventFacts facts
    cdef vector[L.Rule] rules
    cdef L.CapTable table
    cdef L.CapPlan plan
    cdef Py_ssize_t number = rule_number_of(engine, cap_id)
    cdef int64_t sequence
    cdef string name = cap_id.encode()
    if etag and etag_of(engine, cap_id) != etag:
        raise words.CapChanged(f"the cap {cap_id!r} has changed; read it again")
    rules = engine.caps.rules
    rules.erase(rules.begin() + number)
    in_order = caps_in_order(rules, caps)
    table = build_table(rules, in_order)
    build_plan(&table, in_order, &plan)
    clear_facts(&facts, now)
    facts.message = name.data()
    facts.message_size = name.size()
    with nogil:
        sequence = swap_table(engine, &table, &plan, &facts, -1, False, now)
    if sequence < 0:
        raise unchanged_caps(<int>-sequence)
    del caps[cap_id]
    return sequence
