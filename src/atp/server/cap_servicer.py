"""The control plane for caps: which engine call each RPC of CapService is.

Owns the pages of the list of caps, which the engine gives whole: bounded in entries and in bytes;
and what each answer waits for. Judges nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from atp.clock import Clock
from atp.server import convert, log_events, logs
from atp.server.durable import Durable
from atp.server.status import check_journal
from atp.server.stock_servicer import page_size
from atp.v1 import cap_service_pb2 as pb
from atp.vocabulary import Cap, CapChanged, CapNotFound, CapStatus, FieldInvalid, LimitReached

if TYPE_CHECKING:
    from atp._core import Engine

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1_024
PAGE_BYTES = 1 << 20
"""A page ends after the cap that brings it here. The largest cap has about 0.4 MiB and clients of
gRPC take 4 MiB, so a page always fits."""


class CapServicer:
    """Serves CapService."""

    def __init__(self, engine: Engine, clock: Clock, durable: Durable) -> None:
        self._engine = engine
        self._clock = clock
        self._durable = durable
        self._newest = 0
        """The last change of any cap since the start. What is not there, or not as the caller
        thinks, may be so since then."""

    async def SetCap(self, request: pb.SetCapRequest) -> pb.SetCapResponse:
        """Sets a cap."""
        cap = convert.cap_from(request)
        async with self._refusals_wait():
            words, sequence = self._engine.set_cap(
                cap, now_ns=self._clock.now_ns(), etag=request.cap.etag
            )
        self._newest = max(self._newest, sequence)
        _tell_set(words.cap, sequence)
        response = pb.SetCapResponse(cap=convert.cap(words), sequence=sequence)
        return await self._durable.once(sequence, response)

    async def GetCap(self, request: pb.GetCapRequest) -> pb.GetCapResponse:
        """Reads one cap."""
        async with self._refusals_wait():
            words = self._engine.get_cap(request.cap_id)
        response = pb.GetCapResponse(cap=convert.cap(words))
        return await self._durable.once(_sequence_of(words), response)

    async def ListCaps(self, request: pb.ListCapsRequest) -> pb.ListCapsResponse:
        """Reads all caps in order of cap id, page by page."""
        entries_max = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        after = _cap_id_of(request.page_token)
        later = [words for words in self._engine.list_caps() if words.cap.cap_id.encode() > after]
        response = pb.ListCapsResponse()
        bytes_listed = 0
        for words in later:
            if len(response.caps) == entries_max or bytes_listed >= PAGE_BYTES:
                response.next_page_token = _token_of(response.caps[-1].cap_id)
                break
            response.caps.append(convert.cap(words))
            bytes_listed += response.caps[-1].ByteSize()
        return await self._durable.once(self._newest, response)

    async def RemoveCap(self, request: pb.RemoveCapRequest) -> pb.RemoveCapResponse:
        """Removes a cap and its counts."""
        async with self._refusals_wait():
            sequence = self._engine.remove_cap(
                request.cap_id, now_ns=self._clock.now_ns(), etag=request.etag
            )
        self._newest = max(self._newest, sequence)
        logs.tell(log_events.CAP_REMOVED, cap=request.cap_id, sequence=sequence)
        return await self._durable.once(sequence, pb.RemoveCapResponse(sequence=sequence))

    @contextlib.asynccontextmanager
    async def _refusals_wait(self) -> AsyncIterator[None]:
        """A cap that is not there, or is another by now: so it is since some change of caps."""
        try:
            yield
        except (CapChanged, CapNotFound, LimitReached) as error:
            check_journal(getattr(error, "limit_name", ""))
            await self._durable.wait(self._newest)
            raise


def _tell_set(cap: Cap, sequence: int) -> None:
    """Logs a cap without its overrides, which may name customers."""
    limit = "no limit" if cap.limit is None else f"limit {cap.limit}"
    subject, mode = cap.subject.name.lower(), cap.mode.name.lower()
    words = {"cap": cap.cap_id, "subject": subject, "limit": limit, "mode": mode}
    logs.tell(log_events.CAP_SET, **words, sequence=sequence)


def _sequence_of(words: CapStatus) -> int:
    """The change that made a cap what it is."""
    return int(words.etag, 16)


def _token_of(cap_id: str) -> str:
    return base64.urlsafe_b64encode(cap_id.encode()).decode()


def _cap_id_of(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise FieldInvalid("page_token", "is none that was given out") from None
