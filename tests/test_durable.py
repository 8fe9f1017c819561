"""Answers that wait for what they reveal: whom the line lets go, and when.

Runs the line over a writer of the test's own, which becomes durable when the test says so; nothing
waits for time to pass.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from atp.server.durable import GONE_MAX, Durable


class FakeWriter:
    """A writer that syncs when it is told to; tells only who has kicked, as the real one does."""

    def __init__(self) -> None:
        self.durable = 0
        self.kicked = 0
        self.kicks = 0
        self.notify_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def kick(self, sequence: int) -> None:
        self.kicks += 1
        self.kicked = max(self.kicked, sequence)

    def sync(self, sequence: int) -> None:
        """Everything up to this sequence becomes durable."""
        told, self.durable = self.durable, sequence
        if told < self.kicked:
            os.eventfd_write(self.notify_fd, 1)


class FakeJournal:
    """A journal whose answers wait, or, for durability interval and off, do not."""

    def __init__(self, writer: FakeWriter, *, waits: bool = True) -> None:
        self.writer = writer
        self.waits = waits

    def wait_for(self, sequence: int) -> bool:
        return self.waits and sequence > self.writer.durable


@pytest.fixture
def writer() -> Iterator[FakeWriter]:
    made = FakeWriter()
    yield made
    os.close(made.notify_fd)


@asynccontextmanager
async def line_over(writer: FakeWriter) -> AsyncIterator[Durable]:
    line = Durable(FakeJournal(writer))
    line.open()
    try:
        yield line
    finally:
        line.close()


async def turns(number: int = 5) -> None:
    """Lets everything that can go on go on."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_an_answer_waits_for_what_it_reveals_and_only_for_that(writer: FakeWriter) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            answers = {
                sequence: asyncio.ensure_future(line.once(sequence, f"answer {sequence}"))
                for sequence in (7, 3, 5, 5)
            }
            await turns()
            assert line.waiting == 4
            writer.sync(5)
            await asyncio.wait([answers[5]])
            await turns()
            assert [sequence for sequence, answer in answers.items() if answer.done()] == [3, 5]
            assert line.waiting == 1
            writer.sync(7)
            assert await answers[7] == "answer 7"
            assert line.waiting == 0

    asyncio.run(body())


def test_what_is_durable_is_answered_without_waiting_and_without_a_sync(
    writer: FakeWriter,
) -> None:
    async def body() -> None:
        writer.sync(9)
        async with line_over(writer) as line:
            for sequence in (0, 1, 9):
                # No turn of the loop goes by: the coroutine ends at its first step.
                with pytest.raises(StopIteration) as ended:
                    line.once(sequence, sequence).send(None)
                assert ended.value.value == sequence
            await turns()
            assert writer.kicks == 0

    asyncio.run(body())


def test_one_kick_serves_all_calls_of_one_turn(writer: FakeWriter) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            answers = [asyncio.ensure_future(line.wait(sequence)) for sequence in range(1, 101)]
            await turns()
            assert (writer.kicks, writer.kicked) == (1, 100)
            writer.sync(100)
            await asyncio.gather(*answers)

    asyncio.run(body())


def test_what_became_durable_just_before_the_kick_is_not_waited_for_for_ever(
    writer: FakeWriter,
) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            answer = asyncio.ensure_future(line.wait(4))
            await asyncio.sleep(0)  # it waits; the kick comes with the next turn
            writer.sync(4)
            assert writer.kicks == 0
            async with asyncio.timeout(20):
                await answer

    asyncio.run(body())


def test_nobody_waits_for_interval_and_off(writer: FakeWriter) -> None:
    async def body() -> None:
        line = Durable(FakeJournal(writer, waits=False))
        line.open()
        assert await line.once(10**9, "answer") == "answer"
        line.close()

    asyncio.run(body())


def test_a_call_that_ends_while_it_waits_leaves_the_line_and_the_others_in_it(
    writer: FakeWriter,
) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            first, second, third = (asyncio.ensure_future(line.wait(n)) for n in (1, 2, 3))
            await turns()
            second.cancel()
            await asyncio.wait([second])
            assert second.cancelled()
            assert line.waiting == 2
            writer.sync(3)
            await asyncio.gather(first, third)

    asyncio.run(body())


def test_a_call_that_ends_in_the_moment_it_is_woken_does_no_harm(writer: FakeWriter) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            waits = [asyncio.ensure_future(line.wait(sequence)) for sequence in (1, 2)]
            await turns()
            writer.sync(1)
            line._wake()
            waits[0].cancel()  # woken, and not yet gone on
            await asyncio.wait([waits[0]])
            assert waits[0].cancelled()
            assert line.waiting == 1
            writer.sync(2)
            await waits[1]

    asyncio.run(body())


def test_callers_that_give_up_and_come_again_do_not_make_the_line_grow(
    writer: FakeWriter,
) -> None:
    async def body() -> None:
        async with line_over(writer) as line:
            last = asyncio.ensure_future(line.wait(1))
            for round_ in range(50):
                calls = [asyncio.ensure_future(line.wait(2 + round_)) for _ in range(100)]
                await turns()
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls)
            assert line.waiting == 1
            assert len(line._line) <= GONE_MAX + 2
            writer.sync(1)
            await last

    asyncio.run(body())


def test_closing_ends_what_still_waits(writer: FakeWriter) -> None:
    async def body() -> None:
        line = Durable(FakeJournal(writer))
        line.open()
        answer = asyncio.ensure_future(line.wait(1))
        await turns()
        line.close()
        line.close()
        await asyncio.wait([answer])
        assert answer.cancelled()
        assert line.waiting == 0

    asyncio.run(body())
