"""What the compiler is shown of a server under load, so that it knows which paths of the front are
taken: `atp serve` as it is, called by the load generator, which learns its own paths meanwhile.

Run by train.py. Owns the mixture: unary calls over many connections and few, pairs, reads,
refusals, batches, durable and not, and a few of all that is rare. Measures nothing; the answers,
the units and the laws are checked.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from peers import ours
from peers.processes import A, B, C

from atp.client import AtpError, Client
from atp.load import Kind, Spread

UNARY_CALLS = 20_000
BATCHES = 40
BATCH = 500


def under_load(server: ours.Ours) -> None:
    """As the busiest minutes are: mostly reserves that are granted, then refusals."""
    for pattern in (A, B, C):
        server.reserve(pattern, UNARY_CALLS)
    server.run(B, kind=Kind.PAIR, calls=UNARY_CALLS // 2)
    server.refuse(B, UNARY_CALLS)
    server.look(B, UNARY_CALLS // 2)
    for spread in (Spread.UNIFORM, Spread.HOT):
        server.execute(BATCHES, BATCH, spread)
    server.run(B, kind=Kind.PAIR, batch=100, calls=BATCHES)


def rarely(client: Client) -> None:
    """Large baskets, endings by line, what is unknown and what is malformed."""
    skus = [f"RARE-{number}" for number in range(40)]
    client.batch_set_stock([(sku, 1_000) for sku in skus])
    for number in range(200):
        lines = [(skus[(number + k) % 40], 1 + k % 3) for k in range(1 + number % 20)]
        hold = client.reserve(
            lines, request_id=f"rare-{number}", customer_id=f"c{number}", client_ip="2001:db8::1"
        ).reservation
        assert hold is not None
        name = hold.reservation_id
        client.extend(name)
        client.commit(name, lines[:1], request_id=f"rare-commit-{number}")
        client.release(name)
        client.get_reservation(name)
        client.get_availability(skus)
        with contextlib.suppress(AtpError):
            client.commit("not a name")
    stocks = [stock for stock in client.iterate_stock(page_size=1_000) if stock.sku in skus]
    assert all(stock.held == 0 for stock in stocks)


def main() -> None:
    """All of it, durable and not."""
    with ours.serving("sync") as server:
        under_load(server)
    with ours.serving("off") as server:
        under_load(server)
    with (
        ours.serving("interval") as server,
        Client(server.data_plane, server.control_plane) as client,
    ):
        rarely(client)


if __name__ == "__main__":
    main()
