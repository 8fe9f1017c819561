"""The commands of checkouts and operators against a real server: what they print, how they end.

Exit statuses are those that every command's help promises; JSON has the names of the protos.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp import Client
from atp.v1 import maintenance_service_pb2 as pb
from atp.vocabulary import Cap, CapSubject
from command import NO_SERVER, Command
from scripted_server import Fault, Silence, scripted
from server_process import (
    COMMAND,
    ServerProcess,
    clean_environment,
    run_atp,
    serving,
    wait_until,
)

NAMES = (f"sku-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "hold.longest_life=1h") as process:
        yield process


@pytest.fixture
def atp(server: ServerProcess) -> Command:
    return Command(server)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.data_plane, server.control_plane) as client:
        yield client


@pytest.fixture
def sku(client: Client) -> str:
    name = next(NAMES)
    client.set_stock(name, 10)
    return name


def test_reserve_prints_the_reservation(atp: Command, client: Client, sku: str) -> None:
    ended = atp("reserve", f"{sku}=2", f"{sku}=1", "--customer", "alice", "--ip", "203.0.113.7",
                "--ttl", "15m")  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    first, *facts = ended.out.splitlines()
    assert first == "granted"
    told = dict(line.split(maxsplit=1) for line in facts[:7])
    hold = client.get_reservation(told["reservation"])
    assert told["state"] == "held"
    assert told["expires"].endswith(("(in 15m)", "(in 14m59s)"))
    assert (told["customer"], told["address"]) == ("alice", "203.0.113.7")
    assert int(told["sequence"]) == hold.sequence
    assert facts[8].split() == [sku, "3", "3", "0", "0", "0"]


def test_reserve_json_has_every_name_of_the_proto(atp: Command, sku: str) -> None:
    ended = atp("reserve", f"{sku}=2", "--request-id", f"order {sku}", "--json")
    assert ended.status == 0
    reply = ended.json
    assert list(reply) == [
        *("outcome", "reservation", "sequence", "repeated"),
        *("line_results", "cap_refusals", "limit_name"),
    ]
    assert reply["outcome"] == "RESERVE_OUTCOME_GRANTED"
    assert reply["reservation"]["state"] == "RESERVATION_STATE_HELD"
    assert reply["reservation"]["end_time"] is None
    assert reply["reservation"]["lines"][0]["held_quantity"] == 2
    again = atp("reserve", f"{sku}=2", "--request-id", f"order {sku}", "--json").json
    assert again == {**reply, "repeated": True}
    human = atp("reserve", f"{sku}=2", "--request-id", f"order {sku}")
    assert human.out.startswith("granted before, by this request id\n")
    reused = atp("reserve", f"{sku}=3", "--request-id", f"order {sku}")
    assert (reused.status, reused.out) == (1, "refused: request id reused\n")


def test_a_refusal_says_what_a_checkout_needs(atp: Command, client: Client, sku: str) -> None:
    other = next(NAMES)
    client.set_stock(other, 1)
    client.reserve({sku: 4}, ttl=600)
    client.set_cap(Cap(f"cap-{other}", CapSubject.CUSTOMER, limit=0, skus=(other,)))
    ended = atp("reserve", f"{sku}=11", f"{other}=1", "nosuch=1", "--customer", "bob")
    assert ended.status == 1
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["refused:", "sku", "unknown"]
    assert lines[1][:5] == ["SKU", "ASKED", "OUTCOME", "GRANTED", "AVAILABLE"]
    assert lines[2][:7] == [sku, "11", "stock", "short", "0", "6", "4"]
    assert lines[2][7:] in (["in", "10m"], ["in", "9m59s"])
    assert lines[3] == [other, "1", "cap", "reached", "0", "1"]
    assert lines[4] == ["nosuch", "1", "sku", "unknown", "0", "0"]
    assert lines[6] == [f"cap-{other}", "bob", "0", "0", "1"]
    client.remove_cap(f"cap-{other}")


def test_taking_what_is_left(atp: Command, sku: str) -> None:
    ended = atp("reserve", f"{sku}=11", "--partial")
    assert ended.status == 0
    assert ended.out.startswith("granted partially\n")
    nothing = atp("reserve", f"{sku}=1", "--partial")
    assert nothing.status == 1


def test_replacing_a_hold(atp: Command, sku: str) -> None:
    old = atp("reserve", f"{sku}=8", "--customer", "carol", "--json").json["reservation"]
    ended = atp("reserve", f"{sku}=9", "--customer", "carol", "--replaces", old["reservation_id"])
    assert ended.status == 0
    assert "released" in atp("show", old["reservation_id"]).out


def test_commit_release_and_their_refusals(atp: Command, sku: str) -> None:
    hold = atp("reserve", f"{sku}=5", "--json").json["reservation"]["reservation_id"]
    part = atp("commit", hold, f"{sku}=1", "--json")
    assert (part.status, part.json["outcome"]) == (0, "CHANGE_OUTCOME_DONE")
    above = atp("release", hold, f"{sku}=5")
    assert above.status == 1
    assert above.out.startswith(f"refused: quantity above held ({sku})\n")
    assert atp("release", hold, f"{sku}=1").out.startswith("done\n")
    assert atp("commit", hold).status == 0
    again = atp("commit", hold)
    assert (again.status, again.out.splitlines()[0]) == (0, "done before; nothing changed now")
    late = atp("release", hold)
    assert (late.status, late.out.splitlines()[0]) == (1, "refused: already committed")
    assert "committed" in late.out
    unknown = atp("commit", "0" * 32)
    assert (unknown.status, unknown.out) == (1, "refused: not found\n")


def test_extend_and_its_refusal(atp: Command, sku: str) -> None:
    hold = atp("reserve", f"{sku}=1", "--ttl", "1m", "--json").json["reservation"]
    ended = atp("extend", hold["reservation_id"], "--ttl", "20m")
    assert ended.status == 0
    assert "(in 20m)" in ended.out or "(in 19m59s)" in ended.out
    late = atp("extend", hold["reservation_id"], "--expire-time", "2200-01-01T00:00:00Z")
    assert late.status == 1
    assert late.out.startswith("refused: expiry out of range\nlatest end  ")
    assert "(in 1h)" in late.out or "(in 59m59s)" in late.out


def test_an_expired_hold(atp: Command, client: Client, sku: str) -> None:
    hold = atp("reserve", f"{sku}=1", "--ttl", "1ms", "--json").json["reservation"]
    wait_until(lambda: client.get_stock(sku).held == 0, "the hold to expire")
    ended = atp("commit", hold["reservation_id"])
    assert (ended.status, ended.out.splitlines()[0]) == (1, "refused: already expired")
    shown = atp("show", hold["reservation_id"], "--json").json
    assert shown["state"] == "RESERVATION_STATE_EXPIRED"
    assert shown["end_time"] == hold["expire_time"]


def test_show_several(atp: Command, sku: str) -> None:
    holds = [
        atp("reserve", f"{sku}=1", "--json").json["reservation"]["reservation_id"] for _ in "ab"
    ]
    assert [line["reservation_id"] for line in atp("show", *holds, "--json").lines] == holds
    ended = atp("show", holds[0], "0" * 32)
    assert ended.status == 1
    assert ended.err == f"atp: no reservation {'0' * 32} is remembered\n"


def test_stock(atp: Command) -> None:
    sku = next(NAMES)
    created = atp("stock", "set", sku, "12")
    assert created.status == 0
    assert created.out.splitlines()[1].split() == [sku, "12", "0", "12", "0", "12", "0"]
    changed = atp("stock", "set", sku, "13", "--expected", "11")
    assert (changed.status, changed.out.splitlines()[0]) == (1, "refused: on hand changed")
    taken = atp("stock", "adjust", sku, "-2", "--reason", "written-off", "--json")
    assert (taken.status, taken.json["stock"]["adjusted_quantity"]) == (0, -2)
    options = ("--reason", "received", "--request-id", f"delivery {sku}")
    assert atp("stock", "adjust", sku, "5", *options).status == 0
    assert atp("stock", "adjust", sku, "5", *options).out.startswith("done before")
    assert atp("stock", "show", sku, "--json").json["on_hand_quantity"] == 15
    unknown = atp("stock", "show", sku, "nosuch")
    assert (unknown.status, unknown.out) == (1, "")
    assert "nosuch" in unknown.err


def test_listing_stock(atp: Command, client: Client) -> None:
    count = 4096 + 5
    names = [f"list-{number}" for number in range(count)]
    client.batch_set_stock((name, 1) for name in names[:4096])
    client.batch_set_stock((name, 1) for name in names[4096:])
    listed = atp("stock", "list")
    assert listed.out.splitlines()[0].split()[:3] == ["SKU", "ON", "HAND"]
    assert {line.split()[0] for line in listed.out.splitlines()[1:]} >= set(names)
    assert listed.out.count("ON HAND") == 1
    every = atp("stock", "list", "--json").lines
    assert len(every) == len(listed.out.splitlines()) - 1
    assert len(atp("stock", "list", "--limit", "4097", "--json").lines) == 4097
    assert len(atp("stock", "list", "--limit", "3").out.splitlines()) == 4


def test_status(atp: Command, sku: str) -> None:
    atp("reserve", f"{sku}=1")
    ended = atp("status")
    assert ended.status == 0
    for text in (
        "live holds",
        "Journal",
        "data directory",
        "durable sequence",
        "waiting to be durable  0 changes, 0 B",
        "p50 ",
        "segments",
        "free on the disk",
        "last snapshot",
        "last start",
        "Bounds",
        "basket_lines_max",
        "4096",
        "Settings",
        "hold.default_ttl",
    ):
        assert text in ended.out
    assert any(line.split() == ["hold.longest_life", "1h", "changed"]
               for line in ended.out.splitlines())  # fmt: skip
    status = atp("status", "--json").json
    assert {limit["name"] for limit in status["limits"]} > {"sku_bytes_max", "live_holds_max"}
    assert status["sequence"] == status["journal"]["durable_sequence"] > 0
    assert status["journal"]["sync_p99"].endswith("s")
    assert status["journal"]["last_recovery"]["snapshot"] == ""
    checked = atp("status", "--check")
    assert (checked.status, checked.out.splitlines()[0]) == (0, "every law holds")
    report = atp("status", "--check", "--json").json
    assert (report["violations"], len(report["digest"])) == ([], 32)


def test_a_broken_law_ends_with_1() -> None:
    broken = pb.CheckInvariantsResponse(violations=["law 1: MUG holds 5 of 3"], digest="0" * 32)
    with scripted(broken) as server:
        ended = Command()("status", "--check", "--control-address", server.address)
    assert ended.status == 1
    assert ended.out.splitlines()[:2] == ["BROKEN LAWS", "  law 1: MUG holds 5 of 3"]


BAD_USAGE = {
    "no such command": (["frobnicate"], "no such command 'frobnicate'; there are serve, load,"),
    "no lines": (["reserve"], "Missing argument 'SKU=QUANTITY...'"),
    "no quantity": (["reserve", "MUG"], "'MUG' is not a line; write SKU=QUANTITY"),
    "no number": (["reserve", "MUG=two"], "'MUG=two' is not a line"),
    "no SKU": (["reserve", "=2"], "'=2' is not a line"),
    "a quantity of 0": (["reserve", "MUG=0"], "lines[0].quantity"),
    "a bad address": (["reserve", "MUG=1", "--ip", "here"], "client_ip"),
    "a bad duration": (["reserve", "MUG=1", "--ttl", "10"], '"10" is not a duration'),
    "two ends": (
        ["reserve", "MUG=1", "--ttl", "1m", "--expire-time", "2030-01-01T00:00:00Z"],
        "give ttl or expire_time, not both",
    ),
    "an end without a zone": (
        ["extend", "0" * 32, "--expire-time", "2030-01-01"],
        "'2030-01-01' is not an instant",
    ),
    "a bad reservation": (["commit", "xyz"], "reservation_id"),
    "a bad reason": (
        ["stock", "adjust", "MUG", "1", "--reason", "because"],
        "'because' is none of received, returned, counted, written-off",
    ),
    "a bad quantity": (["stock", "set", "MUG", "many"], "'many' is not a valid integer"),
    "an unknown option": (["status", "--chekc"], "No such option"),
    "a file that is not there": (["status", "--tls-ca", "/nosuch"], "'/nosuch' does not exist"),
}


@pytest.mark.parametrize("name", BAD_USAGE)
def test_bad_usage_is_one_line_and_status_2(atp: Command, name: str) -> None:
    words, reason = BAD_USAGE[name]
    ended = atp(*words)
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("atp")


def test_no_server_is_status_3() -> None:
    ended = Command()("reserve", "MUG=1", "--timeout", "1s")
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith(f"atp: no server answers at {NO_SERVER} (--data-address): ")
    assert "Connection refused" in ended.err
    # Nothing can have been done, so there is nothing to repeat.
    assert "--request-id" not in ended.err


def test_silence_is_status_3_and_says_how_to_be_sure() -> None:
    with scripted(Silence()) as server:
        ended = Command()(
            *("reserve", "MUG=1", "--request-id", "mine", "--timeout", "200ms"),
            *("--data-address", server.address),
        )
        server.stop_waiting()
    assert ended.status == 3
    assert "in time (--timeout)" in ended.err
    assert "--request-id mine" in ended.err


def test_the_other_plane_is_told_from_no_server(server: ServerProcess) -> None:
    ended = Command()("stock", "list", "--control-address", server.data_plane)
    assert ended.status == 3
    assert "does not serve ListStock; is it the address of the control plane" in ended.err


def test_errors_as_json() -> None:
    fault = Fault(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "LIMIT_REACHED", {"limit_name": "caps_max"}
    )
    with scripted(fault) as server:
        ended = Command()("caps", "show", "x", "--json", "--control-address", server.address)
    assert (ended.status, ended.out) == (1, "")
    error = json.loads(ended.err)["error"]
    assert error == {
        "message": "full",
        "code": "RESOURCE_EXHAUSTED",
        "reason": "LIMIT_REACHED",
        "metadata": {"limit_name": "caps_max"},
        "request_id": "",
    }


def test_a_reader_that_goes_away_is_no_traceback(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("".join(f"pipe-{number},1\n" for number in range(20_000)))
    assert run_atp("load", str(file), "--control-address", server.control_plane).returncode == 0
    command = f"{sys.executable} -c '{COMMAND}'"
    ended = subprocess.run(
        f"{command} stock list --control-address {server.control_plane} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout.startswith("SKU")
    assert ended.stderr == ""


def test_an_interrupted_command_says_so_and_ends() -> None:
    with scripted(Silence()) as silent:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "status", "--control-address", silent.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        wait_until(lambda: bool(silent.asked), "the command to ask")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        silent.stop_waiting()
    assert (process.returncode, out, err.strip()) == (130, "", "atp: interrupted")
