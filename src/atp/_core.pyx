# The native engine's one compiled unit. The cimports below, from base to leaf, are the map of it:
#   native, limits, words, layout   what it is made of, and its numbers
#   text                            ids, addresses, subjects: from text and to text
#   arena, locks, expiry            memory, order of locks, when holds are due
#   stock, records, caps, counters  what it keeps
#   cut                             what a snapshot needs of those who change something meanwhile
#   ending, sweep, housekeep        giving units back, by request and by the clock; clearing up
#   basket, asked, replacing, judge, reserve   where a reserve is decided
#   change, supply                  commit, release, extend; stock from outside
#   gate                            what may change while the journal is short of room
#   ahead                           fetching into the cache what a batch will need
#   events                          what happened, for whoever remembers it
#   read, lookup, check, digest     copies, reading, recounts, a hash of the whole
#   soon                            how many lines end soon, for a live view
# `Engine` is its face in Python: it checks that a command is well-formed, lets go of the GIL, and
# shapes the answer. It decides nothing. The pieces in core/*.pxi translate between Python and the
# engine's structs.
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine cimport layout as L
from atp.engine cimport limits as bounds
from atp.engine.ahead cimport (
    LINES_AHEAD, fetch_blocks_for_change, fetch_blocks_for_reserve, fetch_for_change,
    fetch_for_reserve,
)
from atp.engine.asked cimport ReserveAnswer, ReserveCommand
from atp.engine.basket cimport LineTable, add_up
from atp.engine.caps cimport CapRefusal, move_window
from atp.engine.change cimport COMMIT, EXTEND, RELEASE, ChangeAnswer, ChangeCommand, change
from atp.engine.check cimport Recount, recount
from atp.engine.digest cimport Walk, digest, open_walk, rule_of
from atp.engine.events cimport (
    CAP_REMOVED, CAP_SET, CapFacts, EventFacts, RecordHead, Taken, clear_facts, count_written,
    promise_event, record_change, return_taken, take_tail, write_cap,
)
from atp.engine.gate cimport GATE_BEHIND, GATE_OPEN, in_the_way
from atp.engine.housekeep cimport housekeep
from atp.engine.locks cimport lock, unlock
from atp.engine.lookup cimport read_reservation, read_skus
from atp.engine.native cimport (
    Key, count_leading_zeros, hash64, hash128, load, prefetch_to_read, raise_to, store,
)
from atp.engine.read cimport (
    LineView, SkuView, View, close_view, open_view, view_record, view_sku,
)
from atp.engine.records cimport forget_old, is_receipt
from atp.engine.reserve cimport reserve
from atp.engine.scratch cimport (
    JudgedLine, LineAsk, Scratch, close_scratch, open_scratch, room_for_lines,
)
from atp.engine.soon cimport Soon, count_soon
from atp.engine.supply cimport SupplyAnswer, SupplyCommand, supply
from atp.engine.sweep cimport enter, expire_due
from atp.engine.text cimport (
    NO_ADDRESS, is_text, limit_name, plain_address, quoted, read_address, read_key, write_address,
    write_key_text, write_subject,
)
from atp.engine.words cimport *

import threading
from operator import index as _index

import numpy as np

cimport cython
cimport numpy as cnp

from atp import vocabulary as words

cnp.import_array()

include "core/numbers.pxi"
include "core/asking.pxi"
include "core/answering.pxi"
include "core/cap_table.pxi"
include "core/cap_events.pxi"
include "core/cap_restore.pxi"
include "core/keeping.pxi"
include "core/figures.pxi"
include "core/rows.pxi"
include "core/bulk.pxi"


