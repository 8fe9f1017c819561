"""The blocking client. Safe to share between threads.

Owns two channels and the loop of attempts; every call's request, reply and policy are in the
modules it shares with the async client. Holds no state of a hold or of a caller.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import grpc

from atp.client import batches, changes, control_calls, data_calls, feed
from atp.client import channel as channels
from atp.client.call import Call, Method, Plane, dress_as_method
from atp.client.changes import Change
from atp.client.channel import DEFAULT_CONTROL_ADDRESS, DEFAULT_DATA_ADDRESS, ChannelOptions, Tls
from atp.client.clock import Clock
from atp.client.errors import from_rpc_error
from atp.client.hold import Hold
from atp.client.retry import DEFAULT_TIMEOUT_S, Attempts, RetryPolicy
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.vocabulary import CapStatus, ReserveReply, Stock

Reply = TypeVar("Reply")
P = ParamSpec("P")


def _operation(build: Callable[P, Call[Reply]]) -> Callable[Concatenate[Client, P], Reply]:
    """A method of the client made from a call's builder."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        return self.call(build(*args, **kwargs))

    return dress_as_method(build, method)


def _hold(build: Callable[P, Call[ReserveReply]]) -> Callable[Concatenate[Client, P], Hold]:
    def hold(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Hold:
        """A hold for the length of a `with` block; takes what `reserve` takes.

        Committed when the block ends, released when it raises. Raises Refused on entering if it is
        not granted, HoldLost on leaving if it has expired. Asks nothing before entering.
        """
        return Hold(self, build(*args, **kwargs))

    return hold


class Client:
    """A client of one atp server. Close it, or use it in a `with` statement.

    `timeout_s` bounds every call that names no bound of its own, retries included. `options` serve
    both addresses. A client connects when it is first used.
    """

    def __init__(
        self,
        data_address: str = DEFAULT_DATA_ADDRESS,
        control_address: str = DEFAULT_CONTROL_ADDRESS,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        data_tls: Tls | None = None,
        control_tls: Tls | None = None,
        options: ChannelOptions = ChannelOptions(),  # noqa: B008 - frozen
        clock: Clock = Clock(),  # noqa: B008 - frozen
    ) -> None:
        self._addresses = {Plane.DATA: data_address, Plane.CONTROL: control_address}
        self._timeout_s = timeout_s
        self._retry = retry
        self._clock = clock
        self._channels = {
            Plane.DATA: channels.open_channel(data_address, data_tls, options),
            Plane.CONTROL: channels.open_channel(control_address, control_tls, options),
        }
        self._callables: dict[Method, Callable[..., Any]] = {
            method: self._channels[method.plane].unary_unary(
                method.path,
                request_serializer=channels.serialize,
                response_deserializer=method.response.FromString,
            )
            for method in (*data_calls.METHODS, *control_calls.METHODS)
        }
        self._callables[batches.EXECUTE] = _one_batch(self._channels[Plane.DATA])
        self._watch: grpc.UnaryStreamMultiCallable[Any, Any] = self._channels[
            Plane.CONTROL
        ].unary_stream(
            feed.WATCH.path,
            request_serializer=channels.serialize,
            response_deserializer=feed.WATCH.response.FromString,
        )

    reserve = _operation(data_calls.reserve)
    hold = _hold(data_calls.reserve)
    commit = _operation(data_calls.commit)
    release = _operation(data_calls.release)
    extend = _operation(data_calls.extend)
    get_reservation = _operation(data_calls.get_reservation)
    get_availability = _operation(data_calls.get_availability)
    execute = _operation(batches.execute)
    set_stock = _operation(control_calls.set_stock)
    adjust_stock = _operation(control_calls.adjust_stock)
    batch_set_stock = _operation(control_calls.batch_set_stock)
    get_stock = _operation(control_calls.get_stock)
    list_stock = _operation(control_calls.list_stock)
    set_cap = _operation(control_calls.set_cap)
    get_cap = _operation(control_calls.get_cap)
    list_caps = _operation(control_calls.list_caps)
    remove_cap = _operation(control_calls.remove_cap)
    get_status = _operation(control_calls.get_status)
    get_top = _operation(control_calls.get_top)
    check_invariants = _operation(control_calls.check_invariants)
    take_snapshot = _operation(control_calls.take_snapshot)

    def iterate_stock(self, *, page_size: int = 0) -> Iterator[Stock]:
        """Reads all SKUs, page by page, in no particular order."""
        page_token = ""
        while True:
            page = self.list_stock(page_size=page_size, page_token=page_token)
            yield from page.stocks
            page_token = page.next_page_token
            if not page_token:
                return

    def iterate_caps(self, *, page_size: int = 0) -> Iterator[CapStatus]:
        """Reads all caps, page by page, in order of cap id."""
        page_token = ""
        while True:
            page = self.list_caps(page_size=page_size, page_token=page_token)
            yield from page.caps
            page_token = page.next_page_token
            if not page_token:
                return

    def watch(self, from_sequence: int = 0, *, resume_s: float = 0.0) -> Generator[Change]:
        """Every change from one on, in order and without gaps: the past first, then each as it is
        durable, for ever. `from_sequence` 0: only what happens from now on.

        Goes on by itself where it was when the server is back, or the reader was too slow for it,
        within `resume_s` seconds (math.inf: however long it takes; 0: raises). To go on later, keep
        the last change's sequence and ask from the one after it.

        Raises OutOfRange (those changes are gone, or lie in the future), ResourceExhausted (too
        slow, or too many watch), InvalidArgument, Unavailable.
        """
        with closing(self.watch_responses(from_sequence, resume_s=resume_s)) as responses:
            for response in responses:
                yield from map(changes.change, response.events)

    def watch_responses(
        self, from_sequence: int = 0, *, resume_s: float = 0.0
    ) -> Generator[maintenance_pb.WatchResponse]:
        """The same as `watch`, as the messages that the server sends. One without changes only says
        how far the feed has come."""
        address = self._addresses[Plane.CONTROL]
        watch = feed.Watch(from_sequence, resume_s, self._retry, self._clock, address)
        while True:
            stream = self._watch(watch.request)
            try:
                for response in stream:
                    watch.check(response)
                    yield response
                    watch.move(response)
                error = feed.ended()
            except grpc.RpcError as failure:
                error = from_rpc_error(failure)
            finally:
                stream.cancel()
            self._clock.sleep(watch.delay_after(error))

    def call(self, call: Call[Reply], /) -> Reply:
        """Runs a call: as often as the policy allows, within its deadline, always with one id."""
        attempts = Attempts(call, self._retry, self._clock, self._timeout_s)
        send = self._callables[call.method]
        while True:
            try:
                response = send(call.request, timeout=attempts.remaining_s())
            except grpc.RpcError as error:
                address = self._addresses[call.method.plane]
                delay_s = attempts.delay_after(from_rpc_error(error), address)
                self._clock.sleep(delay_s)
            else:
                return call.parse(response)

    def close(self) -> None:
        """Ends the connections; calls under way are cancelled."""
        for channel in self._channels.values():
            channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _one_batch(channel: grpc.Channel) -> Callable[..., Any]:
    """Execute as a call with one request and one response."""
    stream: grpc.StreamStreamMultiCallable[Any, Any] = channel.stream_stream(
        batches.EXECUTE.path,
        request_serializer=channels.serialize,
        response_deserializer=batches.EXECUTE.response.FromString,
    )

    def send(request: Any, *, timeout: float) -> Any:
        return batches.only_response(list(stream(iter((request,)), timeout=timeout)))

    return send
