"""How long an answer waits to be durable: by whom it is committed, and on room prepared how.

Settles who commits: the thread that waits, inline, or a thread of the committer's own. Variants
take turns in short rounds, because the disk is shared; what counts is their median beside each
other.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import workload
from workload import People

from atp import _core
from atp.journal._native import Writer
from atp.journal.segments import list_segments

Figure = Callable[[str, float, str], None]
FOREVER_NS = 600 * 10**9
SEGMENT_BYTES = 16 << 20


class Variant:
    """An engine with a committer of one kind, whose first segment is full."""

    def __init__(self, folder: Path, *, inline: bool) -> None:
        (folder / "journal").mkdir(parents=True)
        self.folder = folder
        self.engine = _core.Engine(record_events=True)
        self.engine.set_stock("sku", 10**9, now_ns=workload.START_NS)
        self.writer = Writer(
            self.engine,
            folder,
            bytes(16),
            next_sequence=1,
            now_ns=workload.START_NS,
            segment_bytes=SEGMENT_BYTES,
            durability="sync",
            sync_interval_ns=50_000_000,
            backlog_bytes_max=64 << 20,
            inline_commits=inline,
        )
        self.rounds = count()
        self.times: list[float] = []

    def fill_a_segment(self) -> None:
        """Goes on to the spare segment, which is as it was prepared."""
        skus = workload.sku_names(1)
        self.engine.load_stock(skus, np.array([10**9]), now_ns=workload.START_NS)
        rng = np.random.default_rng(1)
        while len(list_segments(self.folder / "journal")) < 2:
            chosen = np.full(10_000, skus[0])
            tag = f"fill{next(self.rounds)}"
            commands, lines = workload.reserves(rng, chosen, People(100, 100), tag)
            self.engine.execute(commands, lines, now_ns=workload.START_NS)
            assert self.writer.wait(self.engine.status().sequence, FOREVER_NS)

    def change(self, changes: int, tag: str) -> int:
        """So many changes; returns the sequence of the last."""
        for number in range(changes):
            reply = self.engine.reserve(
                f"{tag}-{number}", [("sku", 1)], now_ns=workload.START_NS, ttl_ns=workload.TTL_NS
            )
        return reply.sequence

    def wait(self, sequence: int) -> None:
        """As a native thread waits."""
        assert self.writer.wait(sequence, FOREVER_NS)

    def listen(self, sequence: int) -> None:
        """As an event loop waits."""
        self.writer.kick(sequence)
        while self.writer.durable < sequence:
            select.select([self.writer.notify_fd], [], [])
            os.eventfd_read(self.writer.notify_fd)

    def round(self, threads: int, waits: int, changes: int, how: Callable[[int], None]) -> None:
        """So many waits by each thread, each for some changes; keeps how long they took."""
        number = next(self.rounds)
        times: list[float] = []

        def shop(thread: int) -> None:
            for turn in range(waits):
                sequence = self.change(changes, f"{number}-{thread}-{turn}")
                begin = time.perf_counter()
                how(sequence)
                times.append(time.perf_counter() - begin)

        shoppers = [threading.Thread(target=shop, args=(thread,)) for thread in range(threads)]
        for shopper in shoppers:
            shopper.start()
        for shopper in shoppers:
            shopper.join()
        assert len(times) == threads * waits
        assert self.writer.durable == self.engine.status().sequence
        self.times.append(median(times))


@contextmanager
def committing(variant: Variant, *, zeros: bool = True) -> Iterator[Variant]:
    """The committer's threads; without zeros the spare segment is only preallocated."""
    jobs = [variant.writer.run, variant.writer.run_ahead] if zeros else [variant.writer.run]
    threads = [threading.Thread(target=job) for job in jobs]
    variant.writer.tend()
    for thread in threads:
        thread.start()
    try:
        yield variant
    finally:
        variant.writer.stop()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("threads", [1, 8])
def test_who_commits(figure: Figure, full: bool, tmp_path: Path, threads: int) -> None:
    """journal_wait_us_*: one record and its sync, committed inline, by a thread, for a listener."""
    inline = Variant(tmp_path / "inline", inline=True)
    thread = Variant(tmp_path / "thread", inline=False)
    with committing(inline), committing(thread):
        heard: list[float] = []
        for _ in range(60 if full else 3):
            for variant in (inline, thread):
                variant.round(threads, 30 if full else 5, 1, variant.wait)
            if threads == 1:
                thread.round(1, 30 if full else 5, 1, thread.listen)
                heard.append(thread.times.pop())
        told = inline.writer.statistics()
        assert told.syncs <= inline.engine.status().sequence
    figure(f"journal_wait_us_inline_{threads}", median(inline.times) * 1e6, "us")
    figure(f"journal_wait_us_thread_{threads}", median(thread.times) * 1e6, "us")
    if heard:
        figure("journal_wait_us_listener_1", median(heard) * 1e6, "us")


def test_zeros_ahead(figure: Figure, full: bool, tmp_path: Path) -> None:
    """journal_wait_us_zeros_*: 40 records in a segment with zeros written ahead, and without."""
    with ExitStack() as stack:
        ahead = Variant(tmp_path / "ahead", inline=True)
        plain = Variant(tmp_path / "plain", inline=True)
        stack.enter_context(committing(ahead))
        stack.enter_context(committing(plain, zeros=False))
        if full:
            # Zeros are written a little at a time: until they are all there.
            spare = next((ahead.folder / "journal").glob("spare-*.part"))
            while os.stat(spare).st_mtime_ns > time.time_ns() - 10**9:
                pass
            ahead.fill_a_segment()
            plain.fill_a_segment()
        for _ in range(60 if full else 3):
            for variant in (ahead, plain):
                variant.round(1, 10, 40, variant.wait)
    figure("journal_wait_us_zeros_ahead", median(ahead.times) * 1e6, "us")
    figure("journal_wait_us_zeros_none", median(plain.times) * 1e6, "us")
