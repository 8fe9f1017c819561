"""The disk by itself: one write and one fdatasync after another, which nobody who keeps a promise
can be faster than.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from peers.processes import folder_for

FILE_BYTES = 16 << 20
WRITE_BYTES = 200
"""A record of a reserve and its head."""


def sync_ms(count: int) -> float:
    """The median time of a sync in milliseconds."""
    with written_file() as descriptor:
        return statistics.median(synced(descriptor, number) for number in range(count)) * 1e3


def scheduled_ms(seconds: float, rate: float) -> tuple[float, float]:
    """The p99 and the p99.9 in milliseconds of syncs by a schedule, each from when it was due.

    What stands still for a moment holds up all that come due meanwhile, as it does calls.
    """
    count = round(seconds * rate)
    times = []
    with written_file() as descriptor:
        begin = time.perf_counter()
        for number in range(count):
            due = begin + number / rate
            while (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            synced(descriptor, number)
            times.append(time.perf_counter() - due)
    times.sort()

    def within_ms(share: float) -> float:
        return times[min(count - 1, int(count * share))] * 1e3

    return within_ms(0.99), within_ms(0.999)


@contextmanager
def written_file() -> Iterator[int]:
    """A file whose blocks have been written before.

    One that grows would take the file system's own journal in, and half as long again.
    """
    with folder_for("disk") as folder:
        descriptor = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        try:
            os.write(descriptor, bytes(FILE_BYTES))
            os.fsync(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)


def synced(descriptor: int, number: int) -> float:
    """Writes one record and syncs it; how many seconds it took."""
    begin = time.perf_counter()
    os.pwrite(descriptor, b"\x01" * WRITE_BYTES, number * WRITE_BYTES % FILE_BYTES)
    os.fdatasync(descriptor)
    return time.perf_counter() - begin
