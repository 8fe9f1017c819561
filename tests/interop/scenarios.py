"""What a checkout does, as scenarios that any client runs on any way to a server.

Each takes the server, for its stock, and the client that makes the calls.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as batch_pb
from interop.client import Client
from interop.stock import new_id, new_skus, reserve_request
from server_process import ServerProcess
from specimen import key_hex
from stalled_disk import Stalling

BATCH_BYTES = 4 << 20


def available(client: Client, *skus: str) -> list[tuple[int, int, int]]:
    """(available, on hand, held) of each SKU."""
    reply = client.begin("GetAvailability", pb.GetAvailabilityRequest(skus=skus)).result().reply
    return [
        (each.available_quantity, each.on_hand_quantity, each.held_quantity)
        for each in reply.availabilities
    ]


def whole_life(server: ServerProcess, client: Client) -> None:
    """A hold of two lines: read, repeated, extended, sold in part, the rest given back."""
    first, second = new_skus(server, 2)
    asked = reserve_request(first, second, quantity=3)
    granted = client.begin("Reserve", asked).result().reply
    assert granted.outcome == pb.RESERVE_OUTCOME_GRANTED
    hold = granted.reservation
    assert [(line.sku, line.held_quantity) for line in hold.lines] == [(first, 3), (second, 3)]
    assert (hold.customer_id, hold.client_ip) == ("anna", "192.0.2.7")
    assert hold.expire_time.ToNanoseconds() - hold.create_time.ToNanoseconds() == 300 * 10**9
    named = {"reservation_id": hold.reservation_id}
    read = client.begin("GetReservation", pb.GetReservationRequest(**named)).result().reply
    assert read.reservation == hold
    repeated = client.begin("Reserve", asked).result().reply
    assert (repeated.repeated, repeated.reservation) == (True, hold)
    longer = pb.ExtendRequest(ttl=Duration(seconds=600), **named)
    extended = client.begin("Extend", longer).result().reply
    assert extended.reservation.expire_time.seconds > hold.expire_time.seconds
    some = [pb.Line(sku=first, quantity=2)]
    part = pb.CommitRequest(lines=some, request_id=new_id(), **named)
    sold = client.begin("Commit", part).result().reply
    assert sold.outcome == pb.CHANGE_OUTCOME_DONE
    assert sold.reservation.state == pb.RESERVATION_STATE_HELD
    assert available(client, first, second) == [(97, 98, 1), (97, 100, 3)]
    ended = client.begin("Release", pb.ReleaseRequest(**named)).result().reply
    assert (ended.outcome, ended.sequence > sold.sequence) == (pb.CHANGE_OUTCOME_DONE, True)
    assert available(client, first, second) == [(98, 98, 0), (100, 100, 0)]
    again = client.begin("Commit", pb.CommitRequest(**named)).result().reply
    assert again.outcome == pb.CHANGE_OUTCOME_ALREADY_RELEASED


def refusal(server: ServerProcess, client: Client) -> None:
    """A refusal is an answer, with what is available."""
    (sku,) = new_skus(server)
    refused = client.begin("Reserve", reserve_request(sku, quantity=101)).result().reply
    assert refused.outcome == pb.RESERVE_OUTCOME_STOCK_SHORT
    (line,) = refused.line_results
    assert (line.outcome, line.available_quantity) == (pb.LINE_OUTCOME_STOCK_SHORT, 100)


def error_details(_: ServerProcess, client: Client) -> None:
    """Errors come with ErrorInfo and BadRequest, and their text keeps every letter."""
    asked = reserve_request("A", "B")
    asked.lines[1].quantity = 0
    told = client.begin("Reserve", asked).result()
    assert told.code == StatusCode.INVALID_ARGUMENT
    assert told.text.startswith("lines[1].quantity: ")
    assert (told.domain, told.reason, told.field) == ("atp", "FIELD_INVALID", "lines[1].quantity")
    assert dict(told.metadata) == {"field": "lines[1].quantity"}
    unknown = "0" * 32
    told = client.begin("GetReservation", pb.GetReservationRequest(reservation_id=unknown)).result()
    assert (told.code, told.reason) == (StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert told.metadata["reservation_id"] == unknown
    assert unknown in told.text
    # Percent-encoded on its way, and so is the percent sign.
    asked = reserve_request("A")
    asked.client_ip = "100 % für 猫, %41"
    told = client.begin("Reserve", asked).result()
    assert told.text == "client_ip: '100 % für 猫, %41' is no IPv4 or IPv6 address"


def basket_of_a_thousand(server: ServerProcess, client: Client) -> None:
    """More than a stream's first window, to the server and back."""
    skus = new_skus(server, 1_000)
    asked = reserve_request(*skus)
    assert asked.ByteSize() > 64 << 10
    granted = client.begin("Reserve", asked).result().reply
    assert granted.outcome == pb.RESERVE_OUTCOME_GRANTED
    assert [line.sku for line in granted.reservation.lines] == skus
    assert available(client, *skus) == [(99, 100, 1)] * 1_000
    whole = pb.CommitRequest(reservation_id=granted.reservation.reservation_id)
    sold = client.begin("Commit", whole).result().reply
    assert sold.reservation.state == pb.RESERVATION_STATE_COMMITTED
    assert sum(line.committed_quantity for line in sold.reservation.lines) == 1_000


