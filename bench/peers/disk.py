"""The disk by itself: one write and one fdatasync after another, which nobody who keeps a promise
can be faster than.
"""

from __future__ import annotations

import os
import statistics
import time

from peers.processes import folder_for

FILE_BYTES = 16 << 20
WRITE_BYTES = 200
"""A record of a reserve and its head."""


def sync_ms(count: int) -> float:
    """The median time of a sync in milliseconds; the file's blocks have been written before.

    A file that grows would take the file system's own journal in, and half as long again.
    """
    with folder_for("disk") as folder:
        descriptor = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        try:
            os.write(descriptor, bytes(FILE_BYTES))
            os.fsync(descriptor)
            times = []
            for number in range(count):
                begin = time.perf_counter()
                os.pwrite(descriptor, b"\x01" * WRITE_BYTES, number * WRITE_BYTES % FILE_BYTES)
                os.fdatasync(descriptor)
                times.append(time.perf_counter() - begin)
        finally:
            os.close(descriptor)
    return statistics.median(times) * 1e3
