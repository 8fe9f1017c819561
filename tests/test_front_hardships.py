"""What a machine does to a server, and clients do without ill will: no open files left, the process
stopped for a while, the clock put forward and back, certificates replaced under load, a disk that
stands still at the end, bytes that come one by one, answers that nobody reads.

Each against a real server or a whole front; what is promised holds meanwhile and afterwards.
"""

from __future__ import annotations

import resource
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as service_grpc
from front_frames import (
    DATA,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    Connection,
    ask,
    call_fields,
    data,
    framed,
    headers,
    settings,
    window_update,
)
from front_process import SECOND, START_NS, Raw, Running, running
from server_process import COMMAND, channel_to, serving, wait_until
from server_stubs import SECONDS, Stubs, new_id, new_sku, reserve, stubs_to
from stalled_disk import stalling
from tls_keys import NEEDS_OPENSSL, Keys, make_keys
from tls_talk import client_context

AVAILABILITY = "/atp.v1.ReservationService/GetAvailability"
EXECUTE = "/atp.v1.ReservationService/Execute"
FILES = 200
FEW_FILES = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES})); "


def laws_hold(stubs: Stubs) -> None:
    reply = stubs.maintenance.CheckInvariants(
        maintenance_pb.CheckInvariantsRequest(), timeout=SECONDS
    )
    assert list(reply.violations) == []


def batch(sku: str, count: int) -> bytes:
    """A batch of reserves of one unit each, with its prefix."""
    commands = [
        service_pb.Command(
            reserve=pb.ReserveRequest(request_id=new_id(), lines=[pb.Line(sku=sku, quantity=1)])
        )
        for _ in range(count)
    ]
    return framed(service_pb.ExecuteRequest(commands=commands).SerializeToString())


def granted(body: bytes) -> int:
    """How many commands of the batches that were answered in these bytes were granted."""
    count = 0
    while body:
        size = int.from_bytes(body[1:5])
        for result in service_pb.ExecuteResponse.FromString(body[5 : 5 + size]).results:
            count += result.reserve.outcome == pb.RESERVE_OUTCOME_GRANTED
        body = body[5 + size :]
    return count


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def test_who_is_connected_is_served_when_there_are_no_more_files() -> None:
    """And so are new clients once others have left; changes are durable all along."""
    with serving(command=FEW_FILES + COMMAND) as server, stubs_to(server) as stubs:
        sku = new_sku(stubs)
        reserve(stubs, sku, 1)
        with ExitStack() as stack:
            host, _, port = server.data_plane.rpartition(":")
            for _ in range(2 * FILES):
                plug = stack.enter_context(socket.socket())
                plug.settimeout(SECONDS)
                plug.connect((host, int(port)))
            for _ in range(20):
                told = reserve(stubs, sku, 1)
                assert told.outcome == pb.RESERVE_OUTCOME_GRANTED
            laws_hold(stubs)
        with stubs_to(server) as others:
            wait_until(lambda: is_served(others, sku), "a new client to be served")
        assert f"may have {FILES} files open" in server.stderr()
        assert server.process.poll() is None


