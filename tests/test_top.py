"""`atp top` against a real server: its frames, its keys, and what the server reads for it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from random import Random

import pytest

from atp import Client
from atp.client import InvalidArgument
from atp.vocabulary import Cap, CapMode, CapSubject
from command import NO_SERVER, Command
from conftest import native_engine
from server_process import COMMAND, ServerProcess, clean_environment, run_atp, serving
from tls_keys import Keys, make_keys

SECOND = 1_000_000_000
SECONDS = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.data_plane, server.control_plane) as client:
        yield client


def sell(client: Client, sku: str, *, ttl: float = 600) -> None:
    """Some stock, a cap that refuses, holds, and a sale."""
    client.set_stock(sku, 100)
    client.set_cap(Cap("two-each", CapSubject.CUSTOMER, limit=2))
    client.set_cap(Cap("one-each", CapSubject.CUSTOMER, limit=1, mode=CapMode.SHADOW))
    for number in range(5):
        reply = client.reserve({sku: 1}, customer_id=f"{sku}-{number % 2}", ttl=ttl)
        if reply.reservation is not None and number == 0:
            client.commit(reply.reservation.reservation_id)


def test_one_frame_tells_calls_skus_caps_and_holds(server: ServerProcess, client: Client) -> None:
    sell(client, "MUG", ttl=8)
    sell(client, "CUP", ttl=50)
    told = Command(server)("top", "--once", "--json", "--interval", "100ms").json
    read = told["read"]
    assert 0.09 < told["seconds"] < 5
    skus = {row["stock"]["sku"]: row["stock"] for row in read["hot_skus"]}
    assert {"MUG", "CUP"} <= set(skus)
    assert skus["MUG"]["held_quantity"] + skus["MUG"]["sold_quantity"] >= 3
    caps = {row["cap_id"]: row for row in read["cap_uses"]}
    assert caps["two-each"]["refused_count"] > 0
    assert caps["two-each"]["limit_quantity"] == 2
    assert caps["one-each"]["shadow_refused_count"] > 0
    assert caps["one-each"]["mode"] == "CAP_MODE_SHADOW"
    assert read["ending_soon_line_count"] == 3  # of MUG
    assert read["ending_minute_line_count"] == read["live_hold_count"]
    assert read["sold_quantity"] >= 1
    assert read["resident_bytes"] > 10 << 20
    assert {one["method"] for one in read["call_times"]} == {"Reserve", "Commit"}
    assert read["journal"]["durable_sequence"] == read["sequence"]


def test_a_frame_for_people_names_what_is_hot(server: ServerProcess, client: Client) -> None:
    sell(client, "PLATE")
    shown = Command(server)("top", "--once", "--interval", "100ms", "--sort", "sku")
    assert shown.status == 0
    for word in ("HOT SKU", "PLATE", "two-each", "Reserve", "lines ending in 10 s", "sync p50"):
        assert word in shown.out
    assert "\x1b" not in shown.out
    (line,) = re.findall(r"PLATE.*", shown.out)
    assert line.split()[1] == "96"  # available: two each for two customers


def test_how_many_rows_are_asked_for_is_bounded(client: Client) -> None:
    for number in range(5):
        sell(client, f"S{number}")
    assert len(client.get_top(skus=2, caps=1).hot_skus) == 2
    assert len(client.get_top(skus=2, caps=1).cap_uses) == 1
    with pytest.raises(InvalidArgument, match="0 to 100"):
        client.get_top(skus=101)
    with pytest.raises(InvalidArgument, match="0 to 100"):
        client.get_top(caps=-1)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--interval", "1ms"), 2, "at least 100ms"),
        (("--interval", "fast"), 2, "not a duration"),
        (("--sort", "colour"), 2, "'colour' is not one of"),
        (("--skus", "0"), 2, "1<=x<=100"),
    ],
)
def test_what_cannot_be_watched_is_told(arguments: tuple[str, ...], status: int, said: str) -> None:
    ended = run_atp("top", "--once", *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr


def test_without_a_server_it_says_so() -> None:
    ended = run_atp("top", "--once", "--control-address", NO_SERVER, "--timeout", "300ms")
    assert ended.returncode == 3
    assert "no server answers at" in ended.stderr


class Terminal:
    """`atp top` on a terminal of its own."""

    def __init__(self, address: str, columns: int, rows: int) -> None:
        self._ours, its = pty.openpty()
        termios.tcsetwinsize(its, (rows, columns))
        self.before = termios.tcgetattr(its)
        self._its = its
        options = ("--control-address", address, "--interval", "100ms", "--timeout", "500ms")
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "top", *options],
            stdin=its, stdout=its, stderr=its, env=clean_environment({"TERM": "xterm"}),
        )  # fmt: skip
        self.shown = ""

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def until(self, text: str) -> None:
        """Reads until the text was shown anew."""
        deadline = time.monotonic() + SECONDS
        self.shown = ""
        while text not in self.shown:
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown[-3000:]!r}"
            if select.select((self._ours,), (), (), 0.1)[0]:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def end(self) -> int:
        """Waits for the end, reading what is still said; its status."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            if select.select((self._ours,), (), (), 0.1)[0]:
                os.read(self._ours, 65536)
        return self.process.returncode

    def is_as_before(self) -> bool:
        return bool(termios.tcgetattr(self._its) == self.before)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._its)


