# Many commands at once, from NumPy structured arrays, without the GIL: for loading, benchmarks and
# analysis. Every command is checked before the first is judged. Included by _core.pyx.

cdef void judge_row(
    L.Engine* engine, const Bulk* bulk, const char* row, LineAsk* asks, int64_t now, char* into
) noexcept nogil:
    cdef uint32_t count = lines_at(bulk, row, asks, bounds.BASKET_LINES_MAX)
    if number_at(row, bulk.kind) == KIND_RESERVE:
        reserve_row(engine, bulk, row, asks, count, now, into)
    else:
        change_row(engine, bulk, row, asks, count, now, into)


cdef void fetch_row(L.Engine* engine, const Bulk* bulk, const char* row) noexcept nogil:
    # Brings into the cache what a command that is soon to be judged will look up.
    cdef LineAsk[LINES_AHEAD] asks
    cdef ReserveCommand command
    cdef uint8_t[16] address
    cdef Key key
    if number_at(row, bulk.kind) == KIND_RESERVE:
        command.lines = asks
        command.line_count = lines_at(bulk, row, asks, LINES_AHEAD)
        command.request_id = text_at(row, bulk.request_id, &command.request_id_size)
        command.caller.customer = text_at(row, bulk.customer_id, &command.caller.customer_size)
        command.caller.address = address
        command.caller.address_size = address_at(row, bulk.client_ip, address)
        fetch_for_reserve(engine, &command)
    else:
        key = key_at(<const uint8_t*>row + bulk.key.at)
        fetch_for_change(engine, &key)


cdef struct Outcome:  # a row of OUTCOME_DTYPE
    uint8_t outcome
    uint8_t repeated
    uint8_t limit
    int32_t line_index
    int64_t sequence
    uint8_t[16] key


cdef void reserve_row(
    L.Engine* engine, const Bulk* bulk, const char* row, const LineAsk* asks, uint32_t count,
    int64_t now, char* into
) noexcept nogil:
    cdef ReserveCommand command
    cdef ReserveAnswer answer
    cdef Scratch scratch
    cdef uint8_t[16] address
    cdef Outcome* outcome = <Outcome*>into
    command.request_id = text_at(row, bulk.request_id, &command.request_id_size)
    command.lines = asks
    command.line_count = count
    command.caller.customer = text_at(row, bulk.customer_id, &command.caller.customer_size)
    command.caller.address = address
    command.caller.address_size = address_at(row, bulk.client_ip, address)
    command.replaces = key_at(<const uint8_t*>row + bulk.key.at)
    command.has_replaces = command.replaces.high != 0 or command.replaces.low != 0
    command.now = now
    command.ttl = number_at(row, bulk.ttl)
    command.expire_time = number_at(row, bulk.expire)
    command.default_ttl = 0
    command.allow_partial = (number_at(row, bulk.flags) & FLAG_PARTIAL) != 0
    open_scratch(&scratch)
    reserve(engine, &command, &scratch, &answer, NULL)
    close_scratch(&scratch)
    outcome.outcome = answer.outcome
    outcome.repeated = answer.repeated
    outcome.limit = answer.limit
    outcome.line_index = <int32_t>answer.bad_line if answer.outcome == 0 else -1
    outcome.sequence = answer.sequence
    write_key(outcome.key, &answer.key)


cdef void change_row(
    L.Engine* engine, const Bulk* bulk, const char* row, const LineAsk* asks, uint32_t count,
    int64_t now, char* into
) noexcept nogil:
    cdef ChangeCommand command
    cdef ChangeAnswer answer
    cdef Scratch scratch
    cdef Outcome* outcome = <Outcome*>into
    command.kind = <uint8_t>(number_at(row, bulk.kind) + COMMIT - 2)
    command.key = key_at(<const uint8_t*>row + bulk.key.at)
    command.lines = asks
    command.line_count = count
    command.request_id = text_at(row, bulk.request_id, &command.request_id_size)
    command.now = now
    command.ttl = number_at(row, bulk.ttl) if command.kind == EXTEND else 0
    command.expire_time = number_at(row, bulk.expire) if command.kind == EXTEND else 0
    command.default_ttl = 0
    open_scratch(&scratch)
    change(engine, &command, &scratch, &answer, NULL)
    close_scratch(&scratch)
    outcome.outcome = answer.outcome
    outcome.repeated = answer.repeated
    outcome.limit = 0
    outcome.line_index = <int32_t>answer.line_index
    outcome.sequence = answer.sequence
    write_key(outcome.key, &command.key)


