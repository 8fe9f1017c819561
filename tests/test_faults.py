"""The shim makes the faults that its plan names, shown on small programs, and overlooks no call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import faults
from faults import Rule
from faults.programs import EIO, ENOSPC, PRELUDE, Disk


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


# The process is killed.


def test_kills_before_after_and_within_a_call(disk: Disk) -> None:
    program = "put('a', b'1' * 100); put('a', b'2' * 100); put('a', b'3' * 100)"
    for do, nth, expected in (("kill", 2, b"1"), ("kill-after", 2, b"2"), ("kill", 3, b"2")):
        disk.run(program, Rule(do, call="write", file="a", nth=nth))
        assert disk.files() == {"a": expected * 100}
    disk.run(program, Rule("within", call="write", file="a", nth=2), seed=3)
    content = disk.files()["a"]
    assert content.strip(b"2") == b"1" * content.count(b"1")
    assert 0 < content.count(b"1") < 100


@pytest.mark.parametrize(
    ("call", "program"),
    [
        ("create", "put('a', b'')"),
        ("open", "kept('a', b''); put('a', b'')"),
        ("read", "os.pread(put('a', b'1'), 1, 0)"),
        ("map", "import mmap; mmap.mmap(put('a', b'1'), 1, prot=mmap.PROT_READ)"),
        ("write", "put('a', b'1')"),
        ("sync", "sync(put('a', b'1'))"),
        ("syncdir", "sync_names()"),
        ("rename", "put('a', b'1'); os.rename(here + '/a', here + '/b')"),
        ("truncate", "os.ftruncate(put('a', b'1'), 0)"),
        ("allocate", "os.posix_fallocate(put('a', b'1'), 0, 10)"),
        ("unlink", "put('a', b'1'); os.unlink(here + '/a')"),
        ("mkdir", "os.mkdir(here + '/d')"),
        ("link", "put('a', b'1'); os.link(here + '/a', here + '/b')"),
    ],
)
def test_every_kind_of_call_can_be_the_last(disk: Disk, call: str, program: str) -> None:
    disk.run(program, Rule("kill", call=call))
    assert f"fired kill at {call} " in disk.log.read_text()


# Calls fail.


def test_errors_at_the_calls_that_were_named(disk: Disk) -> None:
    rules = (
        Rule("error", call="write", file="a", nth=2, error="ENOSPC"),
        Rule("error", call="sync|rename", first=2, times=2, error="EIO"),
    )
    program = """
file = put('a', b'1')
told(put, 'a', b'2'); told(put, 'a', b'3'); told(put, 'b', b'1')
told(sync, file); told(sync, file)
told(os.rename, here + '/b', here + '/c'); told(os.rename, here + '/b', here + '/c')
"""
    assert disk.run(program, *rules) == ENOSPC + EIO * 2
    assert disk.files() == {"a": b"3", "c": b"1"}


def test_a_rule_looks_only_while_its_file_is_there(disk: Disk) -> None:
    gate = disk.aside / "gate"
    program = f"""
put('a', b'1'); put('a', b'2'); open({str(gate)!r}, 'w').close()
put('a', b'3'); told(put, 'a', b'4'); os.unlink({str(gate)!r}); put('a', b'5')
"""
    rule = Rule("error", call="write", first=2, error="EIO", when=gate)
    assert disk.run(program, rule) == EIO
    assert disk.files() == {"a": b"5"}


def test_short_writes(disk: Disk) -> None:
    program = """
file = put('a', b'')
print(os.write(file, b'12345678'), os.write(file, b'abcdefgh'), os.writev(file, [b'x', b'yz']))
"""
    rule = Rule("short", nth=2, bytes=3, call="write")
    assert disk.run(program, rule) == "3 8 3\n"
    assert disk.files() == {"a": b"123abcdefghxyz"}
    assert disk.run(program, rule._replace(nth=4)) == "8 8 3\n"  # no more than three were asked for
    assert 0 < int(disk.run(program, Rule("short", nth=2, call="write"), seed=4).split()[0]) < 8


def test_a_full_disk_has_room_only_where_room_was_made(disk: Disk) -> None:
    gate = disk.aside / "full"
    program = f"""
