"""The committer on a disk that is full, or fails: nothing is lost, nothing is called durable early.

A limit on the size of files stands for a full disk: it refuses room for another segment, and cuts
writes short as a disk does that fills up meanwhile. A file descriptor that is exchanged for another
one's makes writes and syncs fail. `test_faults.py` has the faults of a real process.
"""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atp.journal._native import Writer
from atp.vocabulary import ChangeOutcome, ReserveOutcome
from conftest import native_engine
from journal_files import make_folder, read_journal, read_mark, writer_of

NOW_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60 * 10**9
LONG_NS = 60 * 10**9
SHORT_NS = 1_000_000
SEGMENT_BYTES = 1 << 14


@pytest.fixture
def engine() -> Any:
    """A recording engine with many apples."""
    engine = native_engine(record_events=True, longest_life_ns=MINUTE_NS)
    engine.set_stock("apple", 10**9, now_ns=NOW_NS)
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare data directory."""
    return make_folder(tmp_path / "data")


@pytest.fixture
def writer(engine: Any, folder: Path) -> Writer:
    """A committer for all that the engine has done; whoever waits commits."""
    return writer_of(engine, folder, next_sequence=1, segment_bytes=SEGMENT_BYTES)


@contextmanager
def files_limited(size: int) -> Iterator[None]:
    """No file may grow beyond this size; Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def descriptor_of(folder: Path, ending: str) -> int:
    """The descriptor by which this process has a file of the journal open."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)) and target.endswith(ending):
            return int(name)
    raise AssertionError(f"no file {ending} is open")


@contextmanager
def exchanged(folder: Path, ending: str, path: str, flags: int) -> Iterator[None]:
    """Calls on an open file of the journal go to another file meanwhile."""
    descriptor = descriptor_of(folder, ending)
    kept, other = os.dup(descriptor), os.open(path, flags)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(other)


def reserve(engine: Any, request_id: str, *, ttl_ns: int = MINUTE_NS) -> Any:
    """One more hold, or the refusal of it."""
    return engine.reserve(request_id, [("apple", 1)], now_ns=NOW_NS, ttl_ns=ttl_ns)


def segments_of(folder: Path) -> int:
    """How many segments there are."""
    return len(list((folder / "journal").glob("*.segment")))


def fill(engine: Any, writer: Writer, until: Callable[[], bool]) -> list[str]:
    """Holds, each durable, until something is true; returns their ids."""
    ids: list[str] = []
    while not until():
        reply = reserve(engine, f"{engine.status().sequence}")
        assert reply.outcome == ReserveOutcome.GRANTED
        assert writer.wait(reply.sequence, LONG_NS)
        ids.append(reply.reservation.reservation_id)
    return ids


@contextmanager
def no_more_files() -> Iterator[None]:
    """No file can be opened any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_took_the_file_of_the_journal_which_ended_the_server(
    engine: Any, writer: Writer
) -> None:
    """Without a file for the next segment there is no room for one, until there is."""
    with no_more_files():
        writer.tend()
        assert writer.statistics().space_level == 1
        assert reserve(engine, "refused").limit_name == "journal_space"
    writer.tend()
    assert writer.statistics().space_level == 0
    told = reserve(engine, "granted")
    assert told.outcome == ReserveOutcome.GRANTED
    assert writer.wait(told.sequence, LONG_NS)


