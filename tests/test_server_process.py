"""The server as a process: how it starts, what it refuses to start with, how it stops.

Real processes, real ports and real signals; every refusal is held to one line on stderr and exit
status 2.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import maintenance_service_pb2_grpc as maintenance_grpc
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, channel_to, run_atp, serving, wait_until
from test_server_errors import WAITING

SECONDS = 20.0


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another process's server has."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def refused_start(*arguments: str, folder: Path | None = None) -> str:
    """The one line with which `atp serve` refuses to start."""
    done = run_atp("serve", *arguments, folder=folder)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--prot", "1"), r"atp serve: No such option '?--prot.*--help.*"),
        (("surplus",), r"atp serve: .*surplus.*--help.*"),
        (("--set", "hold.default_ttl"), r'atp: --set: "hold.default_ttl" is not NAME=VALUE'),
        (
            ("--set", "hold.ttl=5m"),
            r"atp: --set: hold.ttl: no such setting; did you mean hold.default_ttl\?",
        ),
        (("--config", "nowhere.toml"), r"atp: nowhere.toml: can't be read: No such file .*"),
        (
            ("--data-address", "0.0.0.0:0"),
            r"atp: data_plane.address 0.0.0.0:0 is not a loopback address and has no TLS: .*",
        ),
        (
            ("--control-address", "[::]:0"),
            r"atp: control_plane.address \[::\]:0 is not a loopback address and has no TLS: .*",
        ),
        (
            ("--data-address", "192.0.2.1:7300", "--insecure"),
            r"atp: data_plane.address 192.0.2.1:7300 can't be opened: cannot assign requested .*",
        ),
        (
            ("--data-address", "nowhere.invalid:7300"),
            r"atp: data_plane.address nowhere.invalid:7300: no address is known for the host .*",
        ),
        (
            ("--data-address", "7300"),
            r"atp: --data-address: data_plane.address: .7300. is not an address; write .*",
        ),
        (
            (*FREE, "--ready-file", "/nowhere/ready"),
            r"atp: --ready-file /nowhere/ready can't be written: No such file or directory",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_in_one_line(arguments: tuple[str, ...], line: str) -> None:
    told = refused_start(*arguments)
    assert re.fullmatch(line, told), told


def test_a_broken_settings_file_is_told_with_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "atp.toml").write_text("[hold]\ndefault_ttl = \n")
    told = refused_start(folder=tmp_path)
    assert told == "atp: atp.toml: not TOML: Invalid value (at line 2, column 15)"


def test_a_port_in_use_is_told_and_nothing_is_served(taken_port: int) -> None:
    for option, setting in (
        ("--data-address", "data_plane"),
        ("--control-address", "control_plane"),
    ):
        arguments = {"--data-address": "127.0.0.1:0", "--control-address": "127.0.0.1:0"}
        arguments[option] = f"127.0.0.1:{taken_port}"
        told = refused_start(*(word for pair in arguments.items() for word in pair))
        assert told == (
            f"atp: {setting}.address 127.0.0.1:{taken_port} can't be opened: address already in"
            " use; choose another port, or end the process that has it"
        )


def test_a_second_server_on_the_same_ports_is_refused_and_the_first_serves_on() -> None:
    with serving() as first:
        told = refused_start(
            "--data-address", first.data_plane, "--control-address", first.control_plane
        )
        assert "already in use" in told
        with channel_to(first.data_plane) as channel:
            assert is_serving(channel)


def test_a_port_can_be_opened_again_right_after_a_server_ended() -> None:
    with serving() as first:
        with channel_to(first.data_plane) as channel:
            assert is_serving(channel)
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        with serving("--data-address", first.data_plane) as second:
            assert second.data_plane == first.data_plane


def test_it_serves_all_interfaces_when_told_that_this_is_meant() -> None:
    with serving("--data-address", "0.0.0.0:0", "--insecure") as process:
        assert process.data_plane.startswith("0.0.0.0:")
        port = process.data_plane.rpartition(":")[2]
        with channel_to(f"127.0.0.1:{port}") as channel:
            assert is_serving(channel)


def test_it_serves_ipv6_loopback() -> None:
    with serving("--data-address", "[::1]:0") as process:
        assert process.data_plane.startswith("[::1]:")
        with channel_to(process.data_plane) as channel:
            assert is_serving(channel)


def test_the_ready_file_is_there_while_calls_are_answered(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    ready_file.write_text("left over by a server that was killed")
    with serving("--ready-file", str(ready_file)) as process:
        ready = json.loads(ready_file.read_text())
        assert ready == {
            "pid": process.process.pid,
            "data_plane": process.data_plane,
            "control_plane": process.control_plane,
            "metrics": None,
        }
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert list(tmp_path.iterdir()) == []


def test_print_config_shows_every_setting_and_serves_nothing(tmp_path: Path) -> None:
    first = run_atp("serve", "--print-config", "--set", "hold.default_ttl=5m", folder=tmp_path)
    assert first.returncode == 0
    assert 'default_ttl = "5m"  # changed by --set; default "10m"' in first.stdout
    (tmp_path / "atp.toml").write_text(first.stdout)
    again = run_atp("serve", "--print-config", folder=tmp_path)
    assert 'default_ttl = "5m"  # changed by atp.toml; default "10m"' in again.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_no_call_is_under_way(number: signal.Signals) -> None:
    with serving("--set", "server.drain=1h") as process:
        with channel_to(process.data_plane) as channel:
            assert is_serving(channel)
            process.signal(number)
            assert process.wait() == 0
        assert "Traceback" not in process.stderr()


def test_a_watch_of_its_health_hears_of_the_end_and_does_not_delay_it() -> None:
    with serving("--set", "server.drain=1h") as process, channel_to(process.data_plane) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="atp.v1.ReservationService"), timeout=SECONDS
        )
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        process.signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert process.wait() == 0
        with pytest.raises(grpc.RpcError):
            next(watch)


def start_waiting_call(
    process: ServerProcess, callers: ThreadPoolExecutor, folder: Path
) -> Future[maintenance_pb.CheckInvariantsResponse]:
    """A call that is under way until the file "go on" is there."""

    def call() -> maintenance_pb.CheckInvariantsResponse:
        with channel_to(process.control_plane) as channel:
            stub = maintenance_grpc.MaintenanceServiceStub(channel)
            request = maintenance_pb.CheckInvariantsRequest()
            return stub.CheckInvariants(request, timeout=SECONDS)

    under_way = callers.submit(call)
    wait_until((folder / "begun").exists, "the call to be under way")
    return under_way


def test_a_call_under_way_at_sigterm_finishes_and_new_ones_are_refused(tmp_path: Path) -> None:
    with (
        serving(
            command=WAITING,
            environment={"TEST_FOLDER": str(tmp_path)},
        ) as process,
        ThreadPoolExecutor(1) as callers,
        channel_to(process.control_plane) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=SECONDS
        )
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        under_way = start_waiting_call(process, callers, tmp_path)
        process.signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        for address in (process.data_plane, process.control_plane):
            wait_until(lambda address=address: not accepts(address), f"{address} to be closed")
        assert not under_way.done()
        (tmp_path / "go on").touch()
        assert under_way.result(SECONDS).digest == "0" * 32
        assert process.wait() == 0
        assert "cut off" not in process.stderr()


@pytest.mark.parametrize(
    ("drain", "signals"), [("100ms", [signal.SIGTERM]), ("1h", [signal.SIGTERM, signal.SIGINT])]
)
def test_a_call_that_outlasts_the_drain_or_a_second_signal_is_cut_off(
    tmp_path: Path, drain: str, signals: list[signal.Signals]
) -> None:
    with (
        serving(
            "--set",
            f"server.drain={drain}",
            command=WAITING,
            environment={"TEST_FOLDER": str(tmp_path)},
        ) as process,
        ThreadPoolExecutor(1) as callers,
    ):
        under_way = start_waiting_call(process, callers, tmp_path)
        for number in signals:
            process.signal(number)
            wait_until(lambda: "stopping" in process.stderr(), "the stop to begin")
        assert process.wait() == 0
        with pytest.raises(grpc.RpcError) as raised:
            under_way.result(SECONDS)
        assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert "1 calls were cut off" in process.stderr()


def test_sighup_takes_over_live_settings_and_only_those(tmp_path: Path) -> None:
    settings_file = tmp_path / "atp.toml"
    settings_file.write_text('[hold]\ndefault_ttl = "5m"\n')
    with (
        serving("--set", "log.level=debug", folder=tmp_path) as process,
        channel_to(process.control_plane) as channel,
    ):
        stub = maintenance_grpc.MaintenanceServiceStub(channel)

        def setting(name: str) -> str:
            status = stub.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
            return next(entry.value for entry in status.settings if entry.name == name)

        assert setting("hold.default_ttl") == "5m"
        settings_file.write_text('[hold]\ndefault_ttl = "7m"\n[memory]\nsku_max = 5\n')
        process.signal(signal.SIGHUP)
        wait_until(lambda: setting("hold.default_ttl") == "7m", "the new default_ttl")
        assert setting("memory.sku_max") == "16777216"
        assert setting("log.level") == "debug"
        assert "next start only: memory.sku_max" in process.stderr()
        settings_file.write_text("hold = nonsense\n")
        process.signal(signal.SIGHUP)
        wait_until(lambda: "settings not reloaded: atp.toml" in process.stderr(), "the refusal")
        assert setting("hold.default_ttl") == "7m"


def test_a_hold_expires_on_time_and_is_swept() -> None:
    with (
        serving("--set", "server.sweep_interval=10ms") as process,
        channel_to(process.control_plane) as control,
        channel_to(process.data_plane) as data,
    ):
        stock(control, "A", 1)
        reservations = pb_grpc.ReservationServiceStub(data)
        request = pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="A", quantity=1)])
        request.ttl.FromMilliseconds(50)
        hold = reservations.Reserve(request, timeout=SECONDS).reservation
        assert hold.state == pb.RESERVATION_STATE_HELD
        maintenance = maintenance_grpc.MaintenanceServiceStub(control)

        def live_holds() -> int:
            # Status moves no time on: only the sweep can have cleared the hold.
            status = maintenance.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
            return status.live_hold_count

        wait_until(lambda: live_holds() == 0, "the sweep")
        found = reservations.GetReservation(
            pb.GetReservationRequest(reservation_id=hold.reservation_id), timeout=SECONDS
        ).reservation
        assert found.state == pb.RESERVATION_STATE_EXPIRED
        assert found.end_time == hold.expire_time


CLOCK_SET_FORWARD = """
import itertools, time
from atp.cli import main
from atp.clock import Clock
from atp.server import app

