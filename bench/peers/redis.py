"""Redis as a shop would keep its holds, doing the work that a reserve is here.

Owns a server of its own, the script, and its load by redis-benchmark; counts afterwards that every
hold is there and that stock and both caps moved by just as much.

The script looks all its keys up at once and writes what it counts at once, faster than one by one.
It checks and takes the stock, checks and counts the cap of the address and the customer's, and
writes the hold down, with its expiry, under the request id, where a repeat finds it. Giving the
units of an expired hold back would take more: it is left out, in Redis's favour.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager

from redis_shop import PROGRAM

from peers.processes import (
    Pattern,
    accepts,
    folder_for,
    free_port,
    started,
    told,
    wait_for,
)  # fmt: skip

STOCK = 10**9
CAP = 10**9
RANGE = 10_000
"""SKUs, addresses, customers: redis-benchmark draws all of them from one range."""
LIVES_S = 3_600
TAKEN_BY_REPEATS_MOST = 20
"""Request ids are drawn, too, three numbers each: one in 10^12 is an id that has been."""

RESERVE = """\
local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if found[4] then
  return found[4]
end
local units = tonumber(ARGV[1])
local stock = tonumber(found[1] or '0')
if stock < units then
  return redis.error_reply('SHORT')
end
local address = tonumber(found[2] or '0') + units
local customer = tonumber(found[3] or '0') + units
if address > tonumber(ARGV[2]) or customer > tonumber(ARGV[3]) then
  return redis.error_reply('CAP')
end
local hold = KEYS[1] .. ' ' .. units .. ' ' .. KEYS[2] .. ' ' .. KEYS[3]
redis.call('MSET', KEYS[1], stock - units, KEYS[2], address, KEYS[3], customer)
redis.call('SET', KEYS[4], hold, 'EX', ARGV[4])
return hold
"""
FILL = """\
for number = 0, tonumber(ARGV[1]) - 1 do
  redis.call('SET', string.format('stock:%012d', number), ARGV[2])
end
"""
COUNT = """\
local total = 0
for number = 0, tonumber(ARGV[2]) - 1 do
  total = total + redis.call('EXISTS', string.format(ARGV[1] .. ':%012d', number))
end
return total
"""
SUM = """\
local total = 0
for number = 0, tonumber(ARGV[2]) - 1 do
  total = total + tonumber(redis.call('GET', string.format(ARGV[1] .. ':%012d', number)) or '0')
end
return total
"""


class Redis:
    """One server, filled with stock."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._asked = self._runs = 0
        self._tell("EVAL", FILL, "0", str(RANGE), str(STOCK))
        self._sha = self._tell("SCRIPT", "LOAD", RESERVE)

    def load(self, pattern: Pattern, count: int) -> float:
        """Reserves a second, as redis-benchmark tells; it sends whole pipelines only."""
        one = "__rand_int__"
        count = -(-count // pattern.in_flight) * pattern.in_flight
        self._runs += 1  # in the ids, because redis-benchmark may draw the same numbers again
        name = f"hold:{self._runs}-{one}{one}{one}"
        said = told(
            [
                *("redis-benchmark", "-p", str(self._port), "--csv", "-n", str(count)),
                *("-c", str(pattern.connections), "-P", str(pattern.in_flight), "-r", str(RANGE)),
                *("EVALSHA", self._sha, "4", f"stock:{one}", f"ip:{one}", f"customer:{one}"),
                *(name, "1", str(CAP), str(CAP), str(LIVES_S)),
            ]
        )
        rows = list(csv.DictReader(said.splitlines()))
        self._asked += count
        return float(rows[-1]["rps"])

    def check(self) -> None:
        """Every reserve is a hold, and stock and caps moved by one for each."""
        others = sum(self._keys(name) for name in ("stock", "ip", "customer"))
        held = int(self._tell("DBSIZE")) - others
        assert self._asked - TAKEN_BY_REPEATS_MOST <= held <= self._asked
        assert RANGE * STOCK - self._sum("stock") == held
        assert self._sum("ip") == self._sum("customer") == held

    def _keys(self, name: str) -> int:
        return int(self._tell("EVAL", COUNT, "0", name, str(RANGE)))

    def _sum(self, name: str) -> int:
        return int(self._tell("EVAL", SUM, "0", name, str(RANGE)))

    def _tell(self, *words: str) -> str:
        said = told(["redis-cli", "-p", str(self._port), *words]).strip()
        assert not said.startswith(("ERR", "(error)")), said
        return said


@contextmanager
def serving(*, always: bool) -> Iterator[Redis]:
    """Runs one until the block ends: with appendfsync always, or keeping nothing."""
    with folder_for("redis") as folder:
        port, log = free_port(), folder / "log"
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--dir", str(folder), "--save", ""]
        if always:
            # Rewriting the file would be measured, too, as it happens; snapshots here are not.
            command += ["--appendonly", "yes", "--appendfsync", "always"]
            command += ["--auto-aof-rewrite-percentage", "0"]
        with started(command, program=PROGRAM, log=log) as process:
            wait_for(lambda: accepts(port), process, log, "answer of Redis")
            yield Redis(port)
