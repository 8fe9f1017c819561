"""Snapshots of a real server: on demand, by schedule, at a stop, and what a start makes of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import faults
from atp import Client
from atp.client import DeadlineExceeded, JournalStatus, Recovery, Unavailable
from atp.client.retry import RetryPolicy
from client_faces import client_face
from command import Command
from server_process import ServerProcess, serving, wait_until

SKUS = 200


def journal_of(client: Client) -> JournalStatus:
    journal = client.get_status().journal
    assert journal is not None
    return journal


def recovery_of(client: Client) -> Recovery:
    recovery = journal_of(client).last_recovery
    assert recovery is not None
    return recovery


@contextmanager
def shop(folder: Path, *arguments: str, **more: Any) -> Iterator[tuple[ServerProcess, Client]]:
    """A server in the folder, and a client that tries nothing twice."""
    once = RetryPolicy(attempts_max=1)
    with (
        serving(*arguments, folder=folder, **more) as server,
        Client(server.data_plane, server.control_plane, timeout_s=20, retry=once) as client,
    ):
        yield server, client


def stock_up(client: Client, round_: int = 1) -> None:
    client.batch_set_stock([(f"sku-{number}", round_) for number in range(SKUS)])


def snapshots_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "atp-data" / "snapshots").iterdir())


def test_a_snapshot_on_demand_is_what_the_next_start_goes_on_from(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, client):
        stock_up(client)
        assert journal_of(client).last_snapshot is None
        taken = client.take_snapshot()
        assert taken.sequence == SKUS
        assert taken.name == f"{SKUS:020}.snapshot"
        assert snapshots_in(tmp_path) == [taken.name]
        file = tmp_path / "atp-data" / "snapshots" / taken.name
        assert taken.size_bytes == file.stat().st_size
        assert 0 <= taken.longest_stall_ns < taken.duration_ns
        assert journal_of(client).last_snapshot == taken
        client.set_stock("later", 5)
        with client_face("async", server.data_plane, server.control_plane) as other:
            assert other.take_snapshot().sequence == SKUS + 1
        (tmp_path / "atp-data" / "snapshots" / f"{SKUS + 1:020}.snapshot").unlink()
        before = client.check_invariants()
        server.signal(signal.SIGKILL)
        server.wait()
    with shop(tmp_path) as (_, client):
        found = recovery_of(client)
        assert (found.snapshot, found.replayed_records) == (taken.name, 1)
        assert found.digest == before.digest
        assert client.check_invariants() == before


def test_the_command_has_one_written_and_says_what(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, client):
        stock_up(client)
        told = Command(server)("snapshot")
        assert told.status == 0
        facts = dict(line.split(maxsplit=1) for line in told.out.splitlines()[:2])
        assert facts == {"snapshot": f"{SKUS:020}.snapshot", "sequence": str(SKUS)}
        client.set_stock("later", 5)
        as_json = Command(server)("snapshot", "--json").json["snapshot"]
        assert as_json["sequence"] == SKUS + 1
        assert as_json["size_bytes"] > 1_000
        lines = [line.split() for line in Command(server)("status").out.splitlines()]
        assert ["last", "snapshot", f"{SKUS + 1:020}.snapshot,"] in [line[:3] for line in lines]
        assert Command(server)("status", "--json").json["journal"]["last_snapshot"] == as_json


def test_a_stop_leaves_a_snapshot_and_the_next_start_nothing_to_replay(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, client):
        stock_up(client)
        before = client.check_invariants()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert snapshots_in(tmp_path) == [f"{SKUS:020}.snapshot"]
    with shop(tmp_path) as (server, client):
        assert (recovery_of(client).snapshot, recovery_of(client).replayed_records) == (
            f"{SKUS:020}.snapshot",
            0,
        )
        assert client.check_invariants() == before
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert snapshots_in(tmp_path) == [f"{SKUS:020}.snapshot"]  # nothing was new


def test_a_damaged_snapshot_is_passed_over_and_said(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, client):
        stock_up(client)
        first = client.take_snapshot()
        stock_up(client, 2)
        second = client.take_snapshot()
        before = client.check_invariants()
        server.signal(signal.SIGKILL)
        server.wait()
    path = tmp_path / "atp-data" / "snapshots" / second.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with shop(tmp_path) as (server, client):
        found = recovery_of(client)
        assert (found.snapshot, found.replayed_records) == (first.name, SKUS)
        assert len(found.damaged_snapshots) == 1
        assert second.name in found.damaged_snapshots[0]
        assert second.name in server.stderr()
        assert "snapshot passed over" in Command(server)("status").out
        assert client.check_invariants() == before


def test_snapshots_are_taken_by_the_schedule_and_the_oldest_go(tmp_path: Path) -> None:
    often = ("--set", "snapshot.every=1s", "--set", "snapshot.keep=1")
    with shop(tmp_path, *often) as (_, client):
        stock_up(client)
        wait_until(lambda: journal_of(client).last_snapshot is not None, "the first", pause_s=0.1)
        client.set_stock("later", 5)
        name = f"{SKUS + 1:020}.snapshot"
        wait_until(lambda: snapshots_in(tmp_path) == [name], "the second alone", pause_s=0.1)


def test_a_snapshot_that_fails_is_told_and_everything_else_goes_on(tmp_path: Path) -> None:
    switch = tmp_path / "snapshots fail"
    rule = faults.Rule(do="error", call="sync", file="snapshots/*", when=switch, error="EIO")
    environment = faults.environment(tmp_path / "atp-data", rule._replace(first=1))
    with shop(tmp_path, environment=environment) as (server, client):
        stock_up(client)
        switch.touch()
        with pytest.raises(Unavailable) as raised:
            client.take_snapshot()
        assert raised.value.reason == "SNAPSHOT_FAILED"
        assert "Input/output error" in raised.value.message
        assert "Input/output error" in journal_of(client).snapshot_error
        told = Command(server)("snapshot", "--json")
        assert told.status == 3
        assert json.loads(told.err)["error"]["reason"] == "SNAPSHOT_FAILED"
        client.set_stock("later", 5)
        before = client.check_invariants()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "stopped without a snapshot" in server.stderr()
    assert snapshots_in(tmp_path) == []
    with shop(tmp_path) as (_, client):
        assert recovery_of(client).replayed_records == SKUS + 1
        assert client.check_invariants() == before


def test_told_to_stop_again_it_does_not_wait_for_the_snapshot(tmp_path: Path) -> None:
    switch = tmp_path / "snapshots take for ever"
    rule = faults.Rule(do="wait", call="sync", file="snapshots/*", when=switch)
    environment = faults.environment(tmp_path / "atp-data", rule)
    with shop(tmp_path, environment=environment) as (server, client):
        stock_up(client)
        before = client.check_invariants()
        switch.touch()
        server.signal(signal.SIGTERM)
        part = tmp_path / "atp-data" / "snapshots" / "next.snapshot.part"
        wait_until(part.exists, "the last snapshot to be begun")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "not waiting for the snapshot" in server.stderr()
    with shop(tmp_path) as (_, client):
        assert client.check_invariants() == before
        assert snapshots_in(tmp_path) == []


def test_callers_that_give_up_on_a_snapshot_keep_nothing_from_being_looked_after(
    tmp_path: Path,
) -> None:
    """A snapshot that is under way takes one thread, however often it is asked for again."""
    switch = tmp_path / "snapshots take for ever"
    rule = faults.Rule(do="wait", call="sync", file="snapshots/*", when=switch)
    environment = faults.environment(tmp_path / "atp-data", rule)
    with shop(tmp_path, environment=environment) as (_, client):
        stock_up(client)
        switch.touch()
        for _ in range(10):
            with pytest.raises(DeadlineExceeded):
                client.take_snapshot(timeout_s=0.1)
        client.reserve({"sku-1": 1}, ttl=0.2)
        # Status moves no time on: only the sweep can have cleared the hold.
        wait_until(lambda: client.get_status().live_holds == 0, "the sweep")
        assert snapshots_in(tmp_path) == ["next.snapshot.part"]
        switch.unlink()
        assert client.take_snapshot().sequence == SKUS + 2
