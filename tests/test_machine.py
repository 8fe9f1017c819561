"""Random histories over the native engine and the reference engine, every answer compared.

Owns the Hypothesis state machine. A short form runs with the suite, a long one by
`--hypothesis-profile=long`; a failure prints the one command that repeats it. The world is small on
purpose: few SKUs, customers, addresses, request ids and instants, so that they meet.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject, StockReason
from conftest import native_engine
from pair import Pair, key_teller

BASE_NS = 1_700_000_000_000_000_000
UNKNOWN_ID = "0" * 32
TELLERS: list[Any] = []

SKUS = ["a", "b", "c", "d", "ghost"]
OTHER_REQUESTS = ["x1", "x2", "x3"]
ADDRESSES = [
    "",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "2001:db8::2",
]
RANGES = ["10.0.0.1", "10.0.0.0/24", "10.0.0.0/16", "0.0.0.0/0", "2001:db8::/32", "::/0"]
CUSTOMERS = ["", "ann", "bob"]
LIFE_NS = 1_000

skus = st.sampled_from([*SKUS[:4] * 4, SKUS[4]])
quantities = st.sampled_from([1, 1, 1, 2, 2, 3, 5])
# A new id, mostly; else one of those used before, for a reserve or for another command.
requests = st.sampled_from(["new"] * 6 + ["used", *OTHER_REQUESTS])
holds = st.sampled_from(["live"] * 8 + ["ended", "unknown"])
baskets = st.lists(st.tuples(skus, quantities), min_size=1, max_size=4)
limits = st.sampled_from([None, 0, 1, 2, 3, 3, 4, 5, 8])
# Mostly short, so that holds end often; now and then beyond the longest life.
ttls = st.sampled_from([1, 10, 10, 50, 100, 300, 300, LIFE_NS, LIFE_NS, LIFE_NS + 1])
ends = st.one_of(
    st.fixed_dictionaries({"ttl_ns": ttls}),
    st.fixed_dictionaries({"default_ttl_ns": ttls}),
    st.fixed_dictionaries({"expire_after": st.integers(-1, LIFE_NS + 1)}),
)


@st.composite
def caps(draw: st.DrawFn) -> Cap:
    """Any cap over the small world."""
    subject = draw(st.sampled_from(CapSubject))
    subnet = subject == CapSubject.SUBNET
    overrides: list[CapOverride] = []
    if subject == CapSubject.CUSTOMER:
        named = draw(st.lists(st.sampled_from(CUSTOMERS[1:]), max_size=2, unique=True))
        overrides = [CapOverride(name, draw(limits)) for name in named]
    elif subject in (CapSubject.IP, CapSubject.SUBNET):
        named = draw(st.lists(st.sampled_from(RANGES), max_size=3, unique=True))
        overrides = [CapOverride(name, draw(limits)) for name in named]
    return Cap(
        cap_id=draw(st.sampled_from(["C", "c1", "c2", "c3"])),
        subject=subject,
        limit=draw(limits),
        skus=tuple(draw(st.lists(skus, max_size=3, unique=True))),
        per_sku=draw(st.booleans()),
        window_ns=draw(st.sampled_from([None, None, 1, 256, 300, 2_560])),
        mode=draw(st.sampled_from([CapMode.ENFORCE, CapMode.ENFORCE, *CapMode])),
        overrides=tuple(overrides),
        ipv4_prefix_length=draw(st.sampled_from([1, 16, 24, 32])) if subnet else 0,
        ipv6_prefix_length=draw(st.sampled_from([1, 32, 127, 128])) if subnet else 0,
    )


class TwoEngines(RuleBasedStateMachine):
    """Every rule is one command; both engines must answer it alike."""

    @initialize(
        remember_ns=st.sampled_from([1, 40, 500]),
        live_holds_max=st.sampled_from([3, 1_000, 1_000]),
        sku_max=st.sampled_from([3, *[1_000] * 9]),
        stocks=st.lists(st.sampled_from([1, 2, 3, 5, 8, 25]), min_size=4, max_size=4),
        first_caps=st.lists(caps(), min_size=1, max_size=3),
    )
    def start(
        self,
        *,
        remember_ns: int,
        live_holds_max: int,
        sku_max: int,
        stocks: list[int],
        first_caps: list[Cap],
    ) -> None:
        """Make both engines, and give them something to sell."""
        if not TELLERS:
            TELLERS.append(key_teller(native_engine))
        self.key_of = TELLERS[0]
        self.pair = Pair(
            native_engine,
            self.key_of,
            remember_ns=remember_ns,
            live_holds_max=live_holds_max,
            sku_max=sku_max,
            longest_life_ns=LIFE_NS,
        )
        self.now_ns = BASE_NS
        self.named: list[str] = []
        self.sent: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for sku, on_hand in zip(SKUS, stocks, strict=False):
            self.ask("set_stock", sku, on_hand)
        for cap in first_caps:
            self.pair.change_cap("set_cap", cap, "", now_ns=self.now_ns)

    def ask(self, name: str, *words: Any, **keywords: Any) -> Any:
        """Ask both engines at the present instant."""
        return self.pair.call(name, *words, **keywords, now_ns=self.now_ns)

    def send(self, name: str, *words: Any, **keywords: Any) -> None:
        """Ask both engines, and keep the request so that it can be sent again."""
        self.sent.append((name, words, keywords))
        self.ask(name, *words, **keywords)

    def request_id(self, word: str) -> str:
        """The request id that a word stands for."""
        used = len(self.named)
        if word in OTHER_REQUESTS:
            return word
        if word == "new" or not used:
            self.named.append(f"r{used}")
            return self.named[-1]
        return self.named[used // 2]

    def hold_id(self, data: st.DataObject, word: str) -> str:
        """The reservation that a word stands for, or one that is unknown."""
        kept = self.pair.model.holds.values()
        if word == "live" and not self.pair.model.live_holds():
            request_id = self.request_id("new")
            self.send("reserve", request_id, [("a", 1)], ttl_ns=300, customer_id="ann")
        chosen = [h.reservation_id for h in kept if h.live == (word == "live")]
        if word == "unknown" or not chosen:
            return UNKNOWN_ID
        return data.draw(st.sampled_from(chosen))

    def dated(self, end: dict[str, int]) -> dict[str, int]:
        """The keywords that say when a hold ends."""
        after = end.get("expire_after")
        return end if after is None else {"expire_time_ns": self.pair.model.time_ns + after}

    # Time.

    @rule(by=st.sampled_from([1, 1, 2, 9, 10, 30, 50, 257, 2_600]))
    def time_passes(self, by: int) -> None:
        """Nothing is asked; the next command brings the new time."""
        self.now_ns += by

    @rule(by=st.sampled_from([1, 20, 1_000]))
    def clock_jumps_back(self, by: int) -> None:
        """A machine's clock was set back."""
        self.now_ns -= by

    @rule(data=st.data(), off=st.sampled_from([-1, 0, 0, 0, 1]))
    def time_comes_to_an_instant(self, data: st.DataObject, off: int) -> None:
        """Come to an instant at which something ends or is forgotten, or just beside it."""
        model = self.pair.model
        instants = {hold.expire_time_ns for hold in model.holds.values() if hold.live}
        ended = [hold.end_time_ns for hold in model.holds.values()]
        ended += [receipt.time_ns for receipt in model.receipts.values()]
        instants |= {end + model.remember_ns for end in ended if end is not None}
        if instants:
            self.now_ns = data.draw(st.sampled_from(sorted(instants))) + off

    @rule()
    def sweep(self) -> None:
        """Expire what is due."""
        self.ask("sweep")

    # Reservations.

    @rule(
        request=requests,
        lines=baskets,
        end=ends,
        address=st.sampled_from(ADDRESSES),
        customer=st.sampled_from(CUSTOMERS),
        partial=st.booleans(),
    )
    def reserve(
        self,
        *,
        request: str,
        lines: list[tuple[str, int]],
        end: dict[str, int],
        address: str,
        customer: str,
        partial: bool,
    ) -> None:
        """A basket, under a new id or one that was used before."""
        self.send(
            "reserve",
            self.request_id(request),
            lines,
            **self.dated(end),
            client_ip=address,
            customer_id=customer,
            allow_partial=partial,
        )

    @rule(lines=baskets, customer=st.sampled_from(CUSTOMERS), address=st.sampled_from(ADDRESSES))
    def reserve_plainly(self, lines: list[tuple[str, int]], customer: str, address: str) -> None:
        """A basket like most."""
        who = {"customer_id": customer, "client_ip": address}
        self.send("reserve", self.request_id("new"), lines, ttl_ns=300, **who)

    @rule(
        data=st.data(),
        request=requests,
        hold=holds,
        lines=baskets,
        customer=st.sampled_from([None, None, None, *CUSTOMERS]),
        address=st.sampled_from(ADDRESSES),
        partial=st.booleans(),
    )
    def replace(
        self,
        *,
        data: st.DataObject,
        request: str,
        hold: str,
        lines: list[tuple[str, int]],
        customer: str | None,
        address: str,
        partial: bool,
    ) -> None:
        """A basket in the place of another hold, mostly by that one's customer."""
        replaces = self.hold_id(data, hold)
        if customer is None:
            owned = self.pair.model.holds.get(replaces)
            customer = owned.customer_id if owned is not None else "ann"
        self.send(
            "reserve",
            self.request_id(request),
            lines,
            ttl_ns=100,
            client_ip=address,
            customer_id=customer,
            allow_partial=partial,
            replaces=replaces,
        )

    @rule(
        data=st.data(),
        name=st.sampled_from(["commit", "release"]),
        hold=holds,
        request=st.sampled_from([""] * 6 + ["new", "used", *OTHER_REQUESTS]),
    )
    def end_whole(self, data: st.DataObject, name: str, hold: str, request: str) -> None:
        """Sell or give back all that is held."""
        request_id = self.request_id(request) if request else ""
        self.send(name, self.hold_id(data, hold), request_id=request_id)

    @rule(
        data=st.data(),
        name=st.sampled_from(["commit", "release"]),
        hold=holds,
        off=st.sampled_from([0, 0, 0, 0, 1, -1, -1]),
        others=st.sampled_from([[]] * 9 + [["a"], ["ghost"]]),
        request=requests,
    )
    def end_lines(
        self,
        *,
        data: st.DataObject,
        name: str,
        hold: str,
        off: int,
        others: list[str],
        request: str,
    ) -> None:
        """Sell or give back some lines, now and then more than there is."""
        hold_id = self.hold_id(data, hold)
        entry = self.pair.model.holds.get(hold_id)
        units = {sku: 1 for sku in others}
        if entry is not None:
            sku = data.draw(st.sampled_from([*entry.lines]))
            units[sku] = max(1, entry.lines[sku].held + off)
        request_id = self.request_id(request)
        self.send(name, hold_id, list(units.items()) or [("a", 1)], request_id=request_id)

    @rule(
        data=st.data(),
        hold=holds,
        end=ends,
        request=st.sampled_from(["", "", "", "new", "used", *OTHER_REQUESTS]),
    )
    def extend(self, data: st.DataObject, hold: str, end: dict[str, int], request: str) -> None:
        """More time."""
        request_id = self.request_id(request) if request else ""
        keywords = self.dated(end) | {"request_id": request_id}
        self.send("extend", self.hold_id(data, hold), **keywords)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """A request that was sent before, word for word."""
        name, words, keywords = data.draw(st.sampled_from(self.sent))
        self.ask(name, *words, **keywords)

    @rule(data=st.data(), hold=holds)
    def show(self, data: st.DataObject, hold: str) -> None:
        """Read one reservation."""
        self.ask("get_reservation", self.hold_id(data, hold))

    @rule(named=st.lists(skus, min_size=1, max_size=6))
    def availability(self, named: list[str]) -> None:
        """Read some SKUs, one of them twice perhaps."""
        self.ask("get_availability", named)

    # Stock.

    @rule(
        sku=skus,
        on_hand=st.integers(0, 15),
        expected=st.none() | st.integers(0, 15),
    )
    def set_stock(self, sku: str, on_hand: int, expected: int | None) -> None:
        """Set the stock."""
        self.ask("set_stock", sku, on_hand, expected=expected)

    @rule(
        request=requests,
        sku=skus,
        delta=st.integers(-5, 9).filter(bool),
        reason=st.sampled_from(StockReason),
    )
    def adjust_stock(self, request: str, sku: str, delta: int, reason: StockReason) -> None:
        """Correct the stock."""
        self.send("adjust_stock", self.request_id(request), sku, delta, reason)

    # Caps.

    @rule(cap=caps(), etag=st.sampled_from(["", "", "present", "stale"]))
    def set_cap(self, cap: Cap, etag: str) -> None:
        """Set a cap, new or in place of another."""
        self.pair.change_cap("set_cap", cap, etag, now_ns=self.now_ns)

    @rule(
        data=st.data(),
        limit=limits,
        mode=st.sampled_from(CapMode),
    )
    def tune_cap(self, data: st.DataObject, limit: int | None, mode: CapMode) -> None:
        """Change what keeps the counts."""
        entries = self.pair.model.caps
        if entries:
            entry = entries[data.draw(st.sampled_from(sorted(entries)))]
            changed = entry.cap._replace(limit=limit, mode=mode)
            self.pair.change_cap("set_cap", changed, "", now_ns=self.now_ns)

    @rule(cap_id=st.sampled_from(["C", "c1", "c2", "c3"]), etag=st.sampled_from(["", "present"]))
    def remove_cap(self, cap_id: str, etag: str) -> None:
        """Remove a cap."""
        self.pair.change_cap("remove_cap", cap_id, etag, now_ns=self.now_ns)

    # Everything.

    @rule()
    def compare_all(self) -> None:
        """Compare the whole state, the laws and the events."""
        self.pair.compare_all(self.now_ns)

    def teardown(self) -> None:
        """Compare the whole state after every history."""
        if hasattr(self, "pair"):
            self.pair.compare_all(self.now_ns)


TestTwoEngines = TwoEngines.TestCase
TestTwoEngines.settings = settings(max_examples=3 * settings().max_examples)
