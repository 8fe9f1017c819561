"""Every profile and every fault, short and on a real server, with the audit at the end.

The rehearsals run side by side, as people start them; the tests look at what each of them left.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atp.client import Client
from atp.history import HistoryWriter, list_files, read
from atp.settings import PLANES
from atp.v1 import reservation_pb2 as pb
from atp.v1.history_pb2 import HISTORY_METHOD_RESERVE
from atp.vocabulary import Cap, CapSubject
from loadtests import faults
from loadtests.profiles import PROFILES
from loadtests.shelves import Shelves
from sale_history import Recording
from server_process import ROOT, clean_environment, run_atp, serving
from tls_keys import NEEDS_OPENSSL, make_keys

SECONDS_MOST = 120
AT_ONCE = 4
RUNS = {
    "cyber_monday": ["--users", "40", "--seconds", "4", "--faults", "clock_step"],
    "drop": ["--users", "60", "--seconds", "4"],
    "hold_attack": ["--users", "40", "--seconds", "4", "--faults", "kill", "--processes", "2"],
    "steady": ["--users", "30", "--seconds", "4", "--faults", "cut,slow_disk"],
    "retry_storm": ["--users", "30", "--seconds", "4", "--faults", "pause"],
    "steady native": [
        *("--engine", "native", "--rate", "1500", "--seconds", "4", "--faults", "full_disk"),
        *("--processes", "2"),
    ],
}
"""What is run: a profile, and how."""


class Held(NamedTuple):
    """A rehearsal that is over."""

    out: Path
    status: int
    screen: str
    errors: str

    @property
    def figures(self) -> dict[str, Any]:
        """The report's."""
        made: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return made


def web_page(name: str) -> list[str]:
    """One of them has Locust's page open meanwhile, on a port that is free."""
    if name != "retry_storm":
        return []
    with socket.create_server(("127.0.0.1", 0)) as free:
        return ["--web-port", str(free.getsockname()[1])]


def hold_unhurried(name: str, out: Path) -> Held:
    """Runs one of RUNS; once more, and longer, where a busy machine left too little to ask.

    A promise of a profile (everything was asked for, every bot was refused) is one of its load. An
    answer that wasn't true is never asked again.
    """
    one = hold(name, out)
    if one.status != 1 or "verdict     clean" not in one.screen:
        return one
    return hold(name, out.with_name(f"{out.name}-again"), *RUNS[name], "--seconds", "12")


