# Many commands at once, from NumPy structured arrays, without the GIL: for loading, benchmarks and
# analysis. Every command is checked before the first is judged. Included by _core.pyx.

COMMAND_DTYPE = np.dtype([
    ("kind", "u1"), ("flags", "u1"), ("request_id", "S64"), ("key", "V16"), ("client_ip", "V16"),
    ("customer_id", "S64"), ("ttl_ns", "i8"), ("expire_time_ns", "i8"), ("first_line", "i8"),
    ("line_count", "i4"),
])
LINE_DTYPE = np.dtype([("sku", "S64"), ("quantity", "i8")])
OUTCOME_DTYPE = np.dtype([
    ("outcome", "u1"), ("repeated", "u1"), ("limit", "u1"), ("line_index", "i4"),
    ("sequence", "i8"), ("key", "V16"),
], align=True)

cdef extern from "<endian.h>" nogil:
    uint64_t be64toh(uint64_t number) noexcept
    uint64_t htobe64(uint64_t number) noexcept

cdef enum:
    KIND_RESERVE = 1
    KIND_EXTEND = 4
    FLAG_PARTIAL = 1
    ROWS_AHEAD = 4  # commands fetched ahead

# Where a field is in a row, and how wide it is.
cdef struct Column:
    Py_ssize_t at
    Py_ssize_t width

cdef struct Rows:
    char* data
    Py_ssize_t stride
    Py_ssize_t count

cdef struct Bulk:
    Rows commands
    Rows lines
    Column kind, flags, request_id, key, client_ip, customer_id, ttl, expire, first_line, line_count
    Column sku, quantity


cdef Rows rows_of(cnp.ndarray array):
    cdef Rows rows
    rows.data = <char*>cnp.PyArray_DATA(array)
    rows.stride = array.strides[0] if array.shape[0] else 0
    rows.count = array.shape[0]
    return rows


cdef Column column_of(array, str name, str kinds, Py_ssize_t width) except *:
    # Text may be of any width up to `width`; anything else has just that width.
    cdef Column column
    if name not in (array.dtype.names or ()):
        raise words.FieldInvalid(name, f"is no field of the array; it has {array.dtype.names}")
    kind, at_byte = array.dtype.fields[name][:2]
    if kind.kind not in kinds or (kind.itemsize != width if kinds != "S" else kind.itemsize > width):
        raise words.FieldInvalid(name, f"has the type {kind}; {kinds}{width} is needed")
    column.at = at_byte
    column.width = kind.itemsize
    return column


cdef Bulk open_bulk(commands, lines) except *:
    cdef Bulk bulk
    if commands.ndim != 1 or lines.ndim != 1:
        raise words.FieldInvalid("commands", "and lines are arrays of one dimension")
    bulk.commands = rows_of(commands)
    bulk.lines = rows_of(lines)
    bulk.kind = column_of(commands, "kind", "u", 1)
    bulk.flags = column_of(commands, "flags", "u", 1)
    bulk.request_id = column_of(commands, "request_id", "S", 64)
    bulk.key = column_of(commands, "key", "V", 16)
    bulk.client_ip = column_of(commands, "client_ip", "V", 16)
    bulk.customer_id = column_of(commands, "customer_id", "S", 64)
    bulk.ttl = column_of(commands, "ttl_ns", "i", 8)
    bulk.expire = column_of(commands, "expire_time_ns", "i", 8)
    bulk.first_line = column_of(commands, "first_line", "i", 8)
    bulk.line_count = column_of(commands, "line_count", "i", 4)
    bulk.sku = column_of(lines, "sku", "S", 64)
    bulk.quantity = column_of(lines, "quantity", "i", 8)
    return bulk


cdef inline const char* text_at(const char* row, Column column, uint32_t* size) noexcept nogil:
    # NumPy pads text with zero bytes.
    cdef Py_ssize_t width = column.width
    while width and row[column.at + width - 1] == 0:
        width -= 1
    size[0] = <uint32_t>width
    return row + column.at


cdef inline int64_t number_at(const char* row, Column column) noexcept nogil:
    cdef int64_t value = 0
    cdef int32_t narrow = 0
    if column.width == 8:
        memcpy(&value, row + column.at, 8)
        return value
    if column.width == 4:
        memcpy(&narrow, row + column.at, 4)
        return narrow
    return <uint8_t>row[column.at]


cdef inline Key key_at(const uint8_t* bytes) noexcept nogil:
    # The 16 bytes that the reservation's id shows in hexadecimal.
    cdef uint64_t[2] halves
    cdef Key key
    memcpy(halves, bytes, 16)
    key.high = be64toh(halves[0])
    key.low = be64toh(halves[1])
    return key