def many_at_once(server: ServerProcess, client: Client, calls: int = 200) -> None:
    """Calls begun without waiting for one another: each gets its own answer."""
    (sku,) = new_skus(server, units=1_000)
    asked = [reserve_request(sku) for _ in range(calls)]
    begun = [client.begin("Reserve", each) for each in asked]
    told = [call.result().reply for call in begun]
    assert {reply.outcome for reply in told} == {pb.RESERVE_OUTCOME_GRANTED}
    assert len({reply.sequence for reply in told}) == calls
    assert available(client, sku) == [(1_000 - calls, 1_000, calls)]


def batches(server: ServerProcess, client: Client, count: int = 20) -> None:
    """Batches that are not waited for, of all kinds of commands, a wrong one among them."""
    (sku,) = new_skus(server, units=1_000)
    sent, kinds = [], ["reserve", "reserve", "extend", "commit", "release", "error"]
    for _ in range(count):
        first, second = reserve_request(sku), reserve_request(sku)
        named = {"reservation_id": key_hex(first.request_id)}
        other = {"reservation_id": key_hex(second.request_id)}
        commands = [
            batch_pb.Command(reserve=first),
            batch_pb.Command(reserve=second),
            batch_pb.Command(extend=pb.ExtendRequest(ttl=Duration(seconds=600), **named)),
            batch_pb.Command(commit=pb.CommitRequest(**named)),
            batch_pb.Command(release=pb.ReleaseRequest(**other)),
            batch_pb.Command(reserve=pb.ReserveRequest(request_id=new_id())),
        ]
        sent.append(batch_pb.ExecuteRequest(commands=commands))
    told = client.begin("Execute", *sent).result()
    assert told.code == StatusCode.OK, told
    assert len(told.replies) == count
    for reply in told.replies:
        results = list(reply.results)
        assert [result.WhichOneof("result") for result in results] == kinds
        assert results[0].reserve.outcome == pb.RESERVE_OUTCOME_GRANTED
        assert results[3].commit.reservation.state == pb.RESERVATION_STATE_COMMITTED
        assert results[4].release.reservation.state == pb.RESERVATION_STATE_RELEASED
        assert (results[5].error.reason, results[5].error.field) == ("FIELD_INVALID", "lines")
    assert available(client, sku) == [(1_000 - count, 1_000 - count, 0)]


def batch_of_four_mebibytes(server: ServerProcess, client: Client) -> None:
    """Batches as large as a message may be, with answers of their size, two in flight."""
    (sku,) = new_skus(server, units=10**6)

    def command() -> batch_pb.Command:
        return batch_pb.Command(reserve=reserve_request(sku))

    one = batch_pb.ExecuteRequest(commands=[command()]).ByteSize()
    count = min(BATCH_BYTES // one, 65_536)
    sent = [batch_pb.ExecuteRequest(commands=[command() for _ in range(count)]) for _ in range(2)]
    assert all(BATCH_BYTES * 0.9 < batch.ByteSize() <= BATCH_BYTES for batch in sent)
    told = client.begin("Execute", *sent).result()
    assert told.code == StatusCode.OK, told
    granted = [result.reserve for reply in told.replies for result in reply.results]
    assert len(granted) == 2 * count
    assert {reply.outcome for reply in granted} == {pb.RESERVE_OUTCOME_GRANTED}
    sequences = [reply.sequence for reply in granted]
    assert sequences == sorted(set(sequences))
    assert available(client, sku) == [(10**6 - 2 * count, 10**6, 2 * count)]


def deadline_that_passes(disk: Stalling, client: Client) -> None:
    """The call ends while the disk stands still; the channel goes on, what it did stays done."""
    (sku,) = new_skus(disk.server)
    asked = reserve_request(sku)
    with disk.stalled():
        told = client.begin("Reserve", asked, seconds=0.3).result()
        assert told.code == StatusCode.DEADLINE_EXCEEDED
    assert client.begin("Reserve", asked).result().reply.repeated
