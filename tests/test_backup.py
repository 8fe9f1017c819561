"""A copy of a data directory, taken while its server sells, is a backup: a server starts on it and
has everything that was answered before the copy began, and its state is that of the journal.

The commands are those of docs/operations.md.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atp import Client
from atp._core import Engine
from atp.client import NotFound
from atp.journal import _native
from atp.journal.directory import Places
from atp.journal.segments import HEADER_BYTES, list_segments
from server_process import ServerProcess, run_atp, serving

SECONDS = 30.0
SMALL = ("--set", "journal.segment_bytes=256KiB", "--set", "journal.keep=1d")
OFTEN = ("--set", "snapshot.every=1s", "--set", "snapshot.every_bytes=1MiB")


@contextmanager
def selling(server: ServerProcess) -> Iterator[list[str]]:
    """Two clients hold and sell until the block ends; gives the holds that were answered so far."""
    answered: list[str] = []
    ended = threading.Event()
    failures: list[BaseException] = []

    def sell(number: int) -> None:
        try:
            with Client(server.data_plane, server.control_plane) as client:
                while not ended.is_set():
                    reply = client.reserve({"MUG": 1, "CUP": 2}, customer_id=f"c{number}", ttl=3600)
                    assert reply.reservation is not None
                    answered.append(reply.reservation.reservation_id)
                    if len(answered) % 3 == 0:
                        client.commit(reply.reservation.reservation_id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sell, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures


def stock_up(server: ServerProcess) -> None:
    """Enough to sell for as long as a test lasts."""
    with Client(server.data_plane, server.control_plane) as client:
        client.set_stock("MUG", 10**6)
        client.set_stock("CUP", 10**6)


def back_up(data: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """As the page says: a copy, and a look at every byte of it."""
    return run_atp("journal", "check", str(data), "--copy", str(to))


def state_at(data: Path, sequence: int) -> str:
    """The digest of the state that the journal alone makes, from the first change to this one."""
    engine = Engine(record_events=False)
    for segment in list_segments(Places(data).journal):
        if segment.first_sequence > sequence:
            break
        _native.replay(
            engine,
            segment.path.read_bytes(),
            offset=HEADER_BYTES,
            first_sequence=segment.first_sequence,
            until=sequence,
        )
    assert engine.status().sequence == sequence
    return _native.state_digest(engine)


@pytest.mark.parametrize("snapshots", [(), OFTEN], ids=["journal", "snapshots"])
def test_a_backup_of_a_live_server_has_all_that_was_answered_before_it(
    tmp_path: Path, snapshots: tuple[str, ...]
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with serving("--data", str(data), *SMALL, *snapshots) as server:
        stock_up(server)
        with selling(server) as answered:
            while len(answered) < 400:
                threading.Event().wait(0.01)
            before = list(answered)
            taken = back_up(data, backup)
            last_before_the_end = answered[-1]
        assert (taken.returncode, taken.stderr) == (0, f"copied {data} to {backup}\n")
        assert "all sound" in taken.stdout
        server.process.kill()
        server.wait()
    with (
        serving("--data", str(backup), *SMALL) as restored,
        Client(restored.data_plane, restored.control_plane) as client,
    ):
        for reservation_id in before:
            assert client.get_reservation(reservation_id).reservation_id == reservation_id
        journal = client.get_status().journal
        assert journal is not None
        found = journal.last_recovery
        assert found is not None
        assert client.check_invariants().violations == ()
        if not snapshots:
            with pytest.raises(NotFound):  # sold after the copy, so not in it
                client.get_reservation(last_before_the_end)
    assert found.digest == state_at(data, found.sequence)


def test_a_backup_of_a_quiet_server_is_equal_to_it(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with serving("--data", str(data), *SMALL) as server:
        stock_up(server)
        with selling(server) as answered:
            while len(answered) < 50:
                threading.Event().wait(0.01)
        with Client(server.data_plane, server.control_plane) as client:
            client.take_snapshot()
            wanted = client.check_invariants()
            assert back_up(data, backup).returncode == 0
            assert client.check_invariants() == wanted
    with (
        serving("--data", str(backup), *SMALL) as restored,
        Client(restored.data_plane, restored.control_plane) as client,
    ):
        assert client.check_invariants() == wanted


def test_a_damaged_backup_is_told_by_the_look_at_it(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with serving("--data", str(data), *SMALL) as server:
        stock_up(server)
        with selling(server) as answered:
            while len(answered) < 50:
                threading.Event().wait(0.01)
        assert back_up(data, backup).returncode == 0
    (segment, *_) = sorted((backup / "journal").glob("*.segment"))
    content = bytearray(segment.read_bytes())
    content[HEADER_BYTES + 300] ^= 1
    segment.write_bytes(content)
    looked = run_atp("journal", "check", str(backup))
    assert looked.returncode == 1
    assert str(segment) in looked.stdout


def test_a_backup_is_not_written_over(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with serving("--data", str(data)) as server:
        stock_up(server)
        assert back_up(data, backup).returncode == 0
        again = back_up(data, backup)
    assert again.returncode == 2
    assert "exists already" in again.stderr
