"""The one table of outcomes and the one table of errors: whole, and agreeing with everybody.

A word that is added in one place and forgotten in another fails here.
"""

from __future__ import annotations

import inspect
from enum import IntEnum
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import EnumDescriptor
from google.rpc import error_details_pb2

from atp import vocabulary
from atp.journal.feed import PositionGone
from atp.server import convert, status
from atp.v1 import cap_service_pb2, reservation_pb2, stock_service_pb2

NATIVE_WORDS = Path(__file__).resolve().parent.parent / "src" / "atp" / "engine" / "words.pxd"
PROTO_ENUMS: dict[str, EnumDescriptor] = {
    name: descriptor
    for module in (reservation_pb2, stock_service_pb2, cap_service_pb2)
    for name, descriptor in module.DESCRIPTOR.enum_types_by_name.items()
}
WORDS: dict[str, type[IntEnum]] = {
    name: kind
    for name, kind in vars(vocabulary).items()
    if inspect.isclass(kind) and issubclass(kind, IntEnum) and kind is not IntEnum
}


def prefix_of(name: str) -> str:
    """ReserveOutcome has values that begin with RESERVE_OUTCOME_."""
    return (
        "".join(f"_{letter}" if letter.isupper() else letter for letter in name)[1:].upper() + "_"
    )


def test_every_enum_of_the_vocabulary_is_in_the_protos_and_the_other_way_round() -> None:
    assert set(WORDS) == set(PROTO_ENUMS)
    assert {kind.__name__ for kind in status.OUTCOMES} == set(WORDS)


@pytest.mark.parametrize("name", sorted(WORDS))
def test_every_word_is_in_the_table_once_under_its_name_and_number(name: str) -> None:
    kind, descriptor = WORDS[name], PROTO_ENUMS[name]
    table = status.OUTCOMES[kind]
    assert list(table) == list(kind)
    for word, number in table.items():
        assert descriptor.values_by_number[number].name == prefix_of(name) + kind(word).name
        assert number == word
    unspecified = descriptor.values_by_number[0].name
    assert unspecified == f"{prefix_of(name)}UNSPECIFIED"
    assert len(descriptor.values) == len(kind) + 1


@pytest.mark.parametrize("name", sorted(WORDS))
def test_the_native_engine_has_the_same_numbers(name: str) -> None:
    declared = native_enums()[name]
    assert declared == {word.name: int(word) for word in WORDS[name]}


def native_enums() -> dict[str, dict[str, int]]:
    """The enums of engine/words.pxd; each member has one word before the word's own name."""
    enums: dict[str, dict[str, int]] = {}
    for line in NATIVE_WORDS.read_text(encoding="utf-8").splitlines():
        code = line.split("#")[0].strip()
        if code.startswith("cdef enum "):
            members = enums.setdefault(code.removeprefix("cdef enum ").rstrip(":"), {})
        elif "=" in code:
            member, number = (part.strip() for part in code.split("="))
            if int(number) != 0:
                members[member.partition("_")[2]] = int(number)
    return enums


def test_every_error_has_one_row_and_one_reason() -> None:
    in_vocabulary = {
        kind
        for kind in vars(vocabulary).values()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }
    in_server = {
        kind
        for kind in vars(status).values()
        if inspect.isclass(kind)
        and issubclass(kind, Exception)
        and kind.__module__ == status.__name__
    }
    rows = [row.error for row in status.ERRORS]
    assert len(rows) == len(set(rows))
    assert set(rows) == in_vocabulary | in_server | {PositionGone}
    reasons = [row.reason for row in (*status.ERRORS, status.FAULT)]
    assert len(reasons) == len(set(reasons))
    for reason in reasons:
        assert reason == reason.upper()
        assert len(reason) <= 63
    for first, second in ((a, b) for a in rows for b in rows if a is not b):
        assert not issubclass(first, second), "the order of rows would matter"


def test_a_row_quotes_what_its_message_quotes() -> None:
    told = status.status_of(status.SkuNotFound("MUG"))
    info = error_details_pb2.ErrorInfo()
    assert told.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "SKU_NOT_FOUND",
        "atp",
        {"sku": "MUG"},
    )
    assert told.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "MUG" in told.message


def test_an_unknown_error_is_a_fault_without_its_text() -> None:
    told = status.status_of(KeyError("secret"))
    assert told.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(told)


def test_the_bounds_that_a_batch_is_checked_against_are_the_engines() -> None:
    from atp import _core  # noqa: PLC0415 - the other tests here need no engine

    assert _core.LIMITS["sku_bytes_max"] == convert.SKU_BYTES_MAX
    assert _core.LIMITS["stock_max"] == convert.STOCK_MAX


def test_a_retry_after_a_whole_second_has_no_second_of_nanos() -> None:
    # A full journal was told with a delay of 1,000,000,000 nanos, which no duration may have.
    told = status.status_of(status.JournalFull())
    retry = error_details_pb2.RetryInfo()
    assert told.details[-1].Unpack(retry)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 0)
