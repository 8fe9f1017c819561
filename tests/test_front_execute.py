"""Batches of commands: a result for each in order, equal to what calls of their own would be told.

The same batch goes to two equal engines, natively and the slow way; every byte is compared.
"""

from __future__ import annotations

from random import Random
from threading import Thread

import pytest

from atp import _front
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from conftest import native_engine
from front_messages import METHODS, request_of
from front_reference import COMMANDS_MAX
from front_twins import DEFAULT_TTL_NS, Twins, stocked
from histories import BASE_NS, LIFE_NS, SKUS, Command, History
from pair import key_teller

LINE = pb.Line(sku="a", quantity=1)
UNKNOWN_ID = "0" * 32
ANSWER_BYTES_MAX = 4 << 20


def command_of(command: Command) -> service_pb.Command:
    """A command of a history as one of a batch."""
    return service_pb.Command(**{command.name: request_of(command)})


def malformed(random: Random) -> service_pb.Command:
    """A command that can't be judged."""
    return random.choice(
        [
            service_pb.Command(),
            service_pb.Command(reserve=pb.ReserveRequest()),
            service_pb.Command(reserve=pb.ReserveRequest(request_id="r", lines=[LINE] * 4_097)),
            service_pb.Command(
                reserve=pb.ReserveRequest(request_id="r", lines=[LINE], client_ip="x'" * 200)
            ),
            service_pb.Command(
                reserve=pb.ReserveRequest(
                    request_id="r", lines=[pb.Line(sku="a", quantity=10**9)] * 2
                )
            ),
            service_pb.Command(commit=pb.CommitRequest(reservation_id="x")),
            service_pb.Command(
                release=pb.ReleaseRequest(
                    reservation_id=UNKNOWN_ID, lines=[LINE] * 2, request_id="r"
                )
            ),
            service_pb.Command(extend=pb.ExtendRequest(request_id="r" * 65)),
        ]
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_history_in_batches_is_answered_byte_for_byte(seed: int) -> None:
    random = Random(seed)
    pair = Twins(longest_life_ns=LIFE_NS, remember_ns=500)
    history = History(random, key_teller(native_engine))
    batch: list[service_pb.Command] = []
    size, kinds = 1, set()
    for command in history.commands(600):
        if command.name in METHODS:
            batch.append(command_of(command))
            if random.random() < 0.05:
                batch.append(malformed(random))
            if len(batch) < size:
                continue
        if batch:
            kinds |= judge_batch(pair, batch, brief=random.random() < 0.5)
            batch, size = [], random.choice([1, 2, 7, 8, 9, 30, 100])
        pair.now_ns = max(pair.now_ns, command.keywords.get("now_ns", 0))
        if command.name not in METHODS:
            pair.both(command.name, *command.words, **command.keywords)
        if random.random() < 0.01:
            pair.both("set_gate", random.choice([0, 0, 0, 1, 2, 3]))
    pair.assert_equal()
    assert kinds == {"reserve", "commit", "release", "extend", "error"}


def judge_batch(pair: Twins, batch: list[service_pb.Command], *, brief: bool) -> set[str]:
    """Judges a batch both ways; returns which kinds of results came."""
    request = service_pb.ExecuteRequest(commands=batch, brief=brief)
    told = pair.judge("Execute", request.SerializeToString())
    assert told.code == 0
    results = service_pb.ExecuteResponse.FromString(told.message).results
    assert len(results) == len(batch)
    for command, result in zip(batch, results, strict=True):
        kind = result.WhichOneof("result")
        assert kind in ("error", command.WhichOneof("command"))
    return {result.WhichOneof("result") for result in results}


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 16, 17])
def test_batches_around_the_number_read_ahead(count: int) -> None:
    pair = stocked()
    reserves = [pb.ReserveRequest(request_id=f"r{i}", lines=[LINE]) for i in range(count)]
    request = service_pb.ExecuteRequest(
        commands=[service_pb.Command(reserve=reserve) for reserve in reserves]
    )
    told = pair.judge("Execute", request.SerializeToString())
    assert told.code == (3 if count == 0 else 0)
    pair.assert_equal()


def test_more_commands_than_may_be_are_refused_before_one_is_judged() -> None:
    pair = stocked()
    one = service_pb.Command(reserve=pb.ReserveRequest(request_id="r", lines=[LINE]))
    request = service_pb.ExecuteRequest(commands=[one] * (COMMANDS_MAX + 1))
    told = pair.judge("Execute", request.SerializeToString())
    assert "65537; 1 to 65536" in told.text
    assert pair.native.status().live_holds == 0
    del request.commands[-1]
    assert pair.judge_native("Execute", request.SerializeToString()).code == 0
    assert pair.native.status().live_holds == 1