cdef inline void write_key(uint8_t* bytes, const Key* key) noexcept nogil:
    cdef uint64_t[2] halves
    halves[0] = htobe64(key.high)
    halves[1] = htobe64(key.low)
    memcpy(bytes, halves, 16)


cdef inline uint32_t address_at(const char* row, Column column, uint8_t* into) noexcept nogil:
    # 16 bytes, IPv4 mapped; all zero: none.
    cdef uint64_t[2] halves
    memcpy(halves, row + column.at, 16)
    memcpy(into, halves, 16)
    return plain_address(into, 16) if halves[0] or halves[1] else 0


cdef Py_ssize_t first_bad_command(const Bulk* bulk, int* problem) noexcept nogil:
    # The index of the first command that is malformed, or -1.
    cdef const char* row
    cdef uint32_t size = 0
    cdef int64_t kind, first, count
    cdef Py_ssize_t i
    for i in range(bulk.commands.count):
        row = bulk.commands.data + i * bulk.commands.stride
        kind = number_at(row, bulk.kind)
        text_at(row, bulk.request_id, &size)
        first = number_at(row, bulk.first_line)
        count = number_at(row, bulk.line_count)
        problem[0] = 0
        if kind < KIND_RESERVE or kind > KIND_EXTEND:
            problem[0] = 1
        elif size == 0 and (kind == KIND_RESERVE or count):
            problem[0] = 2
        elif count < (1 if kind == KIND_RESERVE else 0) or count > bounds.BASKET_LINES_MAX:
            problem[0] = 3
        elif count and (first < 0 or first > bulk.lines.count - count):
            problem[0] = 4
        elif kind != 2 and kind != 3 and (
                number_at(row, bulk.ttl) < 0
                or (number_at(row, bulk.ttl) == 0) == (number_at(row, bulk.expire) == 0)):
            problem[0] = 5
        if problem[0]:
            return i
    return -1


cdef Py_ssize_t first_bad_line(const Bulk* bulk) noexcept nogil:
    cdef const char* row
    cdef uint32_t size = 0
    cdef int64_t quantity
    cdef Py_ssize_t i
    for i in range(bulk.lines.count):
        row = bulk.lines.data + i * bulk.lines.stride
        text_at(row, bulk.sku, &size)
        quantity = number_at(row, bulk.quantity)
        if size == 0 or quantity < 1 or quantity > bounds.QUANTITY_MAX:
            return i
    return -1


BULK_PROBLEMS = {
    1: ("kind", "is none of 1 reserve, 2 commit, 3 release, 4 extend"),
    2: ("request_id", "is empty; a reserve, and a change of named lines, need one"),
    3: ("line_count", "is out of bounds"),
    4: ("first_line", "and line_count reach outside the array of lines"),
    5: ("ttl_ns", "and expire_time_ns: exactly one of them is given, and ttl_ns is not negative"),
}


cdef inline uint32_t lines_at(const Bulk* bulk, const char* row, LineAsk* asks, uint32_t most) noexcept nogil:
    # Reads a command's lines, at most so many; returns how many.
    cdef uint32_t count = min(<uint32_t>number_at(row, bulk.line_count), most)
    cdef int64_t first = number_at(row, bulk.first_line)
    cdef const char* line
    cdef uint32_t i
    for i in range(count):
        line = bulk.lines.data + (first + i) * bulk.lines.stride
        asks[i].sku = text_at(line, bulk.sku, &asks[i].sku_size)
        asks[i].quantity = number_at(line, bulk.quantity)
    return count


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


cdef object execute_all(L.Engine* engine, commands, lines, int64_t now):
    cdef Bulk bulk
    cdef Rows outcomes
    cdef LineAsk* asks
    cdef Py_ssize_t i, bad
    cdef int problem = 0
    bulk = open_bulk(commands, lines)
    answers = np.zeros(len(commands), dtype=OUTCOME_DTYPE)
    outcomes = rows_of(answers)
    bad = first_bad_command(&bulk, &problem)
    if bad >= 0:
        field, reason = BULK_PROBLEMS[problem]
        raise words.FieldInvalid(f"commands[{bad}].{field}", reason)
    bad = first_bad_line(&bulk)
    if bad >= 0:
        raise words.FieldInvalid(
            f"lines[{bad}]", f"needs a SKU, and a quantity of 1 to {bounds.QUANTITY_MAX}")
    asks = <LineAsk*>malloc(bounds.BASKET_LINES_MAX * sizeof(LineAsk))
    if asks == NULL:
        raise MemoryError("no memory for the lines of a basket")
    with nogil:
        for i in range(bulk.commands.count):
            if i + ROWS_AHEAD < bulk.commands.count:
                fetch_row(engine, &bulk, bulk.commands.data + (i + ROWS_AHEAD) * bulk.commands.stride)
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
