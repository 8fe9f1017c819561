# A reserve as asked, its answer, and what the steps of judging it share. Owns what makes a repeat
# the same request; decides nothing.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool

from atp.engine.basket cimport LineTable
from atp.engine.caps cimport CapRefusal
from atp.engine.layout cimport Engine, Ref, Shard
from atp.engine.limits cimport CAP_REFUSALS_MAX
from atp.engine.native cimport Key, hash64
from atp.engine.records cimport Caller
from atp.engine.scratch cimport LineAsk, Scratch

# A reserve as asked. Its fields are within the bounds of limits.pxd: whoever fills it has checked.
cdef struct ReserveCommand:
    const char* request_id
    const LineAsk* lines
    Caller caller  # its hashes, and the key, only if they are known
    Key key
    Key replaces
    int64_t now
    int64_t ttl  # ns, 0: not given
    int64_t expire_time  # ns, used when ttl is not given; 0: not given either
    int64_t default_ttl
    uint32_t request_id_size
    uint32_t line_count
    cbool allow_partial
    cbool has_replaces
    cbool hashed  # the key and the caller's hashes are filled in

cdef struct ReserveAnswer:
    Key key  # of the reservation
    int64_t sequence
    int64_t reveals  # the newest change that the answer tells of or lets see
    uint32_t refusal_count
    uint32_t bad_line
    uint8_t outcome  # 0: malformed, the lines of one SKU add up to too many units at bad_line
    uint8_t repeated
    uint8_t limit
    uint8_t with_lines  # the scratch's lines are line results
    CapRefusal refusals[CAP_REFUSALS_MAX]

# What the steps of one reserve share.
cdef struct Case:
    Engine* engine
    const ReserveCommand* command
    Scratch* scratch
    ReserveAnswer* answer
    Caller caller
    Key key
    uint64_t fingerprint
    uint64_t mask
    int64_t now
    int64_t expire_time
    Shard* shard  # of the reservation
    Ref replaced  # 0: none
    LineTable table


cdef inline uint64_t fingerprint_of(const Case* case, uint64_t lines) noexcept nogil:
    # Content is everything the caller sent except the id.
    cdef uint64_t[9] content
    cdef const ReserveCommand* command = case.command
    content[0] = lines
    content[1] = case.caller.address_hash
    content[2] = case.caller.customer_hash
    content[3] = <uint64_t>command.ttl
    content[4] = <uint64_t>command.expire_time if command.ttl == 0 else 0
    content[5] = command.replaces.high if command.has_replaces else 0
    content[6] = command.replaces.low if command.has_replaces else 0
    content[7] = (1 if command.allow_partial else 0) + (2 if command.has_replaces else 0)
    content[8] = (case.caller.address_size << 8) + case.caller.customer_size
    return hash64(content, sizeof(content))