cdef int check_bulk(const Bulk* bulk, LineAsk* asks) except -1:
    # Everything is checked before anything is judged.
    cdef Py_ssize_t bad
    cdef int problem = 0
    with nogil:
        bad = first_bad_line(bulk)
    if bad >= 0:
        raise words.FieldInvalid(
            f"lines[{bad}]", f"needs a SKU, and a quantity of 1 to {bounds.QUANTITY_MAX}")
    with nogil:
        bad = first_bad_command(bulk, asks, &problem)
    if bad >= 0:
        field, reason = _BULK_PROBLEMS[problem]
        raise words.FieldInvalid(f"commands[{bad}].{field}", reason)
    return 0


cdef object execute_all(L.Engine* engine, commands, lines, int64_t now):
    cdef Bulk bulk
    cdef Rows outcomes
    cdef LineAsk* asks
    cdef const char* ahead
    cdef Py_ssize_t i
    bulk = open_bulk(commands, lines)
    answers = np.zeros(len(commands), dtype=OUTCOME_DTYPE)
    outcomes = rows_of(answers)
    asks = <LineAsk*>malloc(bounds.BASKET_LINES_MAX * sizeof(LineAsk))
    if asks == NULL:
        raise MemoryError("no memory for the lines of a basket")
    try:
        check_bulk(&bulk, asks)
    except words.FieldInvalid:
        free(asks)
        raise
    with nogil:
        for i in range(bulk.commands.count):
            if i + ROWS_AHEAD < bulk.commands.count:
                ahead = bulk.commands.data + (i + ROWS_AHEAD) * bulk.commands.stride
                fetch_row(engine, &bulk, ahead)
            judge_row(engine, &bulk, bulk.commands.data + i * bulk.commands.stride, asks, now,
                      outcomes.data + i * outcomes.stride)
    free(asks)
    return answers


cdef object load_all(L.Engine* engine, skus, on_hand, int64_t now):
    cdef SupplyCommand command
    cdef SupplyAnswer answer
    cdef SkuView view
    cdef Rows names, units
    cdef Column column
    cdef cnp.ndarray outcomes
    cdef uint8_t* into
    cdef Py_ssize_t i
    cdef uint32_t size = 0
    if skus.ndim != 1 or skus.dtype.kind != "S" or skus.dtype.itemsize > bounds.SKU_BYTES_MAX:
        raise words.FieldInvalid("skus", f"is of type {skus.dtype}; S1 to S64 is needed")
    if on_hand.shape != skus.shape or on_hand.dtype != np.int64:
        raise words.FieldInvalid("on_hand", "has one int64 for each SKU")
    if len(on_hand) and not (0 <= on_hand.min() and on_hand.max() <= bounds.STOCK_MAX):
        raise words.FieldInvalid("on_hand", f"has a value outside 0 to {bounds.STOCK_MAX}")
    if (np.char.str_len(skus) == 0).any():
        raise words.FieldInvalid("skus", "has an empty SKU")
    names = rows_of(skus)
    units = rows_of(on_hand)
    column.at = 0
    column.width = skus.dtype.itemsize
    outcomes = np.zeros(len(skus), dtype=np.uint8)
    into = <uint8_t*>cnp.PyArray_DATA(outcomes)
    memset(&command, 0, sizeof(command))
    command.now = now
    with nogil:
        for i in range(names.count):
            command.sku = text_at(names.data + i * names.stride, column, &size)
            command.sku_size = size
            memcpy(&command.quantity, units.data + i * units.stride, 8)
            supply(engine, &command, &answer, &view)
            into[i] = answer.outcome
    return outcomes


def request_keys(request_ids):
    """The reservation keys (V16) of request ids (S1 to S64): XXH3-128, canonical order."""
    cdef Rows names = rows_of(request_ids)
    cdef Column column
    cdef uint32_t size = 0
    cdef Key key
    cdef const char* text
    cdef Py_ssize_t i
    keys = np.zeros(len(request_ids), dtype="V16")
    cdef Rows rows = rows_of(keys)
    column.at = 0
    column.width = request_ids.dtype.itemsize
    for i in range(names.count):
        text = text_at(names.data + i * names.stride, column, &size)
        key = hash128(text, size)
        write_key(<uint8_t*>rows.data + i * rows.stride, &key)
    return keys
