"""The shim cuts the power as a disk would feel it: what was not synced is lost, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import Rule
from faults.programs import CUT, EIO, KILL, Disk


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_what_was_synced_is_kept_and_what_was_not_is_lost(disk: Disk) -> None:
    disk.run("f = put('a', b'one'); sync(f); sync_names(); put('a', b'two!!'); go()", CUT)
    assert disk.files() == {"a": b"one"}


def test_bytes_written_while_the_power_was_on_stay_after_a_kill(disk: Disk) -> None:
    disk.run("put('a', b'one'); go()", KILL)
    assert disk.files() == {"a": b"one"}


def test_a_name_is_lost_unless_its_directory_was_synced(disk: Disk) -> None:
    disk.run("sync(put('a', b'one')); sync_names(); sync(put('b', b'two')); go()", CUT)
    assert disk.files() == {"a": b"one"}
    disk.run("os.mkdir(here + '/d'); sync(put('d/c', b'1')); sync_names(here + '/d'); go()", CUT)
    assert not (disk.folder / "d").exists(), "what is in a directory goes with its name"


def test_a_name_without_its_bytes_can_be_what_is_left(disk: Disk) -> None:
    disk.run("put('a', b'one'); sync_names(); go()", CUT)
    assert disk.files() == {"a": b""}


def test_a_rename_is_undone_and_what_it_replaced_is_back(disk: Disk) -> None:
    program = "kept('a', b'old'); kept('b', b'new'); os.replace(here + '/b', here + '/a'); "
    disk.run(program + "go()", CUT)
    assert disk.files() == {"a": b"old", "b": b"new"}
    disk.run("os.replace(here + '/b', here + '/a'); sync_names(); go()", CUT)
    assert disk.files() == {"a": b"new"}


def test_what_was_removed_or_cut_short_is_back(disk: Disk) -> None:
    disk.run("kept('a', b'one'); kept('b', b'abcdef'); kept('c', b'123')", Rule("delay"))
    disk.run(
        "os.unlink(here + '/a'); os.truncate(here + '/b', 2); put('b', b'X', 1);"
        "open(here + '/c', 'w').write('4'); go()",
        CUT,
    )
    assert disk.files() == {"a": b"one", "b": b"abcdef", "c": b"123"}


def test_room_that_was_made_is_lost_unless_synced(disk: Disk) -> None:
    program = "f = put('a', b'1'); os.posix_fallocate(f, 0, 4096); os.ftruncate(f, 9000);"
    disk.run(program + "sync_names(); go()", CUT)
    assert disk.files() == {"a": b""}
    disk.run(program + "sync(f); os.ftruncate(f, 5); put('a', b'22'); go()", CUT)
    assert disk.files() == {"a": b"1".ljust(9000, b"\0")}


def test_a_write_after_a_sync_began_is_not_covered_by_it(disk: Disk) -> None:
    gate = disk.aside / "gate"
    gate.touch()
    disk.run(
        f"import threading; kept('a', b'one'); f = put('a', b'two')\n"
        "thread = threading.Thread(target=sync, args=(f,)); thread.start()\n"
        f"while 'fired wait' not in open({str(disk.log)!r}).read(): pass\n"
        f"put('b', b'later'); sync_names(); os.unlink({str(gate)!r}); thread.join(); go()",
        Rule("wait", call="sync", file="a", first=2, when=gate),
        CUT,
    )
    assert disk.files() == {"a": b"two", "b": b""}


def survivors(disk: Disk, seed: int, piece: int) -> list[bool]:
    """Which pieces of one long write were left by a power cut."""
    pieces = 16
    disk.run(
        f"kept('a', b'o' * {pieces * piece}); put('a', b'n' * {pieces * piece}); go()",
        Rule("cut", call="create", file="go", lose="some", piece=piece),
        seed=seed,
    )
    content = disk.files()["a"]
    parts = [content[i : i + piece] for i in range(0, len(content), piece)]
    assert all(part in (b"o" * piece, b"n" * piece) for part in parts), "a piece is whole"
    return [part[0] == ord("n") for part in parts]


@pytest.mark.parametrize("piece", [512, 4096])
def test_pieces_are_lost_in_any_order(disk: Disk, piece: int) -> None:
    drawn = [survivors(disk, seed, piece) for seed in range(12)]
    assert drawn[0] == survivors(disk, 0, piece), "the same seed draws the same"
    holes = [left for left in drawn if False in left and True in left[left.index(False) :]]
    assert holes, "a later piece may be there while an earlier one is not"
    assert len({tuple(left) for left in drawn}) > 3


def test_a_piece_may_be_left_as_it_was_between_two_writes(disk: Disk) -> None:
    seen = set()
    for seed in range(24):
        disk.run(
            "kept('a', b'1'); put('a', b'2'); put('a', b'3'); go()",
            Rule("cut", call="create", file="go", lose="some"),
            seed=seed,
        )
        seen.add(disk.files()["a"])
        (disk.folder / "a").unlink()
    assert seen == {b"1", b"2", b"3"}


def test_what_is_to_be_kept_is_kept(disk: Disk) -> None:
    cut = Rule("cut", call="create", file="go", keep="mark*")
    disk.run("kept('a', b'1'); put('a', b'2'); put('mark', b'9'); go()", cut)
    assert disk.files() == {"a": b"1", "mark": b"9"}


def test_a_sync_that_lies_loses_what_it_said_it_kept(disk: Disk) -> None:
    disk.run("kept('a', b'1'); kept('a', b'2'); go()", Rule("lie", call="sync", first=2), CUT)
    assert disk.files() == {"a": b"1"}


def test_what_a_failed_sync_left_is_not_saved_by_the_next(disk: Disk) -> None:
    fails = Rule("error", call="sync", nth=2, error="EIO")
    program = "kept('a', b'1'); f = put('a', b'2'); told(sync, f); "
    assert disk.run(program + "sync(f); go()", fails, CUT) == EIO
    assert disk.files() == {"a": b"1"}
    disk.run(program + "put('a', b'2'); sync(f); go()", fails, CUT)
    assert disk.files() == {"a": b"2"}


def test_what_a_killed_process_had_not_synced_is_lost_when_the_power_goes_later(
    disk: Disk,
) -> None:
    unsynced = disk.aside / "unsynced"
    program = "kept('a', b'1'); put('a', b'22'); kept('c', b'3'); os.unlink(here + '/c'); "
    disk.run(program + "put('b', b'new'); put('d', b'4'); go()", KILL, unsynced=unsynced)
    assert disk.files() == {"a": b"22", "b": b"new", "d": b"4"}
    disk.run("sync(put('d', b'')); sync_names(); go()", KILL, unsynced=unsynced)
    disk.run("kept('e', b'5'); go()", CUT, unsynced=unsynced)
    assert disk.files() == {"a": b"1", "b": b"", "d": b"4", "e": b"5"}
    assert not unsynced.exists()


def test_what_a_process_that_ended_had_not_synced_is_lost_when_the_power_goes_later(
    disk: Disk,
) -> None:
    unsynced = disk.aside / "unsynced"
    for number, end in enumerate(("", "os._exit(0)", "sys.exit(0)")):
        disk.run(f"kept('a', b'1'); put('a', b'22'); {end}", unsynced=unsynced)
        disk.run(f"put('b', b'{number}'); go()", CUT, unsynced=unsynced)
        assert disk.files() == {"a": b"1"}


def test_an_end_that_nobody_sees_is_taken_for_a_sync(disk: Disk) -> None:
    """A kill from outside leaves nobody to say what was not synced; nothing old is brought up."""
    unsynced = disk.aside / "unsynced"
    disk.run("kept('a', b'1'); put('a', b'2'); put('b', b'3'); go()", KILL, unsynced=unsynced)
    told = "os.unlink(here + '/b'); import signal; os.kill(os.getpid(), signal.SIGKILL)"
    disk.run(told, KILL, unsynced=unsynced)
    disk.run("go()", CUT, unsynced=unsynced)
    assert disk.files() == {"a": b"2"}


def test_a_removed_file_is_carried_over_a_kill(disk: Disk) -> None:
    unsynced = disk.aside / "unsynced"
    disk.run("kept('a', b'old'); put('a', b'new'); os.unlink(here + '/a'); go()", KILL,
             unsynced=unsynced)  # fmt: skip
    assert disk.files() == {}
    disk.run("go()", CUT, unsynced=unsynced)
    assert disk.files() == {"a": b"old"}