def test_a_batch_that_is_no_message_at_its_end_judges_nothing() -> None:
    pair = stocked()
    one = service_pb.Command(reserve=pb.ReserveRequest(request_id="r", lines=[LINE]))
    raw = service_pb.ExecuteRequest(commands=[one] * 10).SerializeToString()
    for broken in (raw[:-1], raw + b"\x0a", raw + b"\x0a\x05\x0a\x03\x0a\x01\xff", raw + b"\x0c"):
        told = pair.judge("Execute", broken)
        assert told.text == "request: is no atp.v1.ExecuteRequest in protobuf's wire format"
    assert pair.native.status().live_holds == 0


def test_an_answer_that_would_be_too_large_says_less_and_stays_within_its_bound() -> None:
    pair = Twins()
    skus = [f"sku {number:03} {'x' * 50}" for number in range(1_000)]
    for sku in skus:
        pair.both("set_stock", sku, 10**9, now_ns=BASE_NS)
    pair.reference.default_ttl_ns = 10**12
    large = pb.ReserveRequest(
        request_id="large", lines=[pb.Line(sku=sku, quantity=10**5) for sku in skus]
    )
    raw = pair.judge("Reserve", large.SerializeToString()).message
    name = pb.ReserveResponse.FromString(raw).reservation.reservation_id
    extend = service_pb.Command(extend=pb.ExtendRequest(reservation_id=name))
    broken = service_pb.Command(
        reserve=pb.ReserveRequest(request_id="r", lines=[LINE], client_ip="x" * 300)
    )
    request = service_pb.ExecuteRequest(commands=[extend] * 400 + [broken] * 100)
    told = pair.judge_native("Execute", request.SerializeToString())
    whole = pair.reference.judge("Execute", request.SerializeToString(), now_ns=pair.now_ns)
    assert len(whole.message) > 5 * ANSWER_BYTES_MAX
    assert 0.8 * ANSWER_BYTES_MAX < len(told.message) <= ANSWER_BYTES_MAX
    results = service_pb.ExecuteResponse.FromString(told.message).results
    expected = service_pb.ExecuteResponse.FromString(whole.message).results
    cut = 0
    for result, full in zip(results, expected, strict=True):
        if result == full:
            continue
        cut += 1
        if full.HasField("error"):
            full.error.message = ""
        else:
            brief = full.extend.reservation
            for field in ("lines", "create_time", "sequence"):
                brief.ClearField(field)
        assert result == full
    assert 300 < cut < 500


def test_refusals_without_number_stay_within_the_bound_too() -> None:
    pair = Twins()
    reserve = pb.ReserveRequest(
        request_id="r", lines=[pb.Line(sku=f"s{number}", quantity=1) for number in range(4_096)]
    )
    request = service_pb.ExecuteRequest(commands=[service_pb.Command(reserve=reserve)] * 300)
    told = pair.judge_native("Execute", request.SerializeToString())
    assert len(told.message) <= ANSWER_BYTES_MAX
    results = service_pb.ExecuteResponse.FromString(told.message).results
    counts = [len(result.reserve.line_results) for result in results]
    assert counts[:50] == [4_096] * 50
    assert set(counts) == {4_096, 0}
    outcomes = {result.reserve.outcome for result in results}
    assert outcomes == {pb.RESERVE_OUTCOME_SKU_UNKNOWN}


def test_a_command_given_twice_is_merged_as_protobuf_does() -> None:
    pair = stocked()
    first = service_pb.Command(reserve=pb.ReserveRequest(request_id="r", lines=[LINE]))
    second = service_pb.Command(
        reserve=pb.ReserveRequest(lines=[pb.Line(sku="b", quantity=2)], customer_id="c")
    )
    other = service_pb.Command(commit=pb.CommitRequest(reservation_id=UNKNOWN_ID, lines=[LINE]))
    parts = [one.SerializeToString() for one in (first, second, other)]
    for order in ([0, 1], [0, 2], [0, 2, 1], [0, 2, 0, 1], [2, 2], [1, 0, 2, 0]):
        content = b"".join(parts[index] for index in order)
        raw = b"\x0a" + bytes([len(content)]) + content
        told = pair.judge("Execute", raw + raw)
        assert len(service_pb.ExecuteResponse.FromString(told.message).results) == 2
    pair.assert_equal()


def test_many_threads_may_judge_on_one_engine_at_once() -> None:
    engine = native_engine()
    for sku in SKUS:
        engine.set_stock(sku, 10**6, now_ns=BASE_NS)
    codes = []

    def judge(number: int) -> None:
        for turn in range(20):
            request = service_pb.ExecuteRequest(
                commands=[
                    service_pb.Command(
                        reserve=pb.ReserveRequest(
                            request_id=f"{number}.{turn}.{index}",
                            lines=[pb.Line(sku=SKUS[index % 5], quantity=1)],
                        )
                    )
                    for index in range(200)
                ]
            )
            told = _front.judge(
                engine,
                "Execute",
                request.SerializeToString(),
                now_ns=BASE_NS,
                default_ttl_ns=DEFAULT_TTL_NS * 10**6,
            )
            codes.append(told[0])

    threads = [Thread(target=judge, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 60
    assert engine.status().live_holds == 12_000
    assert engine.check(now_ns=BASE_NS).violations == ()