@cython.final
cdef class Engine:
    """The reservation engine; `_core.pyi` documents every method."""

    def __cinit__(
        self, *, int64_t sku_max=16_777_216, int64_t live_holds_max=16_777_216,
        int64_t cap_counters_max=33_554_432, int64_t ended_max=1_000_000,
        int64_t remember_ns=3_600_000_000_000, int64_t longest_life_ns=86_400_000_000_000,
        bint record_events=False,
    ):
        cdef L.Settings settings
        settings.sku_max = at_least(sku_max, 1, "sku_max")
        settings.live_holds_max = at_least(live_holds_max, 1, "live_holds_max")
        settings.cap_counters_max = at_least(cap_counters_max, 0, "cap_counters_max")
        settings.ended_max = at_least(ended_max, 1, "ended_max")
        # A century and more is for ever; sums with times must fit 64 bits.
        settings.remember = min(at_least(remember_ns, 0, "remember_ns"), bounds.TIME_MAX - 1)
        settings.longest_life = min(
            at_least(longest_life_ns, 1, "longest_life_ns"), bounds.TIME_MAX - 1)
        settings.record_events = record_events
        self.engine = new L.Engine(settings)
        self.caps_guard = threading.Lock()
        self.due_guard = threading.Lock()
        self.caps = {}

    def __dealloc__(self):
        del self.engine

    def reserve(
        self, str request_id not None, lines, *, now_ns, ttl_ns=None, expire_time_ns=None,
        str client_ip="", str customer_id="", bint allow_partial=False, str replaces="",
        default_ttl_ns=0,
    ):
        cdef ReserveCommand command
        cdef ReserveAnswer answer
        cdef Scratch scratch
        cdef View view
        cdef uint8_t[16] address
        cdef L.Engine* engine = self.engine
        cdef _Asked asked = ask_lines(lines, 1)
        memset(&command, 0, sizeof(command))
        command.request_id = text_of(request_id, "request_id", 1, &command.request_id_size)
        command.lines = asked.lines
        command.line_count = asked.count
        command.now = time_of(now_ns, "now_ns")
        ask_expiration(ttl_ns, expire_time_ns, default_ttl_ns, &command.ttl, &command.expire_time,
                       &command.default_ttl)
        command.caller.customer = text_of(
            customer_id, "customer_id", 0, &command.caller.customer_size)
        command.caller.address = address
        command.caller.address_size = ask_address(client_ip, "client_ip", address)
        command.allow_partial = allow_partial
        if replaces:
            command.has_replaces = True
            command.replaces = ask_key(replaces, "replaces_reservation_id")
        open_view(&view, False)
        open_scratch(&scratch)
        with nogil:
            reserve(engine, &command, &scratch, &answer, &view)
        try:
            if answer.outcome == 0:
                raise too_many_units(answer.bad_line)
            return reserve_reply(engine, &answer, &scratch, &view)
        finally:
            close_scratch(&scratch)
            close_view(&view)

    def commit(self, str reservation_id not None, lines=(), *, now_ns, str request_id=""):
        return change_hold(
            self.engine, COMMIT, reservation_id, lines, now_ns, request_id, None, None, 0)

    def release(self, str reservation_id not None, lines=(), *, now_ns, str request_id=""):
        return change_hold(
            self.engine, RELEASE, reservation_id, lines, now_ns, request_id, None, None, 0)

    def extend(
        self, str reservation_id not None, *, now_ns, ttl_ns=None, expire_time_ns=None,
        str request_id="", default_ttl_ns=0,
    ):
        return change_hold(self.engine, EXTEND, reservation_id, (), now_ns, request_id, ttl_ns,
                           expire_time_ns, default_ttl_ns)

    def sweep(self, *, now_ns):
        cdef L.Engine* engine = self.engine
        cdef int64_t now = time_of(now_ns, "now_ns")
        cdef int64_t expired
        with nogil:
            expired = sweep_all(engine, now)
        return expired

    def get_reservation(self, str reservation_id not None, *, now_ns):
        cdef Key key = ask_key(reservation_id, "reservation_id")
        cdef L.Engine* engine = self.engine
        cdef int64_t now = time_of(now_ns, "now_ns")
        cdef View view
        open_view(&view, False)
        with nogil:
            read_reservation(engine, &key, now, &view)
        try:
            return reservation_of(&view)
        finally:
            close_view(&view)

    def get_availability(self, skus, *, now_ns):
        return availability_of(self.engine, list(skus), time_of(now_ns, "now_ns"))

    def set_stock(self, str sku not None, on_hand, *, now_ns, expected=None):
        cdef SupplyCommand command
        memset(&command, 0, sizeof(command))
        command.sku = text_of(sku, "sku", 1, &command.sku_size)
        command.quantity = ask_units(on_hand, "on_hand_quantity")
        if expected is not None:
            command.has_expected = True
            command.expected = ask_units(expected, "expected_on_hand_quantity")
        command.now = time_of(now_ns, "now_ns")
        return supply_reply(self.engine, &command, sku)

    def adjust_stock(self, str request_id not None, str sku not None, delta, reason, *, now_ns):
        cdef SupplyCommand command
        memset(&command, 0, sizeof(command))
        command.request_id = text_of(request_id, "request_id", 1, &command.request_id_size)
        command.sku = text_of(sku, "sku", 1, &command.sku_size)
        command.quantity = ask_delta(delta)
        if reason not in _KNOWN_REASONS:
            raise words.FieldInvalid("reason", f"{reason} is no reason")
        command.reason = reason
        command.now = time_of(now_ns, "now_ns")
        return supply_reply(self.engine, &command, sku)

    def list_stock(self, *, now_ns, page_size=1000, str page_token=""):
        return stock_page(self.engine, time_of(now_ns, "now_ns"), page_size, page_token)

    def set_cap(self, cap, *, now_ns, str etag=""):
        with self.caps_guard:
            return install_cap(self.engine, self.caps, cap, time_of(now_ns, "now_ns"), etag)

    def remove_cap(self, str cap_id not None, *, now_ns, str etag=""):
        with self.caps_guard:
            return uninstall_cap(self.engine, self.caps, cap_id, time_of(now_ns, "now_ns"), etag)

    def apply_cap(self, str cap_id not None, cap, *, sequence, time_ns, bint counts_reset=False):
        with self.caps_guard:
            if cap is None:
                apply_cap_removed(self.engine, self.caps, cap_id, whole(sequence, "sequence"),
                                  time_of(time_ns, "time_ns"))
            else:
                apply_cap_set(self.engine, self.caps, cap, counts_reset,
                              whole(sequence, "sequence"), time_of(time_ns, "time_ns"))

    def restore_caps(self, list rows not None, *, generation, next_cap_uid):
        with self.caps_guard:
            restore_table(self.engine, self.caps, rows, generation, next_cap_uid)

    def get_cap(self, str cap_id not None):
        with self.caps_guard:
            return cap_status(self.engine, self.caps, rule_number_of(self.engine, cap_id))

    def list_caps(self):
        with self.caps_guard:
            count = self.engine.caps.rules.size()
            return [cap_status(self.engine, self.caps, i) for i in range(count)]

    def status(self):
        return engine_status(self.engine, len(self.caps))

    def totals(self):
        return stock_totals(self.engine)

    def lines_due(self, *, sooner_ns, later_ns):
        with self.due_guard:
            return lines_due(self.engine, time_of(sooner_ns, "sooner_ns"),
                             time_of(later_ns, "later_ns"))

    def hot_skus(self, Py_ssize_t count):
        return hottest(self.engine, count)

    def cool_skus(self):
        cdef L.Engine* engine = self.engine
        cdef int64_t before = self.cooled_at
        with nogil:
            before = cool_all(engine, before)
        self.cooled_at = before

    def cap_hits(self):
        with self.caps_guard:
            return hits_of_caps(self.engine)

    def limits(self):
        return limit_rows(self.engine, len(self.caps))

    def check(self, *, now_ns):
        return check_report(self.engine, time_of(now_ns, "now_ns"))

    def digest(self, *, now_ns):
        return digest_text(self.engine, time_of(now_ns, "now_ns"))

    def dump(self, *, now_ns):
        return dump_all(self.engine, time_of(now_ns, "now_ns"))

    def set_gate(self, int level):
        if not GATE_OPEN <= level <= GATE_BEHIND:
            raise ValueError(f"no level of the gate: {level}")
        store(&self.engine.gate, level)

    def take_events(self):
        return taken_events(self.engine)

    def execute(self, commands, lines, *, now_ns):
        return execute_all(self.engine, commands, lines, time_of(now_ns, "now_ns"))

    def load_stock(self, skus, on_hand, *, now_ns):
        return load_all(self.engine, skus, on_hand, time_of(now_ns, "now_ns"))
