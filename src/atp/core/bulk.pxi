# Many commands at once, from NumPy structured arrays, without the GIL: for loading, benchmarks and
# analysis. Every command is checked before the first is judged. Included by _core.pyx.

# A command read from its row, some rows before it is judged.
cdef struct Read:
    ReserveCommand reserve
    ChangeCommand change
    uint8_t[16] address
    LineAsk[LINES_AHEAD] asks
    bint reserving


# What judging needs besides: room for the lines of a largest basket, and for what is said of them.
cdef struct Desk:
    LineAsk* asks
    Scratch scratch


cdef struct Outcome:  # a row of OUTCOME_DTYPE
    uint8_t outcome
    uint8_t repeated
    uint8_t limit
    int32_t line_index
    int64_t sequence
    uint8_t[16] key


cdef void read_row(
    L.Engine* engine, const Bulk* bulk, const char* row, int64_t now, Read* into
) noexcept nogil:
    # Reads a command and sends for what it will look up. Its lines, if many, are read later.
    cdef int64_t kind = byte_at(row, bulk.kind)
    cdef uint32_t count = <uint32_t>count_at(row, bulk.line_count)
    into.reserving = kind == KIND_RESERVE
    lines_at(bulk, row, into.asks, LINES_AHEAD)
    if into.reserving:
        read_reserve(bulk, row, now, into)
        into.reserve.lines = into.asks
        into.reserve.line_count = count
        fetch_for_reserve(engine, &into.reserve, into.asks)
    else:
        read_change(bulk, row, now, into)
        into.change.kind = <uint8_t>(kind + COMMIT - 2)
        into.change.lines = into.asks
        into.change.line_count = count
        fetch_for_change(engine, &into.change.key)


cdef inline void fetch_row(const Rows* rows, Py_ssize_t number) noexcept nogil:
    cdef Py_ssize_t at = 0
    if number < rows.count:
        while at < rows.stride:
            prefetch_to_read(rows.data + number * rows.stride + at)
            at += 64


cdef inline void fetch_blocks(L.Engine* engine, const Read* read) noexcept nogil:
    if read.reserving:
        fetch_blocks_for_reserve(engine, &read.reserve, read.asks)
    else:
        fetch_blocks_for_change(engine, &read.change.key)


cdef void read_reserve(const Bulk* bulk, const char* row, int64_t now, Read* into) noexcept nogil:
    cdef ReserveCommand* command = &into.reserve
    command.request_id = text_at(row, bulk.request_id, &command.request_id_size)
    command.caller.customer = text_at(row, bulk.customer_id, &command.caller.customer_size)
    command.caller.address = into.address
    command.caller.address_size = address_at(row, bulk.client_ip, into.address)
    command.replaces = key_at(<const uint8_t*>row + bulk.key.at)
    command.has_replaces = command.replaces.high != 0 or command.replaces.low != 0
    command.now = now
    command.ttl = number_at(row, bulk.ttl)
    command.expire_time = number_at(row, bulk.expire)
    command.default_ttl = 0
    command.allow_partial = (byte_at(row, bulk.flags) & FLAG_PARTIAL) != 0


cdef void read_change(const Bulk* bulk, const char* row, int64_t now, Read* into) noexcept nogil:
    cdef ChangeCommand* command = &into.change
    cdef bint extending = byte_at(row, bulk.kind) == KIND_EXTEND
    command.key = key_at(<const uint8_t*>row + bulk.key.at)
    command.request_id = text_at(row, bulk.request_id, &command.request_id_size)
    command.now = now
    command.ttl = number_at(row, bulk.ttl) if extending else 0
    command.expire_time = number_at(row, bulk.expire) if extending else 0
    command.default_ttl = 0


cdef bint still_sound(const Read* read) noexcept nogil:
    # The rows were checked in the caller's memory and copied from there afterwards; whoever wrote
    # to them meanwhile gets outcome 0, and nothing is judged.
    cdef const LineAsk* lines = read.reserve.lines if read.reserving else read.change.lines
    cdef uint32_t count = read.reserve.line_count if read.reserving else read.change.line_count
    cdef uint32_t i
    if read.reserving and (read.reserve.request_id_size == 0 or count == 0 or read.reserve.ttl < 0):
        return False
    for i in range(count):
        if lines[i].sku_size == 0 or not 1 <= lines[i].quantity <= bounds.QUANTITY_MAX:
            return False
    return count <= bounds.BASKET_LINES_MAX


cdef void judge_read(
    L.Engine* engine, const Bulk* bulk, const char* row, Read* read, Desk* desk, char* into
) noexcept nogil:
    cdef uint32_t count = read.reserve.line_count if read.reserving else read.change.line_count
    if count > LINES_AHEAD:
        lines_at(bulk, row, desk.asks, bounds.BASKET_LINES_MAX)
        if read.reserving:
            read.reserve.lines = desk.asks
        else:
            read.change.lines = desk.asks
    if not still_sound(read):
        (<Outcome*>into).outcome = 0
    elif read.reserving:
        judge_reserve(engine, &read.reserve, &desk.scratch, <Outcome*>into)
    else:
        judge_change(engine, &read.change, &desk.scratch, <Outcome*>into)


