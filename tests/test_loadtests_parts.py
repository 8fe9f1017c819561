"""The parts of a rehearsal by themselves: curves, goods, plans of faults, promises, the proxy."""

from __future__ import annotations

import copy
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from atp.audit import Finding, Verdict
from loadtests import curves, faults, native, promises, rehearsal, screen
from loadtests.__main__ import main
from loadtests.encryption import Files
from loadtests.faults.proxy import Proxy
from loadtests.profiles import PROFILES
from loadtests.rehearsal import Ended, NotRehearsed, Options
from loadtests.sale import Sale

FIGURES: dict[str, Any] = {
    "settings": {"profile": "drop"},
    "seconds": 10.0,
    "calls": {"sent": 100, "answered": 100, "unanswered": 0, "unsent": 0},
    "statuses": {"OK": 100},
    "commands": {"Reserve": {"GRANTED": 60, "CAP_REACHED": 3}, "Commit": {"DONE": 30}},
    "repeated": 1,
    "rates": {
        "commands": 93,
        "offered_per_s": 9.3,
        "offered_per_s_peak": 20.0,
        "by_tenth": [5.0, 5.0, 9.0],
    },
    "latency_ms": {"checkout": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0, "longest": 3.0}},
    "units": {"asked": 70, "on_hand": 30, "sold": 30},
    "caps": {"subnet": 3},
    "faults": [{"kind": "kill", "text": "", "begin_s": 1.0, "seconds": 0.5}],
}
"""Of a sale that keeps every promise."""


@pytest.mark.parametrize("name", PROFILES)
def test_a_curve_is_a_share_of_the_users_and_reaches_all_of_them(name: str) -> None:
    profile = PROFILES[name]
    for seconds in (2.0, profile.seconds, 3_600.0):
        shares = [profile.curve(seconds * at / 500, seconds) for at in range(500)]
        assert all(0 < share <= 1 for share in shares)
        if name != "cyber_monday" or seconds > 2:
            assert max(shares) > 0.95


def test_the_day_is_quiet_at_dawn_and_has_a_rush_in_every_hour() -> None:
    day = [curves.day(at / 10, 240.0) for at in range(2_400)]
    assert day.index(min(day)) // 100 in (3, 4), "before dawn"
    for hour in range(24):
        one = day[hour * 100 : (hour + 1) * 100]
        assert min(one[:30]) > max(one[40:]), f"hour {hour} begins with its deal"
    assert curves.hour_of(239.9, 240.0) == 23


def test_everybody_is_at_a_drop_within_two_seconds() -> None:
    assert curves.rush(0.0, 20.0) == 0.5
    assert curves.rush(1.0, 20.0) == 1.0


@pytest.mark.parametrize("name", PROFILES)
def test_the_same_seed_buys_the_same_things(name: str) -> None:
    goods = PROFILES[name].goods
    known = dict(goods.stock())
    baskets = [goods.basket(rng, hot) for rng in (Random(3), Random(3)) for hot in range(50)]
    assert baskets[:50] == baskets[50:]
    for basket in baskets:
        assert 1 <= len(basket) <= goods.lines_most
        assert len({line.sku for line in basket}) == len(basket)
        assert all(line.sku in known for line in basket)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_users_of_every_kind_that_it_names(name: str) -> None:
    profile = PROFILES[name].sized(users=10, seconds=3.0)
    assert profile.shopper_count() > 0
    assert (profile.bot_count() > 0) == (profile.bots > 0)
    assert profile.shopper_count() + profile.bot_count() + profile.operators == 10
    assert profile.operators < profile.users_at(0.0) <= profile.users_at(1.5) <= 10


@pytest.mark.parametrize(("users", "seconds"), [(1, 5.0), (10**6, 5.0), (10, 1.0), (10, 1e6)])
def test_a_sale_out_of_bounds_is_refused(users: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="takes"):
        PROFILES["drop"].sized(users=users, seconds=seconds)


@pytest.mark.parametrize("seconds", [2.0, 20.0, 600.0])
def test_faults_come_one_after_the_other_and_leave_time_at_the_end(seconds: float) -> None:
    names = [*faults.KINDS, "kill", "kill"]
    orders = set()
    for seed in range(30):
        plan = faults.plan(names, seconds, seed)
        assert plan == faults.plan(names, seconds, seed)
        assert sorted(due.kind.name for due in plan) == sorted(names)
        end_s = seconds * faults.FIRST_SHARE
        for due in plan:
            assert due.at_s >= end_s - 1e-9
            assert due.lasts_s <= due.kind.most_s
            end_s = due.at_s + due.lasts_s
        assert end_s <= seconds * faults.LAST_SHARE
        orders.add(tuple(due.kind.name for due in plan))
    assert len(orders) > 10


