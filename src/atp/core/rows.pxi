# Rows of NumPy structured arrays as the engine reads them, and whether they are well-formed.
# Included by _core.pyx, before bulk.pxi.

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
    uint64_t le64toh(uint64_t number) noexcept

cdef enum:
    KIND_RESERVE = 1
    KIND_EXTEND = 4
    FLAG_PARTIAL = 1
    ROWS_AHEAD = 8  # commands read ahead

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
    fits = 1 <= kind.itemsize <= width if kinds == "S" else kind.itemsize == width
    if kind.kind not in kinds or not fits or not kind.isnative:
        raise words.FieldInvalid(name, f"has the type {kind}; {kinds}{width} is needed")
    column.at = at_byte
    column.width = kind.itemsize
    return column


cdef Bulk open_bulk(commands, lines) except *:
    cdef Bulk bulk
    if not isinstance(commands, np.ndarray) or not isinstance(lines, np.ndarray):
        raise words.FieldInvalid("commands", "and lines are NumPy arrays")
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
    # NumPy pads text with zero bytes; eight are looked at together.
    cdef Py_ssize_t width = column.width
    cdef uint64_t eight = 0
    while width >= 8:
        memcpy(&eight, row + column.at + width - 8, 8)
        if eight:
            size[0] = <uint32_t>(width - (count_leading_zeros(le64toh(eight)) >> 3))
            return row + column.at
        width -= 8
    while width and row[column.at + width - 1] == 0:
        width -= 1
    size[0] = <uint32_t>width
    return row + column.at


cdef inline bint is_name(const char* row, Column column, uint32_t least) noexcept nogil:
    # Text of at least so many bytes, in UTF-8.
    cdef uint32_t size = 0
    cdef const char* text = text_at(row, column, &size)
    return size >= least and is_text(text, size)


cdef inline int64_t number_at(const char* row, Column column) noexcept nogil:
    # Of 8 bytes, which need not be aligned.
    cdef int64_t value
    memcpy(&value, row + column.at, sizeof(value))
    return value


cdef inline int32_t count_at(const char* row, Column column) noexcept nogil:
    # Of 4 bytes.
    cdef int32_t value
    memcpy(&value, row + column.at, sizeof(value))
    return value


cdef inline uint8_t byte_at(const char* row, Column column) noexcept nogil:
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


cdef inline uint32_t lines_at(
    const Bulk* bulk, const char* row, LineAsk* asks, uint32_t most
) noexcept nogil:
    # Reads a command's lines, at most so many; returns how many.
    cdef uint32_t count = min(<uint32_t>count_at(row, bulk.line_count), most)
    cdef int64_t first = number_at(row, bulk.first_line)
    cdef const char* line
    cdef uint32_t i
    for i in range(count):
        line = bulk.lines.data + (first + i) * bulk.lines.stride
        asks[i].sku = text_at(line, bulk.sku, &asks[i].sku_size)
        asks[i].quantity = number_at(line, bulk.quantity)
        asks[i].hash = 0
    return count


cdef Py_ssize_t first_bad_line(const Bulk* bulk) noexcept nogil:
    cdef const char* row
    cdef int64_t quantity
    cdef Py_ssize_t i
    for i in range(bulk.lines.count):
        row = bulk.lines.data + i * bulk.lines.stride
        quantity = number_at(row, bulk.quantity)
        if quantity < 1 or quantity > bounds.QUANTITY_MAX or not is_name(row, bulk.sku, 1):
            return i
    return -1


cdef int problem_of_lines(const LineAsk* asks, uint32_t count, bint named_once) noexcept nogil:
    # What only the lines of one command together show.
    cdef Scratch scratch
    cdef LineTable table
    cdef uint64_t content = 0
    cdef uint32_t bad_line = 0
    cdef int problem = 0
    open_scratch(&scratch)
    if not room_for_lines(&scratch, count):
        problem = 8
    elif not add_up(&scratch, &table, asks, count, &content, &bad_line):
        problem = 6
    elif named_once and scratch.line_count < count:
        problem = 7
    close_scratch(&scratch)
    return problem


cdef int problem_of_row(const Bulk* bulk, const char* row, LineAsk* asks) noexcept nogil:
    cdef int64_t kind = byte_at(row, bulk.kind)
    cdef int64_t first = number_at(row, bulk.first_line)
    cdef int64_t count = count_at(row, bulk.line_count)
    cdef bint reserving = kind == KIND_RESERVE
    cdef uint32_t size = 0
    cdef const char* request_id = text_at(row, bulk.request_id, &size)
    if kind < KIND_RESERVE or kind > KIND_EXTEND:
        return 1
    if size == 0 and (reserving or count):
        return 2
    if count < (1 if reserving else 0) or count > bounds.BASKET_LINES_MAX:
        return 3
    if kind == KIND_EXTEND and count:
        return 9
    if not is_text(request_id, size) or not is_name(row, bulk.customer_id, 0):
        return 10
    if count and (first < 0 or first > bulk.lines.count - count):
        return 4
    if (reserving or kind == KIND_EXTEND) and (
            number_at(row, bulk.ttl) < 0
            or (number_at(row, bulk.ttl) == 0) == (number_at(row, bulk.expire) == 0)):
        return 5
    if count > 1:
        return problem_of_lines(
            asks, lines_at(bulk, row, asks, bounds.BASKET_LINES_MAX), not reserving)
    return 0


cdef Py_ssize_t first_bad_command(const Bulk* bulk, LineAsk* asks, int* problem) noexcept nogil:
    # The index of the first command that is malformed, or -1.
    cdef Py_ssize_t i
    for i in range(bulk.commands.count):
        problem[0] = problem_of_row(bulk, bulk.commands.data + i * bulk.commands.stride, asks)
        if problem[0]:
            return i
    return -1


_BULK_PROBLEMS = {
    1: ("kind", "is none of 1 reserve, 2 commit, 3 release, 4 extend"),
    2: ("request_id", "is empty; a reserve, and a change of named lines, need one"),
    3: ("line_count", "is out of bounds"),
    4: ("first_line", "and line_count reach outside the array of lines"),
    5: ("ttl_ns", "and expire_time_ns: exactly one of them is given, and ttl_ns is not negative"),
    6: ("first_line", f"lines of one SKU add up to more than {bounds.QUANTITY_MAX} units"),
    7: ("first_line", "a SKU is named twice"),
    8: ("first_line", "no memory to check the lines"),
    9: ("line_count", "is not 0; an extension has no lines"),
    10: ("request_id", "or customer_id is no UTF-8"),
}
