# From the engine's structs to Python: replies in the words of vocabulary.py. Included by _core.pyx.

cdef str key_text(const Key* key):
    cdef char[32] text
    write_key_text(key, text)
    return text[:32].decode("ascii")


cdef str address_text(const uint8_t* address, unsigned int size):
    cdef char[64] text
    cdef size_t length = write_address(address, size, text)
    return text[:length].decode("ascii")


cdef str name_text(const char* name, Py_ssize_t size):
    return name[:size].decode("utf-8")


cdef object time_or_none(int64_t time):
    return None if time == bounds.NEVER else time


cdef object reservation_of(View* view):
    # None when there is none.
    cdef LineView* line
    cdef uint32_t i
    if view.memory_short:
        raise MemoryError("the command was judged, but there is no memory to copy the reservation")
    if view.state == 0:
        return None
    lines = []
    for i in range(view.line_count):
        line = &view.lines[i]
        lines.append(words.ReservationLine(
            name_text(line.name, line.name_size), line.quantity, line.held, line.committed,
            line.released, line.expired))
    held = view.state == STATE_HELD
    return words.Reservation(
        key_text(&view.key), _STATES[view.state], tuple(lines), view.create_time,
        view.expire_time if held else None, None if held else view.expire_time,
        view.last_sequence, name_text(view.customer, view.customer_size),
        address_text(view.address, view.address_size))


cdef object reserve_reply(
    L.Engine* engine, ReserveAnswer* answer, Scratch* scratch, View* view
):
    line_results = ()
    refusals = ()
    if answer.with_lines:
        line_results = tuple([line_result(&scratch.lines[i]) for i in range(scratch.line_count)])
        refusals = tuple([
            cap_refusal(scratch, &answer.refusals[i]) for i in range(answer.refusal_count)])
    return words.ReserveReply(
        _RESERVE_OUTCOMES[answer.outcome], reservation_of(view), answer.sequence,
        bool(answer.repeated), line_results, refusals, _LIMIT_NAMES[answer.limit], answer.reveals)


cdef object line_result(const JudgedLine* line):
    return words.LineResult(
        line.line_index, _LINE_OUTCOMES[line.outcome], line.granted, line.available, line.held,
        time_or_none(line.first_expire))


cdef object cap_refusal(Scratch* scratch, CapRefusal* refusal):
    cdef JudgedLine* line = &scratch.lines[refusal.line]
    cap_id = name_text(refusal.cap_id, refusal.cap_id_size)
    sku = name_text(line.name, line.name_size) if refusal.per_sku else ""
    return words.CapRefusal(
        cap_id,
        subject_text(refusal.subject_kind, refusal.prefix, refusal.subject, refusal.subject_size),
        sku, refusal.limit, refusal.in_force, refusal.asked)


cdef str subject_text(int kind, int prefix, const uint8_t* subject, unsigned int size):
    cdef char[64] text
    cdef size_t length = write_subject(
        kind == SUBJECT_CUSTOMER, prefix if kind == SUBJECT_SUBNET else -1, subject, size, text)
    return name_text(text, length)


cdef object change_hold(
    L.Engine* engine, int kind, str reservation_id, lines, now_ns, str request_id, ttl, expire_time,
    default_ttl
):
    # Commit, release and extend.
    cdef ChangeCommand command
    cdef ChangeAnswer answer
    cdef Scratch scratch
    cdef View view
    cdef _Asked asked
    memset(&command, 0, sizeof(command))
    command.kind = <uint8_t>kind
    command.key = ask_key(reservation_id, "reservation_id")
    command.now = time_of(now_ns, "now_ns")
    command.request_id = text_of(request_id, "request_id", 0, &command.request_id_size)
    if kind == EXTEND:
        ask_expiration(ttl, expire_time, default_ttl, &command.ttl, &command.expire_time,
                       &command.default_ttl)
    else:
        asked = ask_lines(lines, 0)
        command.lines = asked.lines
        command.line_count = asked.count
        if asked.count and not command.request_id_size:
            raise words.FieldInvalid(
                "request_id", "is required with lines: a retry would repeat them")
    open_view(&view, False)
    open_scratch(&scratch)
    with nogil:
        change(engine, &command, &scratch, &answer, &view)
    try:
        if answer.outcome == 0:
            raise words.FieldInvalid(f"lines[{answer.line_index}].sku", "is named twice")
        latest = answer.latest_expire_time or None
        return words.ChangeReply(
            _CHANGE_OUTCOMES[answer.outcome], reservation_of(&view), answer.sequence,
            bool(answer.repeated), answer.line_index, latest,
            _LIMIT_NAMES[answer.limit], answer.reveals)
    finally:
        close_scratch(&scratch)
        close_view(&view)


cdef object stock_of(str sku, const SkuView* view):
    if not view.known:
        return None
    return words.Stock(
        sku, view.on_hand, view.held, view.on_hand - view.held, view.sold, view.received,
        view.adjusted, time_or_none(view.first_expire), view.last_sequence)


cdef object supply_reply(L.Engine* engine, SupplyCommand* command, str sku):
    cdef SupplyAnswer answer
    cdef SkuView view
    with nogil:
        supply(engine, command, &answer, &view)
    return words.StockReply(
        _STOCK_OUTCOMES[answer.outcome], stock_of(sku, &view), answer.sequence,
        bool(answer.repeated), _LIMIT_NAMES[answer.limit], answer.reveals)


cdef object availability_of(L.Engine* engine, list skus, int64_t now):
    # At one instant: all their shards are locked together.
    cdef Py_ssize_t count = len(skus)
    cdef Py_ssize_t i
    cdef _Asked asked
    cdef SkuView* views
    if not 1 <= count <= bounds.BASKET_LINES_MAX:
        raise words.FieldInvalid("skus", f"has {count}; 1 to {bounds.BASKET_LINES_MAX} are allowed")
    try:
        asked = ask_lines([(sku, 1) for sku in skus], 1)
    except words.FieldInvalid as error:
        field = error.field.replace("lines[", "skus[").replace(".sku", "")
        raise words.FieldInvalid(field, error.reason) from None
    views = <SkuView*>malloc(count * sizeof(SkuView))
    if views == NULL:
        raise MemoryError("no memory for the counters of many SKUs")
    try:
        with nogil:
            read_skus(engine, asked.lines, asked.count, now, views)
        return [stock_of(skus[i], &views[i]) for i in range(count)]
    finally:
        free(views)
