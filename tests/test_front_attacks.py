"""Each known attack against a real server with another client on it: the other client's calls are
all answered in time, the server's memory stays within its bound, and the laws hold afterwards.

Owns the bounds of memory. How much slower the other client gets is measured by `make attack`, as a
time is no property of a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import stock_service_pb2 as stock_pb
from front_attacker import attacking
from front_attacks import ATTACKS, IDLE_CONNECTIONS
from front_bystander import bystander
from server_process import ServerProcess, serving
from server_stubs import SECONDS, Stubs, stubs_to

MIB = 1 << 20
BUFFER_BYTES_MAX = 64 * MIB
ATTACK_SECONDS = 1.5
SKU = "in-demand"
HOLDING = {"zero_window", "unread_answers", "many_large_messages", "giant_messages"}
"""Attacks that make the server keep messages: data_plane.buffer_bytes_max bounds these."""


class Target(NamedTuple):
    """A server to attack."""

    server: ServerProcess
    stubs: Stubs


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One server for all attacks: what one leaves behind, the next would find."""
    with (
        serving("--set", f"data_plane.buffer_bytes_max={BUFFER_BYTES_MAX >> 20}MiB") as server,
        stubs_to(server) as stubs,
    ):
        stubs.stock.SetStock(
            stock_pb.SetStockRequest(sku=SKU, on_hand_quantity=1_000_000), timeout=SECONDS
        )
        yield Target(server, stubs)


def bytes_allowed(attack: str) -> int:
    """What an attack may add to the server's memory."""
    if attack in HOLDING:
        return BUFFER_BYTES_MAX + 64 * MIB
    if attack == "idle_connections":
        return IDLE_CONNECTIONS * 24 * 1024
    return 64 * MIB


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_are_served_while(target: Target, attack: str) -> None:
    """The other client hears no refusal and no deadline; memory and laws hold."""
    server = target.server
    before = resident_bytes(server, "VmRSS")
    forget_peak(server)
    with (
        bystander(server.data_plane, SKU) as other,
        attacking(attack, server.data_plane, ATTACK_SECONDS) as attacker,
    ):
        windows = [other.window() for _ in range(int(ATTACK_SECONDS / 0.5) + 1)]
    print(f"{attack}: {attacker.endings}; {windows}")
    assert [window.failures for window in windows if window.failures] == []
    assert sum(window.calls for window in windows) > 0
    assert resident_bytes(server, "VmHWM") - before < bytes_allowed(attack)
    assert attacker.endings
    assert server.process.poll() is None
    recounted = target.stubs.maintenance.CheckInvariants(
        maintenance_pb.CheckInvariantsRequest(), timeout=SECONDS
    )
    assert list(recounted.violations) == []


def resident_bytes(server: ServerProcess, what: str) -> int:
    """What the server has in memory (VmRSS), or had at most (VmHWM)."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {what}")


def forget_peak(server: ServerProcess) -> None:
    """From here on the most that was in memory is counted anew."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
