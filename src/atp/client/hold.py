"""A hold as a context manager: sold when the block ends well, given back when it does not.

Owns what a hold knows of itself and which call comes next; the sync and the async hold differ only
in how they wait. Unlike the client's methods, a hold raises on every refusal, because a block that
runs on without its units is how shops oversell.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from atp.client import data_calls
from atp.client.call import Call, Lines, dress_as_method
from atp.client.errors import AtpError, ChangeRefused, HoldLost, Refused
from atp.vocabulary import (
    ChangeOutcome,
    ChangeReply,
    Reservation,
    ReservationState,
    ReserveOutcome,
    ReserveReply,
)

Reply = TypeVar("Reply")
P = ParamSpec("P")

_LOST = (
    ChangeOutcome.NOT_FOUND,
    ChangeOutcome.ALREADY_COMMITTED,
    ChangeOutcome.ALREADY_RELEASED,
    ChangeOutcome.ALREADY_EXPIRED,
)
_ENDED_AS = {
    ReservationState.COMMITTED: ChangeOutcome.ALREADY_COMMITTED,
    ReservationState.RELEASED: ChangeOutcome.ALREADY_RELEASED,
    ReservationState.EXPIRED: ChangeOutcome.ALREADY_EXPIRED,
}


class SyncCaller(Protocol):
    """Runs a call and gives its answer."""

    def call(self, call: Call[Reply], /) -> Reply: ...


class AsyncCaller(Protocol):
    """Runs a call and gives its answer in time."""

    def call(self, call: Call[Reply], /) -> Coroutine[Any, Any, Reply]: ...


def _then(call: Call[Reply], take: Callable[[Reply], Reply]) -> Call[Reply]:
    """The same call, its answer handed to `take` first."""
    return call.read_as(lambda parse, response: take(parse(response)))


def _sync(
    build: Callable[Concatenate[HoldState, P], Call[Reply]],
) -> Callable[Concatenate[Hold, P], Reply]:
    def method(self: Hold, /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        return self._client.call(build(self, *args, **kwargs))

    return dress_as_method(build, method)


def _async(
    build: Callable[Concatenate[HoldState, P], Call[Reply]],
) -> Callable[Concatenate[AsyncHold, P], Coroutine[Any, Any, Reply]]:
    def method(self: AsyncHold, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Reply]:
        return self._client.call(build(self, *args, **kwargs))

    return dress_as_method(build, method)


class HoldState:
    """What both kinds of hold share: the newest answers, and what they mean."""

    def __init__(self, reserve: Call[ReserveReply]) -> None:
        self._reserve_call = reserve
        self._reply: ReserveReply | None = None
        self._reservation: Reservation | None = None

    @property
    def reply(self) -> ReserveReply:
        """The answer to the reserve, with its line results if it was granted in part."""
        if self._reply is None:
            raise RuntimeError("the hold is asked for on entering its with block, not before")
        return self._reply

    @property
    def reservation(self) -> Reservation:
        """The reservation as of the newest answer."""
        if self._reservation is None:
            raise RuntimeError("the hold is asked for on entering its with block, not before")
        return self._reservation

    @property
    def reservation_id(self) -> str:
        """The name of the reservation."""
        return self.reservation.reservation_id

    @property
    def ended(self) -> bool:
        """True once nothing is held any more: all was sold or given back."""
        return self.reservation.state is not ReservationState.HELD

    def _reserve(self) -> Call[ReserveReply]:
        return _then(self._reserve_call, self._granted)

    def _commit(self, lines: Lines = ()) -> Call[ChangeReply]:
        """Sells all that is still held, or the lines named. Raises HoldLost, ChangeRefused."""
        return _then(data_calls.commit(self.reservation_id, lines), self._changed)

    def _release(self, lines: Lines = ()) -> Call[ChangeReply]:
        """Gives back all that is still held, or the lines named. Raises HoldLost, ChangeRefused."""
        return _then(data_calls.release(self.reservation_id, lines), self._changed)

    def _extend(
        self, *, ttl: timedelta | float | None = None, expire_time: datetime | int | None = None
    ) -> Call[ChangeReply]:
        """Gives the hold more time: `ttl` (a timedelta, or seconds) from now, or an `expire_time`.

        Raises HoldLost, ChangeRefused (the present end stands).
        """
        call = data_calls.extend(self.reservation_id, ttl=ttl, expire_time=expire_time)
        return _then(call, self._changed)

    def _granted(self, reply: ReserveReply) -> ReserveReply:
        """Takes in the answer to the reserve; raises Refused, or HoldLost for one long ended."""
        granted = reply.outcome in (ReserveOutcome.GRANTED, ReserveOutcome.GRANTED_PARTIALLY)
        if not granted or reply.reservation is None:
            raise Refused(reply)
        self._reply = reply
        self._reservation = reply.reservation
        # A request id of the caller's own may name a hold that was granted and ended before.
        ended_as = _ENDED_AS.get(reply.reservation.state)
        if ended_as is not None:
            raise HoldLost(
                ChangeReply(ended_as, reply.reservation, reply.sequence, reply.repeated, -1, None)
            )
        return reply

    def _changed(self, reply: ChangeReply) -> ChangeReply:
        """Takes in the answer to a change; raises HoldLost or ChangeRefused unless it was done."""
        if reply.reservation is not None:
            self._reservation = reply.reservation
        if reply.outcome is ChangeOutcome.DONE:
            return reply
        raise (HoldLost if reply.outcome in _LOST else ChangeRefused)(reply)

    def _note_failed_release(self, error: BaseException, failure: Exception) -> None:
        """Leaves the error that ended the block in charge: the hold ends by itself in time."""
        error.add_note(f"the hold {self.reservation_id} was not given back: {failure}")


class Hold(HoldState):
    """Units set aside for the length of a `with` block; made by `Client.hold`."""

    def __init__(self, client: SyncCaller, reserve: Call[ReserveReply]) -> None:
        super().__init__(reserve)
        self._client = client

    commit = _sync(HoldState._commit)
    release = _sync(HoldState._release)
    extend = _sync(HoldState._extend)

    def __enter__(self) -> Hold:
        """Asks for the hold. Raises Refused if it is not granted."""
        self._client.call(self._reserve())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sells what is still held, or after an exception gives it back. Raises HoldLost."""
        if self.ended:
            return
        if error is None:
            self.commit()
            return
        try:
            self.release()
        except (AtpError, ChangeRefused) as failure:
            self._note_failed_release(error, failure)


class AsyncHold(HoldState):
    """Units set aside for the length of an `async with` block; made by `AsyncClient.hold`."""

    def __init__(self, client: AsyncCaller, reserve: Call[ReserveReply]) -> None:
        super().__init__(reserve)
        self._client = client

    commit = _async(HoldState._commit)
    release = _async(HoldState._release)
    extend = _async(HoldState._extend)

    async def __aenter__(self) -> AsyncHold:
        """Asks for the hold. Raises Refused if it is not granted."""
        await self._client.call(self._reserve())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sells what is still held, or after an exception gives it back. Raises HoldLost."""
        if self.ended:
            return
        if error is None:
            await self.commit()
            return
        try:
            await self.release()
        except (AtpError, ChangeRefused) as failure:
            self._note_failed_release(error, failure)
