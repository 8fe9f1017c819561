# From Python to the engine's structs: is a command well-formed? Raises FieldInvalid with the
# field's path. Included by _core.pyx.

cdef int64_t at_least(int64_t value, int64_t least, str name) except? -1:
    if value < least:
        raise ValueError(f"{name} is {value}; it is at least {least}")
    return value


cdef object whole(number, str field):
    # Numbers that are not whole are refused, not cut off.
    try:
        return _index(number)
    except TypeError:
        raise words.FieldInvalid(field, f"is {number!r}; a whole number is needed") from None


cdef int64_t time_of(now, str field) except? -1:
    now = whole(now, field)
    if not 0 <= now <= bounds.TIME_MAX:
        raise words.FieldInvalid(field, f"is {now}; 0 to {bounds.TIME_MAX} nanoseconds")
    return now


cdef const char* text_of(str text, str field, Py_ssize_t least, uint32_t* size) except NULL:
    # The text's own UTF-8 bytes, which live as long as it does. All names have the same bound.
    cdef Py_ssize_t bytes_count
    cdef const char* data
    try:
        data = PyUnicode_AsUTF8AndSize(text, &bytes_count)
    except UnicodeEncodeError as error:
        raise words.FieldInvalid(field, f"is no Unicode text: {error.reason}") from None
    if not least <= bytes_count <= bounds.SKU_BYTES_MAX:
        raise words.FieldInvalid(
            field, f"has {bytes_count} bytes; {least} to {bounds.SKU_BYTES_MAX} are allowed")
    size[0] = <uint32_t>bytes_count
    return data


@cython.final
cdef class _Asked:
    # Lines as the engine wants them, and what keeps their bytes alive.
    cdef LineAsk* lines
    cdef uint32_t count
    cdef list names

    def __dealloc__(self):
        free(self.lines)


cdef _Asked ask_lines(lines, Py_ssize_t least):
    cdef _Asked asked = _Asked()
    cdef Py_ssize_t count, i
    cdef uint32_t size = 0
    items = list(lines)
    count = len(items)
    if count < least:
        raise words.FieldInvalid("lines", "is empty; a basket has at least one line")
    if count > bounds.BASKET_LINES_MAX:
        raise words.FieldInvalid(
            "lines", f"has {count} lines; at most {bounds.BASKET_LINES_MAX} are allowed")
    asked.names = []
    asked.lines = <LineAsk*>malloc(max(1, count) * sizeof(LineAsk))
    if asked.lines == NULL:
        raise MemoryError("no memory for the lines of a basket")
    for i in range(count):
        name, quantity = items[i]
        if type(name) is not str:
            raise TypeError(f"lines[{i}].sku is {type(name).__name__}; a SKU is a str")
        asked.names.append(name)
        try:
            asked.lines[i].sku = text_of(name, "sku", 1, &size)
        except words.FieldInvalid as error:
            raise words.FieldInvalid(f"lines[{i}].sku", error.reason) from None
        asked.lines[i].sku_size = size
        if type(quantity) is not int:
            quantity = whole(quantity, f"lines[{i}].quantity")
        if not 1 <= quantity <= bounds.QUANTITY_MAX:
            raise words.FieldInvalid(
                f"lines[{i}].quantity", f"is {quantity}; 1 to {bounds.QUANTITY_MAX} are allowed")
        asked.lines[i].quantity = quantity
        asked.lines[i].hash = 0
    asked.count = <uint32_t>count
    return asked


cdef object too_many_units(uint32_t line):
    return words.FieldInvalid(
        f"lines[{line}].quantity",
        f"brings its SKU to more than {bounds.QUANTITY_MAX} units over the whole basket")


cdef int ask_expiration(
    ttl, expire_time, default_ttl, int64_t* ttl_out, int64_t* expire_out, int64_t* default_out
) except -1:
    if ttl is not None and expire_time is not None:
        raise words.FieldInvalid("ttl", "is given together with expire_time; give one of them")
    if ttl is not None:
        ttl = whole(ttl, "ttl")
        if not 1 <= ttl <= bounds.NEVER:
            raise words.FieldInvalid("ttl", f"is {ttl}; more than 0 nanoseconds, within 64 bits")
        ttl_out[0] = ttl
    elif expire_time is not None:
        expire_time = whole(expire_time, "expire_time")
        if not -bounds.NEVER <= expire_time <= bounds.NEVER:
            raise words.FieldInvalid("expire_time", "is more nanoseconds than 64 bits hold")
        expire_out[0] = expire_time or -1  # 0 is "not given" to the engine, and as far in the past
    elif not 1 <= default_ttl <= bounds.NEVER:
        raise words.FieldInvalid("ttl", "is missing, and there is no default")
    else:
        default_out[0] = default_ttl
    return 0


cdef uint32_t ask_address(str text, str field, uint8_t* into) except? 1:
    # The address's size: 0, 4 or 16 bytes.
    cdef bytes encoded
    cdef uint32_t size
    if not text:
        return 0
    encoded = text.encode("utf-8", "replace")
    size = read_address(encoded, len(encoded), into)
    if size == NO_ADDRESS:
        shown = (<bytes>quoted(encoded)).decode("utf-8", "replace")
        raise words.FieldInvalid(field, f"{shown} is no IPv4 or IPv6 address")
    return size


cdef Key ask_key(str text, str field) except *:
    cdef Key key
    cdef Py_ssize_t size = 0
    cdef const char* data
    if text.isascii():
        data = PyUnicode_AsUTF8AndSize(text, &size)
        if read_key(data, size, &key):
            return key
    raise words.FieldInvalid(field, "is no reservation id: 32 lower-case hexadecimal digits")


cdef int64_t ask_units(units, str field) except? -1:
    units = whole(units, field)
    if not 0 <= units <= bounds.STOCK_MAX:
        raise words.FieldInvalid(field, f"is {units}; 0 to {bounds.STOCK_MAX} are allowed")
    return units


cdef int64_t ask_delta(delta) except? 0:
    # A delta beyond twice the bound is as far out of range as twice the bound.
    cdef int64_t most = 2 * bounds.STOCK_MAX
    delta = whole(delta, "delta_quantity")
    if delta == 0:
        raise words.FieldInvalid("delta_quantity", "is 0; units to add, or, negative, to take away")
    if not -bounds.NEVER <= delta <= bounds.NEVER:
        raise words.FieldInvalid("delta_quantity", "is more than 64 bits hold")
    return max(-most, min(most, delta))
