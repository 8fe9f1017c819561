# The lines of a request: adding up lines of one SKU, and finding a line by SKU. Owns the one
# table that both need; knows no stock.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from atp.engine.limits cimport QUANTITY_MAX
from atp.engine.native cimport hash64
from atp.engine.scratch cimport JudgedLine, LineAsk, Scratch

cdef enum:
    LINEAR_MOST = 12  # lines that are looked through one by one
    TABLE_SLOTS = 8192  # twice the lines of the largest basket

# Open addressing over a scratch's lines: slot = line number + 1, 0 is free.
cdef struct LineTable:
    uint32_t last_slot  # slots used, less one; 0: no table, few lines
    uint16_t slots[TABLE_SLOTS]


cdef inline void open_table(LineTable* table, uint32_t lines) noexcept nogil:
    cdef uint32_t slots = 32
    table.last_slot = 0
    if lines > LINEAR_MOST:
        while slots < lines * 2:
            slots *= 2
        table.last_slot = slots - 1
        memset(table.slots, 0, slots * sizeof(uint16_t))


cdef inline bint is_line(
    const JudgedLine* line, const char* name, size_t size, uint64_t hash
) noexcept nogil:
    return line.hash == hash and line.name_size == size and memcmp(line.name, name, size) == 0


cdef inline uint32_t find_line(
    const Scratch* scratch, LineTable* table, const char* name, size_t size, uint64_t hash,
    bint add
) noexcept nogil:
    # The number of the line with this SKU, or line_count when there is none; with `add`, a new
    # last line is then entered under it.
    cdef uint32_t i
    if table.last_slot == 0:
        for i in range(scratch.line_count):
            if is_line(&scratch.lines[i], name, size, hash):
                return i
        return scratch.line_count
    i = <uint32_t>hash & table.last_slot
    while table.slots[i]:
        if is_line(&scratch.lines[table.slots[i] - 1], name, size, hash):
            return table.slots[i] - 1
        i = (i + 1) & table.last_slot
    if add:
        table.slots[i] = <uint16_t>(scratch.line_count + 1)
    return scratch.line_count


cdef inline bint add_up(
    Scratch* scratch, LineTable* table, const LineAsk* asks, uint32_t count, uint64_t* content,
    uint32_t* bad_line
) noexcept nogil:
    # Fills the scratch with one line a SKU, in order of first mention, and hashes the lines as
    # sent. False when a sum is over QUANTITY_MAX; bad_line says where. The scratch has room.
    cdef uint64_t[3] mixed
    cdef uint64_t hash
    cdef uint32_t i, number
    cdef JudgedLine* line
    open_table(table, count)
    scratch.line_count = 0
    content[0] = count
    for i in range(count):
        hash = asks[i].hash or hash64(asks[i].sku, asks[i].sku_size)
        mixed[0] = content[0]
        mixed[1] = hash
        mixed[2] = <uint64_t>asks[i].quantity
        content[0] = hash64(mixed, sizeof(mixed))
        number = find_line(scratch, table, asks[i].sku, asks[i].sku_size, hash, True)
        line = &scratch.lines[number]
        if number == scratch.line_count:
            scratch.line_count += 1
            line.name = asks[i].sku
            line.name_size = <uint8_t>asks[i].sku_size
            line.hash = hash
            line.line_index = i
            line.asked = 0
            line.granted = 0
            line.sku = NULL
            line.ref = 0
        line.asked += asks[i].quantity
        if line.asked > QUANTITY_MAX:
            bad_line[0] = i
            return False
    return True
