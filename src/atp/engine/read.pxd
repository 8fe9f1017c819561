# Reading: copies of reservations and of SKUs' counters, taken under the locks for use after them.
# Changes nothing.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy


from atp.engine.layout cimport (
    Engine, Line, Record, Sku, address_of, address_size, customer_of, held_of, kind_of,
    lines_of, name_of, sku_at,
)
from atp.engine.limits cimport NEVER
from atp.engine.native cimport Key
from atp.engine.words cimport STATE_EXPIRED, STATE_HELD

cdef enum:
    INLINE_VIEW_LINES = 16

cdef struct LineView:
    const char* name  # SKUs live as long as the engine
    uint32_t name_size
    int64_t quantity
    int64_t held
    int64_t committed
    int64_t released
    int64_t expired

cdef struct View:
    uint8_t brief  # key, state, times and sequences alone are wanted
    Key key
    int64_t create_time
    int64_t expire_time  # or when it ended
    int64_t grant_sequence
    int64_t last_sequence
    LineView* lines
    uint32_t line_count
    uint8_t state  # 0: there is no reservation
    uint8_t partial
    uint8_t memory_short  # there is one, but no memory to copy it
    uint8_t address_size
    uint8_t address[16]
    uint8_t customer_size
    char customer[64]
    LineView own_lines[INLINE_VIEW_LINES]

cdef struct SkuView:
    int64_t on_hand
    int64_t held
    int64_t sold
    int64_t received
    int64_t adjusted
    int64_t first_expire  # NEVER when nothing is held
    int64_t last_sequence
    uint8_t known


cdef inline void open_view(View* view, bint brief) noexcept nogil:
    view.brief = brief
    view.state = 0
    view.memory_short = 0
    view.lines = view.own_lines
    view.line_count = 0
    view.address_size = 0
    view.customer_size = 0


cdef inline void close_view(View* view) noexcept nogil:
    if view.lines != view.own_lines:
        free(view.lines)


cdef inline void view_caller(
    View* view, const uint8_t* address, uint32_t address_size, const char* customer,
    uint32_t customer_size
) noexcept nogil:
    if view.brief:
        return
    view.address_size = <uint8_t>address_size
    if address_size:  # who names none points nowhere
        memcpy(view.address, address, address_size)
    view.customer_size = <uint8_t>customer_size
    if customer_size:
        memcpy(view.customer, customer, customer_size)


cdef inline void view_lines(Engine* engine, Record* record, View* view) noexcept nogil:
    cdef Line* lines = lines_of(record)
    cdef LineView* copy
    cdef Sku* sku
    cdef int64_t rest
    cdef uint32_t i
    if record.line_count > INLINE_VIEW_LINES:
        view.lines = <LineView*>malloc(record.line_count * sizeof(LineView))
        if view.lines == NULL:
            view.lines = view.own_lines
            view.memory_short = 1
            return
    view.line_count = record.line_count
    for i in range(record.line_count):
        sku = sku_at(engine, lines[i].sku)
        copy = &view.lines[i]
        copy.name = name_of(sku)
        copy.name_size = sku.name_size
        copy.quantity = lines[i].quantity
        copy.committed = lines[i].committed
        copy.released = lines[i].released
        rest = held_of(&lines[i])
        copy.held = rest if view.state == STATE_HELD else 0
        copy.expired = rest if view.state == STATE_EXPIRED else 0


cdef inline void view_granted(Engine* engine, Record* record, View* view) noexcept nogil:
    # All but whose it is.
    view.key = record.key
    view.create_time = record.create_time
    view.expire_time = record.expire_time
    view.grant_sequence = record.grant_sequence
    view.last_sequence = record.last_sequence
    view.state = <uint8_t>kind_of(record)
    view.partial = (record.flags & 16) != 0
    if not view.brief:
        view_lines(engine, record, view)


cdef inline void view_record(Engine* engine, Record* record, View* view) noexcept nogil:
    view_caller(view, address_of(record), address_size(record), customer_of(record),
                record.customer_size)
    view_granted(engine, record, view)


cdef inline void view_sku(const Sku* sku, SkuView* view) noexcept nogil:
    view.known = 1
    view.on_hand = sku.on_hand
    view.held = sku.held
    view.sold = sku.sold
    view.received = sku.received
    view.adjusted = sku.adjusted
    view.first_expire = sku.first_expire
    view.last_sequence = sku.last_sequence