def test_a_full_disk_refuses_new_holds_and_commits_go_on(
    engine: Any, folder: Path, writer: Writer
) -> None:
    """Without room for a spare segment no hold is new; with no room at all nothing changes."""
    with files_limited(SEGMENT_BYTES - 1):
        writer.tend()
        assert writer.statistics().space_level == 1
        refused = reserve(engine, "refused")
        assert (refused.outcome, refused.limit_name) == (
            ReserveOutcome.LIMIT_REACHED,
            "journal_space",
        )
        assert engine.status().sequence == 1
    writer.tend()
    assert writer.statistics().space_level == 0
    ids = fill(engine, writer, lambda: writer.statistics().segment_bytes > SEGMENT_BYTES // 2)
    with files_limited(SEGMENT_BYTES - 1):
        writer.tend()  # the spare is there already
        assert writer.statistics().space_level == 0
        ids += fill(engine, writer, lambda: segments_of(folder) == 2)
        writer.tend()
        assert writer.statistics().space_level == 1
        assert reserve(engine, "refused").outcome == ReserveOutcome.LIMIT_REACHED
        done = 0
        for reservation_id in ids:
            reply = engine.commit(reservation_id, now_ns=NOW_NS)
            if reply.outcome == ChangeOutcome.LIMIT_REACHED:
                assert reply.limit_name == "journal_space"
                break
            assert writer.wait(reply.sequence, LONG_NS)
            done += 1
        assert done > 50
        assert writer.statistics().space_level in (1, 2)
    writer.tend()
    assert writer.statistics().space_level == 0
    assert writer.wait(reserve(engine, "again").sequence, LONG_NS)
    assert len(read_journal(folder)) == engine.status().sequence
    assert engine.check(now_ns=NOW_NS).violations == ()


def test_what_finds_no_room_waits_for_it(engine: Any, folder: Path, writer: Writer) -> None:
    """Changes made before the disk was known to be full are durable once there is room."""
    with files_limited(SEGMENT_BYTES - 1):
        for number in range(400):
            last = reserve(engine, f"r{number}").sequence
        assert not writer.wait(last, SHORT_NS)
        assert 0 < writer.durable < last
        assert len(read_journal(folder)) == writer.durable
        assert writer.statistics().space_level == 2
        assert engine.commit("0" * 32, now_ns=NOW_NS).outcome == ChangeOutcome.NOT_FOUND
        assert reserve(engine, "refused").limit_name == "journal_space"
        assert not writer.wait(last, SHORT_NS)
        assert engine.sweep(now_ns=NOW_NS + MINUTE_NS) == 400  # the clock can't be refused
        last = engine.status().sequence
        assert last == 801
        assert not writer.wait(last, SHORT_NS)
    writer.tend()
    assert writer.wait(last, LONG_NS)
    assert writer.statistics().space_level == 0
    assert [one.event.WhichOneof("change") for one in read_journal(folder)[-400:]] == [
        "expired"
    ] * 400


def test_a_record_that_was_cut_short_is_written_whole(
    engine: Any, folder: Path, writer: Writer
) -> None:
    """The disk fills up in the middle of a write; what was written of it is written again."""
    fill(engine, writer, lambda: writer.statistics().segment_bytes > 2_000)
    used = writer.statistics().segment_bytes
    with files_limited(used + 250):
        for number in range(10):
            last = reserve(engine, f"s{number}").sequence
        assert not writer.wait(last, SHORT_NS)
        assert writer.durable < last - 9
        path = next((folder / "journal").glob("*.segment"))
        assert any(path.read_bytes()[used : used + 250])
    writer.tend()
    assert writer.wait(last, LONG_NS)
    assert len(read_journal(folder)) == last


def test_no_space_at_a_write_is_waited_out(engine: Any, folder: Path, writer: Writer) -> None:
    """Even where room that was taken beforehand is none."""
    last = reserve(engine, "r").sequence
    with exchanged(folder, ".segment", "/dev/full", os.O_WRONLY):
        assert not writer.wait(last, SHORT_NS)
        assert writer.statistics().space_level == 2
    writer.tend()
    assert writer.wait(last, LONG_NS)
    assert len(read_journal(folder)) == last
    with exchanged(folder, "synced", "/dev/full", os.O_WRONLY):
        last = reserve(engine, "s").sequence
        assert writer.wait(last, LONG_NS)
    assert (writer.durable, read_mark(folder)) == (last, last - 1)


def test_a_stop_on_a_full_disk_says_that_changes_are_lost(
    engine: Any, folder: Path, writer: Writer
) -> None:
    """Nobody was told of them; whoever stops is."""
    reserve(engine, "r")
    with exchanged(folder, ".segment", "/dev/full", os.O_WRONLY):
        writer.stop()
    with pytest.raises(OSError, match="could not write the last changes to: No space") as raised:
        writer.run()
    assert raised.value.errno == errno.ENOSPC
    assert writer.durable == 0


FAILURES = {
    "write": ("/dev/null", os.O_RDONLY, "could not write: Bad file descriptor"),
    "sync": ("/dev/zero", os.O_WRONLY, "could not sync: Invalid argument"),
}


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("call", list(FAILURES))
def test_after_a_failure_nothing_is_called_durable(
    engine: Any, folder: Path, writer: Writer, call: str, inline: bool
) -> None:
    """Whoever commits: run() says what failed and where, and all who wait are let go."""
    path, flags, message = FAILURES[call]
    assert writer.wait(reserve(engine, "before").sequence, LONG_NS)
    durable = writer.durable
    last = reserve(engine, "r").sequence
    with exchanged(folder, ".segment", path, flags):
        if inline:
            assert not writer.wait(last, LONG_NS)
        else:
            writer.kick(last)
        with pytest.raises(OSError, match=message) as raised:
            writer.run()
    assert raised.value.filename == str(folder / "journal" / f"{1:020}.segment")
    assert not writer.wait(last, LONG_NS)
    writer.kick(last)
    writer.tend()
    ahead = threading.Thread(target=writer.run_ahead)  # gives way for good
    ahead.start()
    ahead.join()
    writer.stop()
    with pytest.raises(OSError, match=message):
        writer.run()
    assert writer.durable == durable


def test_a_segment_that_can_not_get_its_name(engine: Any, folder: Path, writer: Writer) -> None:
    """A failed rename is a failure like that of a write; what was synced before is durable."""
    writer.tend()
    next((folder / "journal").glob("spare-*.part")).unlink()
    for number in range(400):
        last = reserve(engine, f"r{number}").sequence
    assert not writer.wait(last, LONG_NS)
    with pytest.raises(OSError, match="could not rename: No such file") as raised:
        writer.run()
    assert "spare-" in str(raised.value.filename)
    assert 0 <= writer.durable < last
    assert len(read_journal(folder)) >= writer.durable


def test_a_spare_that_fails_ends_the_committer(engine: Any, folder: Path, writer: Writer) -> None:
    """run() raises what went wrong beside it; the folder is gone here."""
    raised: list[OSError] = []

    def commit() -> None:
        try:
            writer.run()
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    (folder / "journal").rename(folder / "moved")
    writer.tend()
    thread.join(60)
    assert not thread.is_alive()
    assert [error.errno for error in raised] == [errno.ENOENT]
    assert "could not make" in str(raised[0])