def is_served(stubs: Stubs, sku: str) -> bool:
    try:
        return reserve(stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_GRANTED
    except grpc.RpcError:
        return False


def test_a_server_that_was_stopped_in_the_midst_of_batches_goes_on() -> None:
    """As a machine that is moved: what was sent before and meanwhile is answered, each once."""
    with serving() as server, stubs_to(server) as stubs:
        sku = new_sku(stubs)
        with Connection(server.data_plane) as connection:
            connection.send(settings((INITIAL_WINDOW_SIZE, 1 << 20)))
            connection.send(headers(1, call_fields(EXECUTE)) + data(1, batch(sku, 20)))
            message = batch(sku, 20)
            connection.send(data(1, message[: len(message) // 2]))
            server.signal(signal.SIGSTOP)
            try:
                connection.send(data(1, message[len(message) // 2 :]))
                connection.send(data(1, batch(sku, 20), END_STREAM))
                wait_until(lambda: state_of(server.process.pid) == "T", "the process to stop")
                time.sleep(1.5)  # the stop itself, longer than data_plane.wait_max
            finally:
                server.signal(signal.SIGCONT)
            assert granted(body_of(connection, 1)) == 60
        laws_hold(stubs)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def body_of(connection: Connection, stream: int) -> bytes:
    """All DATA of a call, to its end."""
    body = b""
    for each in connection.frames():
        if each.stream == stream and each.type == DATA:
            body += each.body
            connection.send(window_update(0, max(1, len(each.body))))
        if each.stream == stream and each.flags & END_STREAM:
            break
    return body


def test_batches_may_come_in_segments_of_one_byte() -> None:
    with running() as served, Connection(served.address) as connection:
        served.engine.set_stock("A", 1_000, now_ns=0)
        text = headers(1, call_fields(EXECUTE))
        text += data(1, batch("A", 30)) + data(1, batch("A", 30), END_STREAM)
        for byte in text:
            assert connection.send(bytes([byte]))
        assert granted(body_of(connection, 1)) == 60


@NEEDS_OPENSSL
def test_batches_may_come_in_records_of_tls_of_one_byte(keys: Keys) -> None:
    with running() as served:
        served.engine.set_stock("A", 1_000, now_ns=0)
        served.front.set_tls(keys.server.cert_pem, keys.server.key_pem, b"")
        text = Raw.PREFACE + settings() + headers(1, call_fields(EXECUTE))
        text += data(1, batch("A", 30)) + data(1, batch("A", 30), END_STREAM)
        with Raw(served.address, greet=False) as raw:
            raw.socket = client_context(keys).wrap_socket(raw.socket, server_hostname="localhost")
            for byte in text:
                raw.send(bytes([byte]))
            body = b""
            while granted(body) < 60:  # the batches come in one frame or in two
                told = raw.read_until(DATA, 1)
                assert told is not None, "closed before all was answered"
                body += told.body
        assert granted(body) == 60


def test_a_clock_that_is_put_forward_and_back_ends_no_call_and_breaks_no_law() -> None:
    """A hold that has ended stays so, and time in answers never goes back."""
    with running() as served, Connection(served.address) as connection:
        served.engine.set_stock("A", 1_000, now_ns=0)
        latest = 0
        stream = 1
        for jump in (0, 3_600, -3_600, 86_400, -86_400, 10**9, -(10**9), 60):
            served.front.publish_clock(START_NS + jump * SECOND, time.monotonic_ns(), 0)
            request = pb.ReserveRequest(request_id=new_id(), lines=[pb.Line(sku="A", quantity=1)])
            connection.send(ask(stream, request.SerializeToString(), grpc_timeout="5S"))
            told = pb.ReserveResponse.FromString(body_of(connection, stream)[5:])
            assert told.outcome == pb.RESERVE_OUTCOME_GRANTED
            created = told.reservation.create_time.ToNanoseconds()
            assert created >= latest
            latest = created
            stream += 2
        assert served.engine.check(now_ns=0).violations == ()


def test_batches_whose_answers_nobody_reads_cost_a_bounded_memory() -> None:
    """Over many streams of many connections; the others are served meanwhile."""
    setting = "data_plane.buffer_bytes_max=64MiB"
    with serving("--set", setting) as server, stubs_to(server) as stubs:
        sku = new_sku(stubs)
        message = batch("none-of-this", 200)
        before = memory_of(server.process.pid)
        with ExitStack() as stack:
            for _ in range(20):
                connection = stack.enter_context(Connection(server.data_plane))
                connection.socket.settimeout(0.2)
                for stream in range(1, 101, 2):
                    opening = headers(stream, call_fields(EXECUTE)) + b"".join(
                        data(stream, message[at : at + 16_000])
                        for at in range(0, len(message), 16_000)
                    )
                    if not connection.send(opening):
                        break
                assert reserve(stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_GRANTED
            assert memory_of(server.process.pid) - before < 128 << 20
        assert reserve(stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_GRANTED
        laws_hold(stubs)


def memory_of(pid: int) -> int:
    """Bytes that the process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_batches_that_wait_for_the_disk_are_answered_before_the_end(tmp_path: Path) -> None:
    """The stop begins while the disk stands still; no more is taken, and what was, is told."""
    with stalling(tmp_path) as disk:
        sku = new_sku(disk.stubs)
        with ExitStack() as stack:
            connections = [
                stack.enter_context(Connection(disk.server.data_plane)) for _ in range(4)
            ]
            with disk.stalled():
                before = sequence_of(disk.stubs)
                for connection in connections:
                    connection.send(settings((INITIAL_WINDOW_SIZE, 1 << 20)))
                    connection.send(headers(1, call_fields(EXECUTE)))
                    connection.send(data(1, batch(sku, 5)) + data(1, batch(sku, 5)))
                wait_until(lambda: sequence_of(disk.stubs) == before + 40, "all to be judged")
                disk.server.signal(signal.SIGTERM)
                wait_until(lambda: "stopping" in disk.server.stderr(), "the stop to begin")
                for connection in connections:
                    connection.send(data(1, batch(sku, 5)))
            assert [granted(body_of(connection, 1)) for connection in connections] == [10] * 4
        assert disk.server.wait() == 0
        assert "cut off" not in disk.server.stderr()


@pytest.mark.parametrize("stall_s", [0.0, 4.5])
def test_a_batch_that_waits_for_the_disk_among_hoarders_is_answered(
    tmp_path: Path, stall_s: float
) -> None:
    """Long answers were once counted when the disk had gone on, all at once; then everybody was
    refused. And a batch that had waited for two seconds beside them had its connection ended, as if
    it was its client who took no answer."""
    words = ("--set", "data_plane.buffer_bytes_max=64MiB")
    with stalling(tmp_path, *words) as disk, ExitStack() as open_:
        sku = new_sku(disk.stubs)
        with disk.stalled():
            before = sequence_of(disk.stubs)
            connection = open_.enter_context(Connection(disk.server.data_plane))
            connection.send(headers(1, call_fields(EXECUTE)))
            connection.send(data(1, batch(sku, 1), END_STREAM))
            wait_until(lambda: sequence_of(disk.stubs) > before, "a change to be judged")
            hoard(disk.server.data_plane, sku, open_)
            # Whoever it is: in which order they are read is the system's to say.
            wait_until(lambda: refused_by_bytes(disk.stubs) > 0, "somebody to be refused meanwhile")
            wait_until(lambda: lag_of(disk.stubs) >= stall_s, "the disk to stand still for so long")
        assert granted(body_of(connection, 1)) == 1
        for _ in range(20):
            assert reserve(disk.stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_GRANTED


def test_who_takes_no_answer_is_counted_also_after_calls_that_waited_for_the_disk(
    tmp_path: Path,
) -> None:
    """What a call that had waited left behind said of the next one that its answer was counted."""
    narrow = settings((INITIAL_WINDOW_SIZE, 0))
    question = pb.GetAvailabilityRequest(skus=["A"] * 400).SerializeToString()
    with running(tmp_path) as served, channel_to(served.address) as channel:
        served.engine.set_stock("A", 1_000, now_ns=0)
        stub = service_grpc.ReservationServiceStub(channel)
        for number in range(8):
            asked = pb.ReserveRequest(
                request_id=f"waits-{number}", lines=[pb.Line(sku="A", quantity=1)]
            )
            assert stub.Reserve(asked, timeout=SECONDS).outcome == pb.RESERVE_OUTCOME_GRANTED
        with Connection(served.address) as hoarder:
            hoarder.send(narrow + ask(1, question, AVAILABILITY))
            wait_until(
                lambda: sum(served.front.statistics().answered.values()) >= 9, "all to be answered"
            )
            assert served.front.statistics().held_bytes > 400


def hoard(address: str, sku: str, open_: ExitStack) -> None:
    """Opens connections whose calls are long to answer, and takes none of the answers."""
    question = pb.GetAvailabilityRequest(skus=[sku] * 400).SerializeToString()
    wide = settings((INITIAL_WINDOW_SIZE, 1 << 30)) + window_update(0, 1 << 30)
    hoarders = [open_.enter_context(Connection(address)) for _ in range(40)]
    for hoarder in hoarders:
        calls = (ask(2 * i + 1, question, AVAILABILITY) for i in range(60))
        hoarder.send(wide + b"".join(calls))


def top_of(stubs: Stubs) -> maintenance_pb.GetTopResponse:
    return stubs.maintenance.GetTop(maintenance_pb.GetTopRequest(), timeout=SECONDS)


def lag_of(stubs: Stubs) -> float:
    return top_of(stubs).durable_lag.ToTimedelta().total_seconds()


def refused_by_bytes(stubs: Stubs) -> int:
    by_bound = {each.limit_name: each.refused_count for each in top_of(stubs).refused_counts}
    return by_bound["buffer_bytes_max"]


def sequence_of(stubs: Stubs) -> int:
    reply = stubs.maintenance.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
    return reply.sequence


@NEEDS_OPENSSL
def test_certificates_are_replaced_while_everybody_connects(tmp_path: Path, keys: Keys) -> None:
    """Old and new, with and without clients' certificates: every handshake is one or the other."""
    with running(tmp_path, threads=2) as served:
        served.engine.set_stock("A", 10**6, now_ns=0)
        served.front.set_tls(keys.server.cert_pem, keys.server.key_pem, b"")
        over = threading.Event()
        failures: list[BaseException] = []

        def connect() -> None:
            try:
                for turn in range(40):
                    call_once(served, keys, f"{threading.get_ident()}-{turn}")
            except BaseException as error:  # handed to the test's own thread
                failures.append(error)

        def replace() -> None:
            while not over.is_set():
                for identity in (keys.renewed, keys.server, keys.rsa):
                    for authority in (b"", keys.authority.cert_pem):
                        served.front.set_tls(identity.cert_pem, identity.key_pem, authority)

        clients = [threading.Thread(target=connect) for _ in range(4)]
        operator = threading.Thread(target=replace)
        for thread in (*clients, operator):
            thread.start()
        for thread in clients:
            thread.join()
        over.set()
        operator.join()
        assert failures == []
        assert served.front.statistics().outcomes["Reserve", 1] == 160


def call_once(served: Running, keys: Keys, name: str) -> None:
    """One reserve over a connection of its own."""
    request = pb.ReserveRequest(request_id=name, lines=[pb.Line(sku="A", quantity=1)])
    context = client_context(keys, shows=keys.client)
    with Raw(served.address, greet=False) as raw:
        raw.socket = context.wrap_socket(raw.socket, server_hostname="localhost")
        raw.send(Raw.PREFACE + settings() + ask(1, request.SerializeToString()))
        told = raw.read_until(DATA, 1)
        assert told is not None, "closed without an answer"
        outcome = pb.ReserveResponse.FromString(told.body[5:]).outcome
        assert outcome == pb.RESERVE_OUTCOME_GRANTED