file = put('a', b'1'); os.posix_fallocate(file, 0, 8192); hole = put('h', b'1', 9000)
open({str(gate)!r}, 'w').close()
put('a', b'2', 8191); told(put, 'a', b'3', 8192); told(put, 'b', b'4'); told(put, 'h', b'5', 0)
told(os.posix_fallocate, file, 0, 9000); os.posix_fallocate(file, 0, 8000)
told(os.mkdir, here + '/d'); print(os.statvfs(here).f_bavail, os.fstatvfs(file).f_bavail)
os.rename(here + '/a', here + '/c')
os.unlink({str(gate)!r})
put('d', b'6'); print(os.statvfs(here).f_bavail > 0)
"""
    assert disk.run(program, Rule("full", when=gate)) == ENOSPC * 5 + "0 0\nTrue\n"
    assert sorted(disk.files()) == ["c", "d", "h"]


def test_chance_is_drawn_from_the_seed(disk: Disk) -> None:
    program = "for i in range(200): told(put, 'a', b'1')"
    rule = Rule("error", call="write", chance=0.2, error="EIO")
    failed = [disk.run(program, rule, seed=seed).count(EIO) for seed in (1, 1, 2)]
    assert failed[0] == failed[1]
    assert all(15 < count < 70 for count in failed)


def test_a_call_can_be_delayed(disk: Disk) -> None:
    start = time.monotonic()
    disk.run("sync(put('a', b'1'))", Rule("delay", call="sync", ms=300))
    assert time.monotonic() - start > 0.3


# Nothing is overlooked.

EVERY_CALL = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void) {
  char bytes[64] = "0123456789";
  struct iovec part = {bytes, 10};
  if (chdir(getenv("FAULTS_DIRECTORY"))) return 1;
  const int a = open64("a", O_RDWR | O_CREAT, 0600), b = creat("./b", 0600);
  const int here = open(".", O_RDONLY), c = openat(here, "c", O_RDWR | O_CREAT | O_APPEND, 0600);
  write(a, bytes, 1), pwrite(a, bytes, 2, 0), pwrite64(a, bytes, 3, 0), writev(a, &part, 1);
  pwritev(a, &part, 1, 0), pwritev64(a, &part, 1, 0), pwritev2(a, &part, 1, 0, 0);
  write(c, bytes, 4);
  lseek(a, 0, SEEK_SET), sendfile(b, a, NULL, 5), copy_file_range(a, NULL, b, NULL, 5, 0);
  read(a, bytes, 1), pread(a, bytes, 1, 0), pread64(a, bytes, 1, 0), readv(a, &part, 1);
  fsync(a), fdatasync(a), fsync(here), sync_file_range(a, 0, 0, 2);
  ftruncate(a, 50), ftruncate64(a, 60), truncate("a", 70), fallocate(a, 0, 0, 80);
  posix_fallocate(a, 0, 90), posix_fallocate64(a, 0, 95), fallocate64(a, 0, 0, 97);
  rename("a", "d"), renameat(here, "d", here, "e"), renameat2(here, "e", here, "f", 0);
  link("f", "g"), unlink("g"), unlinkat(here, "b", 0), remove("c");
  mkdir("h", 0700), mkdirat(here, "i", 0700), rmdir("h"), remove("i");
  struct stat is;
  return stat("f", &is) != 0 || is.st_size != 97;
}
"""


def test_every_name_of_every_call_is_watched(disk: Disk, tmp_path: Path) -> None:
    source, program = tmp_path / "every.c", tmp_path / "every"
    source.write_text(EVERY_CALL)
    subprocess.run(["gcc", "-w", str(source), "-o", str(program)], check=True)
    told = faults.environment(disk.folder, log=disk.log, trace=True)
    subprocess.run([str(program)], env={**os.environ, **told}, check=True, timeout=60)
    seen: dict[str, int] = {}
    for call in disk.calls():
        kind = call.split()[0]
        seen[kind] = seen.get(kind, 0) + 1
    assert seen == {
        # truncate(path) opens; a copy reads by itself and is seen as a write
        **{"open": 2, "create": 3, "write": 10, "read": 4, "sync": 2, "syncdir": 1, "range": 1},
        **{"truncate": 3, "allocate": 4, "rename": 3, "link": 1, "unlink": 6, "mkdir": 2},
    }


def test_other_directories_are_left_alone(disk: Disk, tmp_path: Path) -> None:
    outside = tmp_path / "data2"
    outside.mkdir()
    disk.run(f"os.close(os.open({str(outside / 'x')!r}, os.O_CREAT))",
             Rule("error", error="EIO", first=1))  # fmt: skip
    assert disk.calls() == []
    assert (outside / "x").exists()


def test_what_cannot_be_watched_ends_the_process(disk: Disk) -> None:
    told = faults.environment(disk.folder)
    program = PRELUDE + "import mmap; mmap.mmap(put('a', b'1'), 1)"
    done = subprocess.run([sys.executable, "-S", "-c", program], env={**os.environ, **told},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == -signal.SIGABRT
    assert "a is mapped to be written" in done.stderr


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ("do=explode", "no such thing to do: explode"),
        ("call=wriet,do=kill", "no such call: wriet"),
        ("do=error", "do=error needs error=NAME"),
        ("do=kill,nht=1", "no such field: nht=1"),
        ("do=kill,nth=one", "no number: one"),
        ("call=write", "a rule says not what to do"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(disk: Disk, plan: str, line: str) -> None:
    told = {**faults.environment(disk.folder), "FAULTS_PLAN": plan}
    done = subprocess.run([sys.executable, "-S", "-c", ""], env={**os.environ, **told},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == -signal.SIGABRT
    assert line in done.stderr


def test_a_missing_compiler_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults, "BUILD", tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(faults.NoCompiler, match=r"^faults can't be made: no C compiler; .* gcc$"):
        faults.library()


# The clock.


def test_the_time_of_day_is_moved_and_the_steady_clock_is_not(disk: Disk) -> None:
    clock = disk.aside / "clock"
    program = f"""
import time, datetime
day, hour = 86400, 3600
before, steady = time.time(), time.monotonic()
open({str(clock)!r}, 'w').write(str(-day * 10**9))
print(round((time.time() - before) / hour), round((time.time_ns() / 1e9 - before) / hour),
      round((datetime.datetime.now().timestamp() - before) / hour),
      round((time.clock_gettime(time.CLOCK_REALTIME) - before) / hour),
      round((time.monotonic() - steady) / hour))
"""
    assert disk.run(program, clock=clock) == "-24 -24 -24 -24 0\n"
