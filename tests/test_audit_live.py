"""An audit beside the server that is audited: its journal grows, and its segments are cut, while
they are read. That is no damage.
"""

from __future__ import annotations

import threading
from pathlib import Path

from atp.audit import audit
from atp.client import Client
from atp.load import Kind, LoadPlan, run
from server_process import serving

SKUS = 100
LOOKS_MOST = 5_000


def plan(address: str, name: str, **more: object) -> LoadPlan:
    """Reserves and commits, many at once."""
    values: dict[str, object] = {"connections": 4, "in_flight": 16, "skus": SKUS}
    return LoadPlan(address=address, run_name=name, kind=Kind.PAIR, **(values | more))


def test_a_journal_that_is_written_while_it_is_read_is_not_damaged(tmp_path: Path) -> None:
    """Once the place of a record was read before it was written, and later ones after they were."""
    data = tmp_path / "data"
    with serving("--data", str(data), "--set", "journal.segment_bytes=1MiB") as server:
        with Client(server.data_plane, server.control_plane) as client:
            client.batch_set_stock([(f"SKU-{number:08d}", 10**9) for number in range(SKUS)])
        history = tmp_path / "history"
        run(plan(server.data_plane, "audited-", calls=2_000, history=history))
        over = threading.Event()

        def sell_on() -> None:
            number = 0
            while not over.is_set():
                number += 1
                run(plan(server.data_plane, f"beside{number}-", duration_s=0.2))

        seller = threading.Thread(target=sell_on)
        seller.start()
        try:
            changes = [seen(history, data)]
            while changes[-1] < changes[0] + 60_000 and len(changes) < LOOKS_MOST:
                changes.append(seen(history, data))
        finally:
            over.set()
            seller.join()
        assert changes == sorted(changes)
        assert len(changes) < LOOKS_MOST, f"only {changes[-1]} changes were written meanwhile"


def seen(history: Path, data: Path) -> int:
    """How many changes the audit found, those after the history too; all must have been right."""
    verdict = audit(history, data)
    assert verdict.ok, verdict.text()
    return int(verdict.figures["changes"] + verdict.figures["after_changes"])