cdef void judge_reserve(
    L.Engine* engine, const ReserveCommand* command, Scratch* scratch, Outcome* outcome
) noexcept nogil:
    cdef ReserveAnswer answer
    reserve(engine, command, scratch, &answer, NULL)
    outcome.outcome = answer.outcome
    outcome.repeated = answer.repeated
    outcome.limit = answer.limit
    outcome.line_index = -1
    outcome.sequence = answer.sequence
    write_key(outcome.key, &answer.key)


cdef void judge_change(
    L.Engine* engine, const ChangeCommand* command, Scratch* scratch, Outcome* outcome
) noexcept nogil:
    cdef ChangeAnswer answer
    change(engine, command, scratch, &answer, NULL)
    outcome.outcome = answer.outcome
    outcome.repeated = answer.repeated
    outcome.limit = 0
    outcome.line_index = <int32_t>answer.line_index
    outcome.sequence = answer.sequence
    write_key(outcome.key, &command.key)


cdef void judge_all(
    L.Engine* engine, const Bulk* bulk, const Rows* outcomes, int64_t now, LineAsk* asks
) noexcept nogil:
    # Commands are read ROWS_AHEAD before they are judged: what they look up is there by then. Their
    # rows are fetched as long before that.
    cdef Read[ROWS_AHEAD] ahead
    cdef Desk desk
    cdef Py_ssize_t count = bulk.commands.count
    cdef Py_ssize_t i
    desk.asks = asks
    open_scratch(&desk.scratch)
    for i in range(min(count, <Py_ssize_t>ROWS_AHEAD)):
        read_row(engine, bulk, bulk.commands.data + i * bulk.commands.stride, now, &ahead[i])
    for i in range(count):
        judge_read(engine, bulk, bulk.commands.data + i * bulk.commands.stride,
                   &ahead[i % ROWS_AHEAD], &desk, outcomes.data + i * outcomes.stride)
        if i + ROWS_AHEAD // 2 < count:
            fetch_blocks(engine, &ahead[(i + ROWS_AHEAD // 2) % ROWS_AHEAD])
        if i + ROWS_AHEAD < count:
            fetch_row(&bulk.commands, i + 2 * ROWS_AHEAD)
            read_row(engine, bulk, bulk.commands.data + (i + ROWS_AHEAD) * bulk.commands.stride,
                     now, &ahead[i % ROWS_AHEAD])
    close_scratch(&desk.scratch)


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
        judge_all(engine, &bulk, &outcomes, now, asks)
    free(asks)
    return answers


cdef int check_texts(array, str field) except -1:
    fits = (isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind == "S"
            and 1 <= array.dtype.itemsize <= bounds.SKU_BYTES_MAX)
    if not fits:
        raise words.FieldInvalid(field, "is no array of one dimension of S1 to S64")
    return 0


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
    check_texts(skus, "skus")
    if (not isinstance(on_hand, np.ndarray) or on_hand.shape != skus.shape
            or on_hand.dtype != np.int64):
        raise words.FieldInvalid("on_hand", "has one int64 for each SKU")
    if len(on_hand) and not (0 <= on_hand.min() and on_hand.max() <= bounds.STOCK_MAX):
        raise words.FieldInvalid("on_hand", f"has a value outside 0 to {bounds.STOCK_MAX}")
    names = rows_of(skus)
    units = rows_of(on_hand)
    column.at = 0
    column.width = skus.dtype.itemsize
    outcomes = np.zeros(len(skus), dtype=np.uint8)
    into = <uint8_t*>cnp.PyArray_DATA(outcomes)
    memset(&command, 0, sizeof(command))
    command.now = now
    for i in range(names.count):
        if not is_name(names.data + i * names.stride, column, 1):
            raise words.FieldInvalid(f"skus[{i}]", "is empty, or no UTF-8")
    with nogil:
        for i in range(names.count):
            command.sku = text_at(names.data + i * names.stride, column, &size)
            command.sku_size = size
            memcpy(&command.quantity, units.data + i * units.stride, 8)
            if size == 0 or not 0 <= command.quantity <= bounds.STOCK_MAX:
                continue  # changed since it was checked: outcome 0
            supply(engine, &command, &answer, &view)
            into[i] = answer.outcome
    return outcomes


def request_keys(request_ids):
    """The reservation keys (V16) of request ids (S1 to S64): XXH3-128, canonical order."""
    cdef Rows names, rows
    cdef Column column
    cdef uint32_t size = 0
    cdef Key key
    cdef const char* text
    cdef Py_ssize_t i
    check_texts(request_ids, "request_ids")
    names = rows_of(request_ids)
    keys = np.zeros(len(request_ids), dtype="V16")
    rows = rows_of(keys)
    column.at = 0
    column.width = request_ids.dtype.itemsize
    for i in range(names.count):
        text = text_at(names.data + i * names.stride, column, &size)
        key = hash128(text, size)
        write_key(<uint8_t*>rows.data + i * rows.stride, &key)
    return keys