reads = itertools.count()
app.Clock = lambda: Clock(lambda: time.time_ns() + (3600 * 10**9 if next(reads) else 0))
main()
"""


def test_a_system_clock_that_is_set_forward_ends_no_hold_and_is_told() -> None:
    with (
        serving(command=CLOCK_SET_FORWARD) as process,
        channel_to(process.control_plane) as control,
        channel_to(process.data_plane) as data,
    ):
        wait_until(lambda: "clock is 3600.000 s ahead" in process.stderr(), "the drift to be told")
        stock(control, "A", 1)
        request = pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="A", quantity=1)])
        hold = pb_grpc.ReservationServiceStub(data).Reserve(request, timeout=SECONDS).reservation
        assert abs(hold.create_time.ToNanoseconds() - time.time_ns()) < 60 * 10**9
        status = maintenance_grpc.MaintenanceServiceStub(control).GetStatus(
            maintenance_pb.GetStatusRequest(), timeout=SECONDS
        )
        assert 3590 < status.clock_drift.ToSeconds() <= 3600
        assert process.stderr().count("clock is") == 1


def test_the_log_can_be_json(tmp_path: Path) -> None:
    with serving("--set", "log.format=json") as process:
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        lines = [json.loads(line) for line in process.stderr().splitlines()]
        events = [line["event"] for line in lines]
        assert events == ["data_directory", "new_store", "ready", "stopping", "stopped"]
        for line in lines:
            assert line["level"] == "info"
            assert line["message"]
            assert line["action"] == "nothing to do"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert lines[2]["data_plane"] == process.data_plane


def stock(channel: grpc.Channel, sku: str, on_hand: int) -> None:
    """Sets the units on hand of one SKU."""
    request = stock_pb.SetStockRequest(sku=sku, on_hand_quantity=on_hand)
    stock_grpc.StockServiceStub(channel).SetStock(request, timeout=SECONDS)


def is_serving(channel: grpc.Channel) -> bool:
    """True when the server behind the channel says that it serves."""
    reply = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(), timeout=SECONDS, wait_for_ready=True
    )
    return reply.status == health_pb2.HealthCheckResponse.SERVING


def accepts(address: str) -> bool:
    """True while a new connection to the address is accepted."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except (ConnectionRefusedError, ConnectionResetError):  # closed, or while in line
        return False
    return True
