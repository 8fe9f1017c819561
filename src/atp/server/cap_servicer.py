"""The control plane for caps: which engine call each RPC of CapService is.

Owns the pages of the list of caps, which the engine gives whole: bounded in entries and in bytes.
Judges nothing.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from atp.clock import Clock
from atp.server import convert
from atp.server.stock_servicer import page_size
from atp.v1 import cap_service_pb2 as pb
from atp.vocabulary import FieldInvalid

if TYPE_CHECKING:
    from atp._core import Engine

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1_024
PAGE_BYTES = 1 << 20
"""A page ends after the cap that brings it here. The largest cap has about 0.4 MiB and clients of
gRPC take 4 MiB, so a page always fits."""


class CapServicer:
    """Serves CapService."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def SetCap(self, request: pb.SetCapRequest) -> pb.SetCapResponse:
        """Sets a cap."""
        words, sequence = self._engine.set_cap(
            convert.cap_from(request), now_ns=self._clock.now_ns(), etag=request.cap.etag
        )
        return pb.SetCapResponse(cap=convert.cap(words), sequence=sequence)

    def GetCap(self, request: pb.GetCapRequest) -> pb.GetCapResponse:
        """Reads one cap."""
        return pb.GetCapResponse(cap=convert.cap(self._engine.get_cap(request.cap_id)))

    def ListCaps(self, request: pb.ListCapsRequest) -> pb.ListCapsResponse:
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
        return response

    def RemoveCap(self, request: pb.RemoveCapRequest) -> pb.RemoveCapResponse:
        """Removes a cap and its counts."""
        sequence = self._engine.remove_cap(
            request.cap_id, now_ns=self._clock.now_ns(), etag=request.etag
        )
        return pb.RemoveCapResponse(sequence=sequence)


def _token_of(cap_id: str) -> str:
    return base64.urlsafe_b64encode(cap_id.encode()).decode()


def _cap_id_of(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise FieldInvalid("page_token", "is none that was given out") from None
