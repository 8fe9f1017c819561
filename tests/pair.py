"""The native engine and the reference engine side by side, on one history.

Owns the comparing: each call goes to both, the answers must be equal, and so must the whole state
when asked for. Knows what may differ between two right engines (etags, the order of a listing, the
order of holds that end at one instant) and takes exactly that out of the comparison.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from atp.journal._native import state_digest
from atp.v1.event_pb2 import Event
from atp.vocabulary import CapChanged, CapNotFound, CapStatus, FieldInvalid, LimitReached
from events_replay import Replayer
from model import ReferenceEngine
from records import replay

SHARED_STATUS = ("sequence", "time_ns", "skus", "live_holds", "ended_reservations", "receipts")
REFUSED = (FieldInvalid, LimitReached, CapChanged, CapNotFound)


def key_teller(make_native: Callable[..., Any]) -> Callable[[str], str]:
    """How the native engine names the reservation of a request id, learned by asking one."""
    teller = make_native()
    teller.set_stock("x", 1, now_ns=0)

    @functools.cache
    def key_of(request_id: str) -> str:
        reply = teller.reserve(request_id, [("x", 1)], now_ns=0, ttl_ns=1)
        reservation_id: str = reply.reservation.reservation_id
        teller.release(reservation_id, now_ns=0)
        return reservation_id

    return key_of


class Pair:
    """Two engines that must agree. Every call is `pair.call(name, ...)`."""

    def __init__(
        self, make_native: Callable[..., Any], key_of: Callable[[str], str], **settings: Any
    ) -> None:
        self.native = make_native(**settings, record_events=True)
        self.model = ReferenceEngine(**settings, key_of=key_of, expiry_order=self.as_native_expired)
        self.replayer = Replayer()
        self.copy = make_native(**settings)
        self.expired: list[str] = []

    def as_native_expired(self, reservation_ids: list[str]) -> list[str]:
        """Order holds that end at one instant as the native engine took them."""
        return sorted(reservation_ids, key=self.expired.index)

    def take_events(self) -> None:
        """Take what the native engine recorded: replay it twice, by a reader that shares nothing
        with the engine and into another engine; and note the order of expiries."""
        events = self.native.take_events()
        replay(self.copy, events)
        for sequence, recorded in events:
            event = Event.FromString(recorded)
            if event.WhichOneof("change") == "expired":
                self.expired.append(event.expired.reservation_key.hex())
            self.replayer.apply(sequence, event)

    def call(self, name: str, *words: Any, **keywords: Any) -> Any:
        """Ask both; return the answer, or the exception, which both gave."""
        self.expired.clear()
        seen = attempt(getattr(self.native, name), words, keywords)
        self.take_events()
        expected = attempt(getattr(self.model, name), words, keywords)
        same = comparable(seen) == comparable(expected)
        assert same, f"{name}{words} {keywords}\n  native:    {seen!r}\n  reference: {expected!r}"
        if hasattr(seen, "reveals"):
            assert self.seen_at_least(seen) <= seen.reveals <= self.model.sequence, seen
        return seen

    def seen_at_least(self, answer: Any) -> int:
        """The newest change that the reference engine knows this answer to let see."""
        seen = [answer.sequence]
        for part in ("reservation", "stock"):
            if getattr(answer, part, None) is not None:
                seen.append(getattr(answer, part).sequence)
        for refusal in getattr(answer, "cap_refusals", ()):
            seen.append(self.model.caps[refusal.cap_id].sequence)
        return max(seen)

    def change_cap(self, name: str, subject: Any, etag: str, *, now_ns: int) -> Any:
        """Set or remove a cap; the etag `present` stands for that of each engine."""
        cap_id = subject if isinstance(subject, str) else subject.cap_id
        answers = []
        self.expired.clear()
        for engine in (self.native, self.model):
            one_etag = etag
            if etag == "present":
                status = attempt(engine.get_cap, (cap_id,), {})
                one_etag = status.etag if isinstance(status, CapStatus) else "none"
            keywords = {"now_ns": now_ns, "etag": one_etag}
            answers.append(attempt(getattr(engine, name), (subject,), keywords))
            self.take_events()
        seen, expected = map(comparable, answers)
        assert seen == expected, f"{name} {subject}: native {seen!r}, reference {expected!r}"
        return answers[0]

    def compare_all(self, now_ns: int) -> None:
        """Compare the whole state, the laws, the counters, and what the events tell."""
        dump = self.call("dump", now_ns=now_ns)
        report = self.native.check(now_ns=now_ns)
        assert report.violations == ()
        assert self.model.check(now_ns=now_ns).violations == ()
        assert report.digest == self.native.digest(now_ns=now_ns)
        for name in SHARED_STATUS:
            seen, expected = (getattr(e.status(), name) for e in (self.native, self.model))
            assert seen == expected, f"status {name}: native {seen}, reference {expected}"
        assert comparable(self.native.list_caps()) == comparable(self.model.list_caps())
        self.replayer.compare(dump, self.model.time_ns, self.model.remember_ns)
        assert state_digest(self.copy, self.model.time_ns) == report.digest


def attempt(method: Callable[..., Any], words: Any, keywords: Any) -> Any:
    """Call, and give back an exception that is an answer."""
    try:
        return method(*words, **keywords)
    except REFUSED as error:
        return error


def comparable(answer: Any) -> Any:
    """An answer without what two right engines may tell differently."""
    if isinstance(answer, CapStatus):
        return answer._replace(etag="")
    if isinstance(answer, Exception):
        named = getattr(answer, "field", getattr(answer, "limit_name", ""))
        return type(answer), named
    if hasattr(answer, "reveals"):
        return answer._replace(reveals=0)
    if type(answer) in (list, tuple):
        return [comparable(part) for part in answer]
    return answer