def test_the_live_view_goes_on_takes_keys_and_leaves_the_terminal_as_it_was() -> None:
    with serving() as server, Client(server.data_plane, server.control_plane) as client:
        sell(client, "LIVE")
        terminal = Terminal(server.control_plane, 80, 24)
        try:
            terminal.until("LIVE")
            terminal.until("q quit")
            client.set_stock("LIVE", 77_777)
            terminal.until("77,7")
            terminal.press("s")
            terminal.until("HOT SKU")
            server.process.kill()
            server.wait()
            terminal.until("no server answers")
            terminal.press("q")
            assert terminal.end() == 0
            assert terminal.is_as_before()
        finally:
            terminal.close()


def test_it_speaks_tls_as_other_commands_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    keys: Keys = make_keys(tmp_path_factory.mktemp("keys"))
    options = []
    for part, path in (("cert", keys.server.cert), ("key", keys.server.key),
                       ("client_ca", keys.authority.cert)):  # fmt: skip
        options += ["--set", f"control_plane.tls.{part}={path}"]
    with serving(*options) as server:
        port = server.control_plane.rpartition(":")[2]
        asked = ("top", "--once", "--interval", "100ms", "--control-address", f"localhost:{port}")
        trusting = (*asked, "--tls-ca", str(keys.authority.cert), "--timeout", "1s")
        shown = (*trusting, "--tls-cert", str(keys.client.cert), "--tls-key", str(keys.client.key))
        assert run_atp(*shown).returncode == 0
        assert run_atp(*trusting).returncode == 3
        assert run_atp(*asked, "--timeout", "500ms").returncode == 3


@pytest.mark.parametrize("seed", range(4))
def test_lines_that_end_soon_are_those_that_a_walk_finds(seed: int) -> None:
    engine, chance = native_engine(), Random(seed)
    skus = [f"S{number}" for number in range(chance.choice([1, 30, 300]))]
    for sku in skus:
        engine.set_stock(sku, 10**9, now_ns=1)
    for number in range(1_500):
        lines = [(sku, 1) for sku in chance.sample(skus, min(len(skus), chance.randrange(1, 4)))]
        ttl_ns = chance.randrange(1, 100) * SECOND
        reply = engine.reserve(f"r{number}", lines, now_ns=2, ttl_ns=ttl_ns)
        if chance.randrange(4) == 0:
            engine.release(reply.reservation.reservation_id, now_ns=2)
    live = engine.dump(now_ns=2)["reservations"].values()

    def counted(by_ns: int) -> int:
        return sum(
            len([line for line in one.lines if line.held])
            for one in live
            if one.expire_time_ns is not None and one.expire_time_ns <= by_ns
        )

    for sooner, later in ((0, 0), (10, 60), (60, 60), (99, 200)):
        told = engine.lines_due(sooner_ns=sooner * SECOND, later_ns=later * SECOND)
        assert told == (counted(sooner * SECOND), counted(later * SECOND))


def test_a_sku_with_more_lines_than_one_look_under_the_lock_is_counted_whole() -> None:
    engine = native_engine()
    engine.set_stock("HOT", 10**9, now_ns=1)
    for number in range(40_000):
        engine.reserve(f"r{number}", [("HOT", 1)], now_ns=2, ttl_ns=(number % 20 + 1) * SECOND)
    told = engine.lines_due(sooner_ns=10 * SECOND + 2, later_ns=20 * SECOND + 2)
    assert told == (20_000, 40_000)
