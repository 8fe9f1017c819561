# What a command needs while it is judged: its lines, and what the caps say of them. Lives on the
# caller's stack; baskets that do not fit take memory for the time of the call. Owns that memory;
# decides nothing.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from atp.engine.layout cimport Counter, Ref, Sku

cdef enum:
    INLINE_LINES = 16
    INLINE_TALLIES = 24
    INLINE_CLAIMS = 48
    INLINE_RULES = 32
    NO_TALLY = 0xFFFFFFFF

cdef extern from "atp/engine/line_ask.h" namespace "atp" nogil:
    struct LineAsk:
        const char* sku
        int64_t quantity
        uint64_t hash
        uint32_t sku_size

# A SKU of a basket while it is judged; lines of one SKU are one of these.
cdef struct JudgedLine:
    const char* name
    uint64_t hash
    Sku* sku  # NULL when unknown
    Ref ref
    uint32_t line_index  # of its first mention in the request
    int64_t asked
    int64_t granted
    int64_t available
    int64_t held
    int64_t first_expire
    uint32_t claims_begin  # its claims are [claims_begin, claims_end)
    uint32_t claims_end
    uint8_t name_size
    uint8_t outcome

# One count of one cap that concerns this command.
cdef struct Tally:
    Counter* counter  # NULL when nothing is in force yet
    int64_t in_force
    int64_t limit
    int64_t asked
    int64_t granted
    uint64_t hash  # of the counter's identity
    uint64_t subject_hash
    uint32_t rule
    uint32_t line  # the first judged line that it concerns
    uint32_t shard
    uint8_t failed
    uint8_t subject_size
    uint8_t masked[16]  # a subnet
    const uint8_t* subject  # NULL: `masked`

cdef inline const uint8_t* subject_of(const Tally* tally) noexcept nogil:
    if tally.subject == NULL:
        return &tally.masked[0]
    return tally.subject


# One line under one tally.
cdef struct Claim:
    uint32_t tally

cdef struct Scratch:
    JudgedLine* lines
    Tally* tallies
    Claim* claims
    uint32_t* rule_tallies  # by rule: its (last) tally, or NO_TALLY
    uint32_t line_count
    uint32_t tally_count
    uint32_t claim_count
    uint32_t line_room
    uint32_t tally_room
    uint32_t claim_room
    JudgedLine own_lines[INLINE_LINES]
    Tally own_tallies[INLINE_TALLIES]
    Claim own_claims[INLINE_CLAIMS]
    uint32_t own_rule_tallies[INLINE_RULES]


cdef inline void open_scratch(Scratch* scratch) noexcept nogil:
    scratch.lines = scratch.own_lines
    scratch.tallies = scratch.own_tallies
    scratch.claims = scratch.own_claims
    scratch.rule_tallies = scratch.own_rule_tallies
    scratch.line_room = INLINE_LINES
    scratch.tally_room = INLINE_TALLIES
    scratch.claim_room = INLINE_CLAIMS
    scratch.line_count = 0
    scratch.tally_count = 0
    scratch.claim_count = 0


cdef inline void close_scratch(Scratch* scratch) noexcept nogil:
    if scratch.lines != scratch.own_lines:
        free(scratch.lines)
    if scratch.tallies != scratch.own_tallies:
        free(scratch.tallies)
    if scratch.claims != scratch.own_claims:
        free(scratch.claims)
    if scratch.rule_tallies != scratch.own_rule_tallies:
        free(scratch.rule_tallies)


cdef inline void* widen(void* now, const void* own, size_t used, size_t wanted) noexcept nogil:
    cdef void* wider = malloc(wanted)
    if wider != NULL:
        memcpy(wider, now, used)
        if now != own:
            free(now)
    return wider


cdef inline bint room_for_lines(Scratch* scratch, uint32_t count) noexcept nogil:
    cdef void* wider
    if count <= scratch.line_room:
        return True
    wider = widen(scratch.lines, scratch.own_lines, 0, count * sizeof(JudgedLine))
    if wider == NULL:
        return False
    scratch.lines = <JudgedLine*>wider
    scratch.line_room = count
    return True


cdef inline bint room_for_rules(Scratch* scratch, uint32_t count) noexcept nogil:
    # Empties the tallies and readies them for this many rules; False when memory is short.
    cdef void* wider
    scratch.tally_count = 0
    scratch.claim_count = 0
    if scratch.rule_tallies != scratch.own_rule_tallies:
        free(scratch.rule_tallies)
        scratch.rule_tallies = scratch.own_rule_tallies
    if count > INLINE_RULES:
        wider = malloc(count * sizeof(uint32_t))
        if wider == NULL:
            return False
        scratch.rule_tallies = <uint32_t*>wider
    memset(scratch.rule_tallies, 0xFF, count * sizeof(uint32_t))
    return True


cdef inline Tally* add_tally(Scratch* scratch) noexcept nogil:
    # NULL when memory is short.
    cdef void* wider
    cdef uint32_t room
    if scratch.tally_count == scratch.tally_room:
        room = scratch.tally_room * 2
        wider = widen(scratch.tallies, scratch.own_tallies,
                      scratch.tally_count * sizeof(Tally), room * sizeof(Tally))
        if wider == NULL:
            return NULL
        scratch.tallies = <Tally*>wider
        scratch.tally_room = room
    scratch.tally_count += 1
    return &scratch.tallies[scratch.tally_count - 1]


cdef inline bint add_claim(Scratch* scratch, uint32_t tally) noexcept nogil:
    # False when memory is short.
    cdef void* wider
    cdef uint32_t room
    if scratch.claim_count == scratch.claim_room:
        room = scratch.claim_room * 2
        wider = widen(scratch.claims, scratch.own_claims,
                      scratch.claim_count * sizeof(Claim), room * sizeof(Claim))
        if wider == NULL:
            return False
        scratch.claims = <Claim*>wider
        scratch.claim_room = room
    scratch.claims[scratch.claim_count].tally = tally
    scratch.claim_count += 1
    return True