def test_an_unknown_fault_is_named_with_those_there_are() -> None:
    assert faults.parse("kill, pause,,kill") == ["kill", "pause", "kill"]
    with pytest.raises(ValueError, match="no fault fire: choose from kill, pause, cut"):
        faults.parse("kill,fire")


ALL_PROMISES = sorted({each for one in PROFILES.values() for each in one.promise}, key=str)


def test_what_keeps_every_promise_breaks_none() -> None:
    assert promises.broken(FIGURES, ALL_PROMISES, faults=["kill"], may_lose=False) == []


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("statuses", "OK"), 0, "no call was answered"),
        (("statuses", "UNAVAILABLE"), 2, "nothing was broken, and yet calls were lost"),
        (("commands", "Reserve", "INVALID_ARGUMENT"), 2, "2 of Reserve ended with INVALID_ARG"),
        (("commands", "Commit", "NOT_FOUND"), 1, "1 of Commit ended with NOT_FOUND"),
        (("commands", "Reserve", "GRANTED"), 10, "only 10 of 13 reserves were granted"),
        (("units", "sold"), 0, "nothing was sold"),
        (("units", "asked"), 50, "only 50 units were asked for, and there were 60"),
        (("caps", "subnet"), 0, "no cap refused anybody"),
        (("repeated",), 0, "no request was repeated"),
        (("rates", "by_tenth"), [5.0, 6.0], "the load was flat"),
        (("faults",), [], "the fault kill did not happen"),
    ],
)
def test_a_promise_that_is_not_kept_is_named(place: tuple[str, ...], value: Any, told: str) -> None:
    figures = copy.deepcopy(FIGURES)
    inner = figures
    for word in place[:-1]:
        inner = inner[word]
    inner[place[-1]] = value
    found = promises.broken(figures, ALL_PROMISES, faults=["kill"], may_lose=False)
    assert any(line.startswith(told) for line in found), found


def test_without_a_journal_promises_are_held_to_the_answers() -> None:
    """It ended with a KeyError where --no-audit was given for a server of another machine."""
    figures = copy.deepcopy(FIGURES)
    figures["units"] = {"asked": 70}
    assert promises.broken(figures, ALL_PROMISES, faults=["kill"], may_lose=False) == []
    figures["commands"]["Commit"] = {"ALREADY_EXPIRED": 30}
    told = promises.broken(figures, ALL_PROMISES, faults=["kill"], may_lose=False)
    assert told == ["nothing was sold"]


def test_a_cap_that_is_gone_already_and_calls_lost_to_a_fault_are_let_be() -> None:
    figures = copy.deepcopy(FIGURES)
    figures["commands"]["RemoveCap"] = {"OK": 3, "NOT_FOUND": 1}
    figures["statuses"]["UNAVAILABLE"] = 5
    assert promises.broken(figures, ALL_PROMISES, faults=["kill"], may_lose=True) == []


# The native engine's plan.


def sale_of(name: str, tmp_path: Path, **sized: Any) -> Sale:
    profile = PROFILES[name].sized(users=None, **sized)
    return Sale(profile, "127.0.0.1:1", "127.0.0.1:1", tmp_path, "run", 1)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_a_plan_of_the_generator(name: str, tmp_path: Path) -> None:
    plan = native.plan_of(sale_of(name, tmp_path, seconds=10.0, rate=200.0))
    assert plan.baskets is not None
    assert plan.curve is not None
    assert max(rate for _, rate in plan.curve) == pytest.approx(200, rel=0.1)
    known = dict(PROFILES[name].goods.stock())
    assert set(plan.baskets.sku_names()) <= set(known)
    bots = [each for each in plan.baskets.customers if each.startswith(b"bot")]
    assert bool(bots) == bool(PROFILES[name].bots)


def test_almost_everybody_asks_in_the_first_two_seconds_of_a_drop(tmp_path: Path) -> None:
    curve = native.rate_curve(sale_of("drop", tmp_path, seconds=20.0).profile)
    early = sum(rate for at_s, rate in curve if at_s < curves.RUSH_S)
    assert early > 0.85 * sum(rate for _, rate in curve)


def test_the_deal_of_the_hour_is_wanted_in_its_hour(tmp_path: Path) -> None:
    sale = sale_of("cyber_monday", tmp_path, seconds=24.0, rate=500.0)
    wanted = list(native.wants(sale.profile, native.rate_curve(sale.profile), sale))
    assert len({want.customer for want in wanted}) == len(wanted)
    hot = [sku for want in wanted for sku, _ in want.lines if sku.startswith("HOT-")]
    assert hot == sorted(hot), "one deal after the other"
    assert len(set(hot)) == curves.HOURS


# The proxy.


