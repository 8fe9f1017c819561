"""A shop's holds in Redis, as a sensible user would keep them: a Lua script that reserves.

Owns a Redis server of its own, on a loopback port and in a directory of its own, ended by its
process id, and the script, its load, and what must be there afterwards. Measures nothing.

A reserve takes units off the SKU's counter and adds them to the customer's, whose cap it checks; it
writes down the hold, and when it ends, so that a sweeper can give back what was not bought. That is
less than a reserve is here: no request id that is compared, no audit, one cap.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PROGRAM = shutil.which("redis-check-rdb") or "redis-check-rdb"
"""Debian's package redis-tools has the server, too: it is the same program by another name. The
package redis-server adds a service, which would run on after the benchmark."""
CAP = 10**9
STOCK = 10**6
DEADLINE_S = 120.0
RESERVE = """\
local units = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or '0') < units then
  return redis.error_reply('SHORT')
end
if tonumber(redis.call('GET', KEYS[2]) or '0') + units > tonumber(ARGV[2]) then
  return redis.error_reply('CAP')
end
redis.call('DECRBY', KEYS[1], units)
redis.call('INCRBY', KEYS[2], units)
redis.call('SET', KEYS[3], ARGV[4])
redis.call('ZADD', 'holds', ARGV[3], KEYS[3])
return 1
"""


class Redis:
    """One Redis server with an append-only file in a directory; start() it, then end() it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, key: str) -> float:
        """Starts it; returns the seconds until it answered for a key."""
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [
                *("redis-server", "--bind", "127.0.0.1", "--port", str(self._port)),
                *("--dir", str(self._folder), "--logfile", "redis.log", "--save", ""),
                *("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"),
            ],
            executable=PROGRAM,
        )
        while True:
            answer = self._asked(f"EXISTS {key}\r\n".encode())
            if answer.startswith(b":"):
                return time.perf_counter() - begin
            assert not answer or answer.startswith(b"-LOADING"), answer
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.perf_counter() - begin < DEADLINE_S, "Redis is not ready in time"
            time.sleep(0.001)

    def _asked(self, command: bytes) -> bytes:
        """One answer; nothing where it does not listen yet."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE_S) as asking:
                asking.sendall(command)
                return asking.recv(4096)
        except ConnectionError:
            return b""

    def tell(self, *words: str, data: Iterator[bytes] | None = None) -> str:
        """What redis-cli prints for a command; with `data`, what it sends through a pipe."""
        command = ["redis-cli", "-p", str(self._port), *words]
        if data is None:
            return subprocess.run(
                command, check=True, capture_output=True, text=True
            ).stdout.strip()
        process = subprocess.Popen(
            [*command, "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for chunk in data:
            process.stdin.write(chunk)
        process.stdin.close()
        printed = process.stdout.read().decode()
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 0, printed
        return printed

    def rewrite(self) -> None:
        """Has the file written anew, as Redis does by itself from time to time."""
        self.tell("BGREWRITEAOF")
        deadline = time.monotonic() + DEADLINE_S
        while "aof_rewrite_in_progress:0" not in self.tell("INFO", "persistence"):
            assert time.monotonic() < deadline, "the rewrite takes too long"
            time.sleep(0.05)

    def end(self) -> None:
        """Ends it at once, as a crash does. What it has written is with the system."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def load(redis: Redis, skus: np.ndarray, commands: np.ndarray, lines: np.ndarray, end: int) -> None:
    """Puts stock and holds there: each of the commands, through the script. All must be granted."""
    stock = (_resp("SET", f"free:{sku}", str(STOCK)) for sku in _texts(skus))
    _expect(redis.tell(data=_chunks(stock)), len(skus))
    sha = redis.tell("SCRIPT", "LOAD", RESERVE)
    rows = zip(
        _texts(commands["request_id"]), _texts(commands["customer_id"]), _texts(lines["sku"]),
        lines["quantity"].tolist(), strict=True,
    )  # fmt: skip
    asked = (
        _resp(
            *("EVALSHA", sha, "3", f"free:{sku}", f"taken:{customer}", f"hold:{name}"),
            *(str(units), str(CAP), str(end), f"{sku} {units} {customer} {end}"),
        )
        for name, customer, sku, units in rows
    )
    _expect(redis.tell(data=_chunks(asked)), len(commands))


def check(redis: Redis, skus: np.ndarray, commands: np.ndarray, lines: np.ndarray) -> None:
    """Everything that was granted is there: the holds, each with its end, and the units."""
    count = len(commands)
    assert int(redis.tell("ZCARD", "holds")) == count
    customers = len(np.unique(commands["customer_id"]))
    assert int(redis.tell("DBSIZE")) == count + customers + len(skus) + 1
    last = commands["request_id"][-1].decode()
    said = redis.tell("GET", f"hold:{last}").split()
    assert said[:3] == [lines["sku"][-1].decode(), "1", commands["customer_id"][-1].decode()]
    names, taken = np.unique(lines["sku"], return_counts=True)
    for index in (0, len(names) // 2, len(names) - 1):
        left = int(redis.tell("GET", f"free:{names[index].decode()}"))
        assert left == STOCK - taken[index]


def _resp(*words: str) -> bytes:
    """A command in Redis's protocol."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


def _texts(names: np.ndarray) -> list[str]:
    return [name.decode() for name in names.tolist()]


def _chunks(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same in pieces worth a write."""
    gathered: list[bytes] = []
    for part in parts:
        gathered.append(part)
        if len(gathered) == 1000:
            yield b"".join(gathered)
            gathered.clear()
    yield b"".join(gathered)


def _expect(printed: str, count: int) -> None:
    assert f"errors: 0, replies: {count}" in printed, printed
