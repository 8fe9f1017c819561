"""What moves from second to second in a server, as `Client.get_top` gives it.

Owns the shapes and how they are read. Counts are since the start of the server, times are
in nanoseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from atp.client import convert, replies
from atp.v1 import maintenance_service_pb2 as pb
from atp.vocabulary import Stock


class CallTimes(NamedTuple):
    """How long the calls of a method took: `counts` by the shortest of `bounds_ns` that each did
    not exceed, and last those over all of them."""

    method: str
    counts: tuple[int, ...]
    bounds_ns: tuple[int, ...]
    sum_ns: int


class HotSku(NamedTuple):
    """A SKU that reserves ask for much; `heat` is how much of late."""

    stock: Stock
    heat: int


class Top(NamedTuple):
    """One look at a server. `ending_soon_lines` end within 10 s, `ending_minute_lines` within 60;
    a line is one SKU of a basket. `refused` is what each bound turned away, by its name."""

    read_time_ns: int
    start_time_ns: int
    sequence: int
    outcome_counts: tuple[replies.OutcomeCount, ...]
    call_times: tuple[CallTimes, ...]
    hot_skus: tuple[HotSku, ...]
    cap_uses: tuple[replies.CapUse, ...]
    live_holds: int
    ending_soon_lines: int
    ending_minute_lines: int
    skus: int
    open_calls: int
    connections: int
    parked_answers: int
    refused: dict[str, int]
    engine_bytes: int
    resident_bytes: int
    durable_lag_ns: int
    journal: replies.JournalStatus
    written_bytes: int
    on_hand: int
    held: int
    sold: int
    expired_holds: int


def read_top(response: pb.GetTopResponse) -> Top:
    """A look at a server, from the wire."""
    return Top(
        read_time_ns=convert.to_ns(response.read_time),
        start_time_ns=convert.to_ns(response.start_time),
        sequence=response.sequence,
        outcome_counts=tuple(
            replies.OutcomeCount(count.method, count.outcome, count.call_count)
            for count in response.outcome_counts
        ),
        call_times=tuple(
            CallTimes(times.method, tuple(times.counts), tuple(times.bounds_ns), times.sum_ns)
            for times in response.call_times
        ),
        hot_skus=tuple(HotSku(convert.stock(hot.stock), hot.heat) for hot in response.hot_skus),
        cap_uses=tuple(map(convert.cap_use, response.cap_uses)),
        live_holds=response.live_hold_count,
        ending_soon_lines=response.ending_soon_line_count,
        ending_minute_lines=response.ending_minute_line_count,
        skus=response.sku_count,
        open_calls=response.open_call_count,
        connections=response.connection_count,
        parked_answers=response.parked_answer_count,
        refused={count.limit_name: count.refused_count for count in response.refused_counts},
        engine_bytes=response.engine_bytes,
        resident_bytes=response.resident_bytes,
        durable_lag_ns=convert.to_ns(response.durable_lag),
        journal=convert.journal_status(response.journal),
        written_bytes=response.written_bytes,
        on_hand=response.on_hand_quantity,
        held=response.held_quantity,
        sold=response.sold_quantity,
        expired_holds=response.expired_hold_count,
    )