def hold(name: str, out: Path, *more: str) -> Held:
    """Runs one of RUNS, or a profile with these words, to its end."""
    command = [
        sys.executable,
        "-m",
        "loadtests",
        "--profile",
        name.split(maxsplit=1)[0],
        "--out",
        str(out),
    ]
    done = subprocess.run(
        [*command, *(more or RUNS[name]), *web_page(name)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MOST,
    )
    return Held(out, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Held]:
    """Gives a rehearsal by its name, once it is over; all have begun."""
    folder = tmp_path_factory.mktemp("rehearsals")
    pool = ThreadPoolExecutor(AT_ONCE)
    made: dict[str, Future[Held]] = {
        name: pool.submit(hold_unhurried, name, folder / name.replace(" ", "-")) for name in RUNS
    }
    pool.shutdown(wait=False)
    return lambda name: made[name].result(SECONDS_MOST)


def granted_after(one: Held, fault: dict[str, Any]) -> list[float]:
    """Reserves granted a second, in each step after the end of a fault."""
    series = one.figures["series"]
    step = round((fault["begin_s"] + fault["seconds"]) / series["step_s"]) + 1
    granted: list[float] = series["reserves_per_s"]["GRANTED"]
    return granted[step:]


def test_every_profile_and_every_fault_is_run() -> None:
    assert {name.partition(" ")[0] for name in RUNS} == set(PROFILES)
    named = [words[words.index("--faults") + 1] for words in RUNS.values() if "--faults" in words]
    assert {fault for words in named for fault in words.split(",")} == set(faults.KINDS)


@pytest.mark.parametrize("name", RUNS)
def test_a_rehearsal_is_clean_and_keeps_its_promises(
    held: Callable[[str], Held], name: str
) -> None:
    one = held(name)
    assert one.status == 0, one.screen + one.errors
    assert "verdict     clean" in one.screen
    assert "Traceback" not in one.errors
    assert one.figures["verdict"]["ok"] is True
    assert one.figures["units"]["sold"] > 0
    assert "Clean: every answer was true." in (one.out / "report.html").read_text()


@pytest.mark.parametrize("name", [name for name in RUNS if "--faults" in RUNS[name]])
def test_every_fault_is_noted_and_on_the_screen(held: Callable[[str], Held], name: str) -> None:
    one = held(name)
    asked = sorted(RUNS[name][RUNS[name].index("--faults") + 1].split(","))
    assert sorted(fault["kind"] for fault in one.figures["faults"]) == asked
    for fault in one.figures["faults"]:
        assert f"{fault['kind']} at " in one.screen
        assert (fault["seconds"] > 0) == (fault["kind"] != "cut"), "its end is known"


def test_a_killed_server_came_back(held: Callable[[str], Held]) -> None:
    one = held("hold_attack")
    assert (one.out / "server.log").read_text().count("atp is ready") == 2
    assert one.figures["statuses"].get("UNAVAILABLE", 0) > 0, "somebody noticed"


def test_a_paused_server_is_seen_in_the_latency(held: Callable[[str], Held]) -> None:
    one = held("retry_storm")
    (pause,) = one.figures["faults"]
    lost = sum(count for word, count in one.figures["statuses"].items() if word != "OK")
    assert one.figures["latency_ms"]["checkout"]["longest"] > 100 or lost
    assert pause["seconds"] > 0.3


def test_a_full_disk_refuses_and_is_got_over(held: Callable[[str], Held]) -> None:
    one = held("steady native")
    assert one.figures["statuses"].get("UNAVAILABLE", 0) > 0
    assert any(granted_after(one, one.figures["faults"][0])), "it is got over"


def test_cut_connections_were_there_and_are_made_anew(held: Callable[[str], Held]) -> None:
    one = held("steady")
    (cut,) = (fault for fault in one.figures["faults"] if fault["kind"] == "cut")
    assert "(0 of them)" not in cut["text"]
    assert any(granted_after(one, cut))


def test_users_of_every_kind_came_and_locust_counted_what_the_history_has(
    held: Callable[[str], Held],
) -> None:
    one = held("hold_attack")
    rows = json.loads((one.out / "locust.json").read_text())
    counted = {(row["method"], row["name"]): row["num_requests"] for row in rows}
    assert {"Reserve", "Commit", "SetCap"} <= {method for method, _ in counted}
    assert any(word == "CAP_REACHED" for _, word in counted)
    paths = [path for path in list_files(one.out / "history") if "locust" in path.name]
    calls = sum(entry.WhichOneof("entry") == "sent" for path in paths for entry in read(path))
    # Whoever is sent home at the end in the midst of a call has no event of it.
    assert sum(counted.values()) <= calls <= sum(counted.values()) + 40


def request_ids(path: Path) -> list[str]:
    """Of the reserves in one file of a history."""
    return [
        pb.ReserveRequest.FromString(entry.sent.request).request_id
        for entry in read(path)
        if entry.sent.method == HISTORY_METHOD_RESERVE
    ]


@pytest.mark.parametrize("name", ["hold_attack", "steady native"])
def test_processes_have_a_history_each_and_no_request_in_common(
    held: Callable[[str], Held], name: str
) -> None:
    one = held(name)
    made_by = ("locust-", "native-")
    paths = [path for path in list_files(one.out / "history") if path.name.startswith(made_by)]
    assert len(paths) == 2
    asked = [set(request_ids(path)) for path in paths]
    assert all(len(ids) > 20 for ids in asked), "each has its share"
    assert not asked[0] & asked[1]


def test_locusts_page_is_open_while_the_sale_runs(held: Callable[[str], Held]) -> None:
    one = held("retry_storm")
    (address,) = re.findall(r"Locust's page: (http://\S+)", one.errors)
    log = (one.out / "locust.log").read_text()
    assert f"Starting web interface at {address}" in log
    assert "web interface" not in (held("steady").out / "locust.log").read_text()


def test_only_what_a_rehearsal_leaves_is_there_afterwards(held: Callable[[str], Held]) -> None:
    left = {path.name for path in held("drop").out.iterdir()}
    assert left == {
        *("history", "data", "report.html", "report.json", "server.log"),
        *("locust.log", "locust.json"),
    }


def test_a_violation_that_is_planted_in_a_history_is_named_with_status_1(
    held: Callable[[str], Held], tmp_path: Path
) -> None:
    one = held("drop")
    shutil.copytree(one.out / "history", tmp_path / "history")
    begun = next(iter(read(list_files(one.out / "history")[0]))).begun
    planted = Recording(tmp_path / "history", "planted", begin_ns=begun.time_ns + 10**9)
    planted.reserve(0, 1, "GRANTED", sku="HOT-00", units=400)  # the journal knows nothing of it
    planted.writer.close()
    page = tmp_path / "report.html"
    ended = run_atp(
        *("report", str(tmp_path / "history"), "--data", str(one.out / "data"), "-o", str(page))
    )
    assert ended.returncode == 1, ended
    assert "VIOLATED" in ended.stderr
    assert "Violated: not every answer was true." in page.read_text()


def test_a_server_that_runs_already_is_audited_meanwhile_and_gets_its_caps_back(
    tmp_path: Path,
) -> None:
    basket = Cap("basket", CapSubject.RESERVATION, 7)
    with serving() as server, Client(server.data_plane, server.control_plane) as client:
        client.set_stock("OTHER", 3)
        client.set_cap(basket)
        one = hold(
            "steady",
            tmp_path / "out",
            *("--users", "15", "--seconds", "3", "--data", str(server.folder / "atp-data")),
            *("--data-address", server.data_plane, "--control-address", server.control_plane),
        )
        assert one.status == 0, one.screen + one.errors
        assert one.figures["verdict"]["ok"] is True
        assert [status.cap for status in client.iterate_caps()] == [basket]
        assert client.get_stock("OTHER").available == 3, "it serves on"


def test_a_sku_that_an_operator_left_closed_is_opened_again(tmp_path: Path) -> None:
    """Locust was ended in the midst of a call, and a hot SKU of a server that stays was closed."""
    with (
        serving() as server,
        Client(server.data_plane, server.control_plane) as client,
        HistoryWriter(tmp_path, "by-hand", recorder="test") as writer,
    ):
        shelves = Shelves(PROFILES["steady"], server.control_plane, writer, None)
        shelves.set_up()
        client.set_cap(Cap("closed-HOT-02", CapSubject.EVERYONE, 0, skus=("HOT-02",)))
        shelves.put_back()
        assert list(client.iterate_caps()) == []


@NEEDS_OPENSSL
def test_an_encrypted_server_is_rehearsed_on_as_any(tmp_path: Path) -> None:
    """Both planes ask for a certificate; each engine, and a proxy that cuts what it can't read."""
    keys = make_keys(tmp_path)
    parts = {"cert": keys.server.cert, "key": keys.server.key, "client_ca": keys.authority.cert}
    planes = [f"{plane}.tls.{part}={path}" for plane in PLANES for part, path in parts.items()]
    words = ["--tls-ca", str(keys.authority.cert), "--tls-cert", str(keys.client.cert)]
    words += ["--tls-key", str(keys.client.key), "--seconds", "2"]
    options = [word for plane in planes for word in ("--set", plane)]
    with serving(*options, "--set", "journal.keep=1d") as server:
        words += ["--data-address", server.data_plane, "--control-address", server.control_plane]
        words += ["--no-audit"]
        for engine, more in (
            ("locust", ["--users", "15", "--faults", "cut"]),
            ("native", ["--rate", "300"]),
        ):
            one = hold("steady", tmp_path / engine, "--engine", engine, *words, *more)
            assert one.status == 0, one.screen + one.errors
            assert one.figures["units"]["asked"] > 0
            assert one.figures["statuses"]["OK"] > 50