@contextmanager
def echoing() -> Iterator[str]:
    """A server that gives back what it gets; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(connection,)).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(65_536):
                connection.sendall(data)
        except OSError:
            return


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def receive(connection: socket.socket, size: int) -> bytes:
    held = b""
    while len(held) < size:
        data = connection.recv(65_536)
        assert data, "it ended"
        held += data
    return held


def test_the_proxy_passes_everything_on_until_it_cuts() -> None:
    sent = os.urandom(3_000_000)
    with echoing() as address, Proxy(address) as proxy, connect(proxy.address) as first:
        sender = threading.Thread(target=first.sendall, args=(sent,))
        sender.start()
        assert receive(first, len(sent)) == sent
        sender.join()
        with connect(proxy.address) as second:
            second.sendall(b"there")
            assert receive(second, 5) == b"there"
            assert proxy.cut() == 2
            for connection in (first, second):
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
        with connect(proxy.address) as third:
            third.sendall(b"again")
            assert receive(third, 5) == b"again"
        assert proxy.cut() <= 1


def test_the_proxy_resets_whoever_it_finds_nobody_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    with Proxy(nobody) as proxy, pytest.raises(ConnectionResetError):
        connect_and_wait(proxy.address)


def connect_and_wait(address: str) -> None:
    """Waits for a byte that nobody sends."""
    with connect(address) as connection:
        connection.recv(1)


# The orchestrator.


def options(tmp_path: Path, **more: Any) -> Options:
    return Options(profile=PROFILES["drop"], out=tmp_path, **more)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"data_address": "127.0.0.1:1"}, "give both of them"),
        (
            {
                **{"data_address": "a:1", "control_address": "a:2", "audits": False},
                "faults": ("kill", "cut"),
            },
            "kill: only for a server that is started here",
        ),
        ({"engine": "native", "web_port": 1}, "the web page is Locust's"),
        ({"processes": 0}, "0 processes: 1 to 64 make a load"),
        ({"engine": "native", "processes": 9}, "the native engine's 8 connections"),
        ({"data_tls": Files()}, "TLS: only of a server that runs already"),
        (
            {
                **{"data_address": "a:1", "control_address": "a:2", "audits": False},
                "control_tls": Files(ca=Path(__file__)),
            },
            "TLS of the control plane: .*test_loadtests_parts.py can't be used: no BEGIN CERT",
        ),
        ({"data_address": "a:1", "control_address": "a:2"}, "give its data directory"),
    ],
)
def test_what_can_not_go_together_is_told(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    with pytest.raises(NotRehearsed, match=told):
        rehearsal.check(options(tmp_path, **more))


def test_only_the_leavings_of_the_rehearsal_before_are_removed(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "a.history").touch()
    (tmp_path / "report.html").touch()
    (tmp_path / "my notes").touch()
    rehearsal.prepare_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my notes"]


def verdict_of(*findings: Finding) -> Verdict:
    counts = {finding.name: 1 for finding in findings}
    return Verdict(findings, counts, {}, {"commands": 93})


OVERSOLD = Finding("oversold", "no_oversell", "HOT-00: 501 held of 500", ("a line",))


@pytest.mark.parametrize(
    ("ended", "status", "told"),
    [
        (Ended(FIGURES, verdict_of()), 0, "verdict     clean: every answer was true (93"),
        (Ended(FIGURES, verdict_of(OVERSOLD)), 1, "VIOLATED    oversold: HOT-00: 501 held"),
        (Ended(FIGURES, verdict_of(), ["nothing was sold"]), 1, "BROKEN      nothing was sold"),
        (Ended(FIGURES, None), 0, "verdict     not audited, as was asked for"),
    ],
)
def test_the_exit_status_is_the_verdicts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: Ended, status: int, told: str
) -> None:
    monkeypatch.setattr("loadtests.__main__.rehearse", lambda options: ended)
    file = tmp_path / "figures.json"
    result = CliRunner().invoke(
        main, ["--profile", "drop", "--out", str(tmp_path), "--json", str(file)]
    )
    assert result.exit_code == status, result.output
    assert told in result.output
    assert file.exists()


def test_a_sale_that_could_not_be_held_ends_with_status_3(tmp_path: Path) -> None:
    words = ["--profile", "drop", "--out", str(tmp_path), "--seconds", "2"]
    words += ["--data-address", "127.0.0.1:1", "--control-address", "127.0.0.1:1", "--no-audit"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3, result.output
    assert "loadtests: 127.0.0.1:1: UNAVAILABLE" in result.output
    result = CliRunner().invoke(main, ["--profile", "drop", "--faults", "fire"])
    assert result.exit_code == 2


def test_the_screen_is_one_screen() -> None:
    text = screen.text_of(Ended(FIGURES, verdict_of(OVERSOLD)), Path("out"), 80)
    assert len(text.splitlines()) <= 24
    assert all(len(line) <= 80 for line in text.splitlines())
