"""A small language for scenarios: one line a command, what it must answer after the arrow.

Owns the reading of scenario texts and their running against anything that answers like an engine.
Knows the words of `atp.vocabulary`, and no rule. Times are nanoseconds after BASE_NS.

    stock SKU N [expected=N]                    adjust ID SKU DELTA REASON
    reserve ID SKU:N... [customer= ip= ttl= until= default= replaces=ID partial]
    commit ID [SKU:N...] [id=]                  release ID [SKU:N...] [id=]
    extend ID [ttl= until= default= id=]        sweep -> N expired
    cap ID SUBJECT [limit= skus=a,b per_sku window= mode= v4= v6= over=SUBJECT|N... etag=]
    uncap ID [etag=]                            stats CAP -> refused=N shadow=N
    show ID -> STATE ...                        sku SKU -> on_hand=N held=N ...
    force CAP|SUBJECT|SKU -> N in force         at TIME
    engine KEYWORD=N...  (first line only; without it, DEFAULTS)

After the arrow: the outcome, then any number of facts, `name=value`. A line result is told as
line=INDEX|OUTCOME|granted|available|held|first, cut short at will; a reported cap as
cap=ID|SUBJECT|SKU|limit|in force|asked. Nothing after a command of stock: DONE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from atp.vocabulary import (
    Cap,
    CapChanged,
    CapMode,
    CapNotFound,
    CapOverride,
    CapSubject,
    ChangeReply,
    FieldInvalid,
    Reservation,
    ReserveReply,
    Stock,
    StockReason,
    StockReply,
)

BASE_NS = 1_700_000_000_000_000_000
DEFAULTS = {"longest_life_ns": 1_000, "remember_ns": 500}
DEFAULT_TTL_NS = 100
TIMED = {"at", "sweep"}  # looking at the state first would do their work
REFUSALS_BY_LINES = {"SKU_UNKNOWN", "CAP_REACHED", "STOCK_SHORT"}


class Step(NamedTuple):
    """One line of a scenario, taken apart."""

    text: str
    verb: str
    words: list[str]
    options: dict[str, list[str]]
    outcome: str
    told: dict[str, list[str]]


def read_cases(text: str) -> list[tuple[str, list[Step]]]:
    """Take a text apart: each case starts with `== its name`."""
    cases: list[tuple[str, list[Step]]] = []
    for raw in text.replace("\\\n", " ").splitlines():
        line = raw.split("#")[0].strip()
        if line.startswith("=="):
            cases.append((line[2:].strip(), []))
        elif line:
            cases[-1][1].append(read_step(line))
    return cases


def read_step(line: str) -> Step:
    """Take one line apart."""
    asked, _, answer = line.partition("->")
    verb, *rest = asked.split()
    words, options = read_words(rest)
    answers, told = read_words(answer.split())
    outcome = answers[0] if answers else ""
    for flag in answers[1:]:
        told[flag] = [""]
    return Step(line, verb, words, options, outcome, told)


def read_words(parts: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Tell plain words from `name=value`, which may come several times."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            options.setdefault(name, []).append(value)
        else:
            words.append(part)
    return words, options


def read_lines(words: list[str]) -> list[tuple[str, int]]:
    """`apple:2` is two units of the SKU apple."""
    pairs = [word.rpartition(":") for word in words]
    return [(sku, int(quantity)) for sku, _, quantity in pairs]


def read_limit(text: str) -> int | None:
    """A limit; `none` is no limit."""
    return None if text == "none" else int(text)


class Scenario:
    """Runs the steps of one case; `watched` also looks at the whole state around each of them."""

    def __init__(self, make: Callable[..., Any], steps: list[Step], *, watched: bool) -> None:
        settings = dict(DEFAULTS)
        if steps[0].verb == "engine":
            settings |= {name: int(values[0]) for name, values in steps[0].options.items()}
            steps = steps[1:]
        self.engine = make(**settings)
        self.steps = steps
        self.watched = watched
        self.now_ns = BASE_NS
        self.ids: dict[str, str] = {}

    def run(self) -> None:
        """Run every step; an answer that is not the one told fails with the step's text."""
        for step in self.steps:
            try:
                self.run_step(step)
            except AssertionError as error:
                raise AssertionError(f"{step.text}\n{error}") from error
            if self.watched and step.verb not in TIMED:
                assert self.engine.check(now_ns=self.now_ns).violations == (), step.text

    def run_step(self, step: Step) -> None:
        """Run one step, and when watched see that a refusal or a repeat changes nothing."""
        before = self.whole_state() if self.watched and step.verb not in TIMED else None
        try:
            answer = getattr(self, f"do_{step.verb}")(step)
        except (FieldInvalid, CapChanged, CapNotFound) as error:
            answer = error
        unchanged = self.expect(step, answer)
        if before is not None and unchanged:
            assert self.whole_state() == before, "changed something"

    def whole_state(self) -> tuple[Any, int]:
        """Everything there is to see."""
        return self.engine.dump(now_ns=self.now_ns), self.engine.status().sequence

    # What is asked.

    def times(self, step: Step) -> dict[str, Any]:
        """The keywords that say when a hold ends; without any, the default time to live."""
        one = {name: values[0] for name, values in step.options.items()}
        keywords: dict[str, Any] = {"now_ns": self.now_ns}
        if "ttl" in one:
            keywords["ttl_ns"] = int(one["ttl"])
        if "until" in one:
            keywords["expire_time_ns"] = BASE_NS + int(one["until"])
        if len(keywords) == 1:
            keywords["default_ttl_ns"] = int(one.get("default", DEFAULT_TTL_NS))
        return keywords

    def do_at(self, step: Step) -> None:
        self.now_ns = BASE_NS + int(step.words[0])

    def do_stock(self, step: Step) -> Any:
        sku, on_hand = step.words
        expected = [int(text) for text in step.options.get("expected", [])]
        more = {"expected": expected[0]} if expected else {}
        return self.engine.set_stock(sku, int(on_hand), now_ns=self.now_ns, **more)

    def do_adjust(self, step: Step) -> Any:
        request_id, sku, delta, reason = step.words
        return self.engine.adjust_stock(
            request_id, sku, int(delta), StockReason[reason], now_ns=self.now_ns
        )

    def do_reserve(self, step: Step) -> Any:
        request_id, *words = step.words
        one = {name: values[0] for name, values in step.options.items()}
        replaces = one.get("replaces", "")
        reply: ReserveReply = self.engine.reserve(
            request_id,
            read_lines([word for word in words if word != "partial"]),
            **self.times(step),
            client_ip=one.get("ip", ""),
            customer_id=one.get("customer", ""),
            allow_partial="partial" in words,
            replaces=self.ids.get(replaces, replaces),
        )
        if reply.reservation is not None:
            self.ids[request_id] = reply.reservation.reservation_id
        return reply

    def do_commit(self, step: Step) -> Any:
        return self.change(self.engine.commit, step)

    def do_release(self, step: Step) -> Any:
        return self.change(self.engine.release, step)

    def change(self, method: Callable[..., Any], step: Step) -> Any:
        """Commit or release."""
        name, *words = step.words
        request_id = step.options.get("id", [""])[0]
        lines = read_lines(words)
        return method(self.ids.get(name, name), lines, now_ns=self.now_ns, request_id=request_id)

    def do_extend(self, step: Step) -> Any:
        request_id = step.options.get("id", [""])[0]
        name = step.words[0]
        return self.engine.extend(
            self.ids.get(name, name), request_id=request_id, **self.times(step)
        )

    def do_sweep(self, step: Step) -> Any:
        return self.engine.sweep(now_ns=self.now_ns)

    def do_cap(self, step: Step) -> Any:
        cap_id, subject, *flags = step.words
        one = {name: values[0] for name, values in step.options.items()}
        overrides = []
        for text in step.options.get("over", []):
            named, _, limit = text.partition("|")
            overrides.append(CapOverride(named, read_limit(limit)))
        cap = Cap(
            cap_id,
            CapSubject[subject],
            read_limit(one.get("limit", "none")),
            tuple(one["skus"].split(",")) if "skus" in one else (),
            "per_sku" in flags,
            int(one["window"]) if "window" in one else None,
            CapMode[one.get("mode", "ENFORCE")],
            tuple(overrides),
            int(one.get("v4", 0)),
            int(one.get("v6", 0)),
        )
        etag = self.etag(cap_id, one.get("etag", ""))
        status, sequence = self.engine.set_cap(cap, now_ns=self.now_ns, etag=etag)
        assert status.cap == cap
        assert status == self.engine.get_cap(cap_id)
        return sequence

    def do_uncap(self, step: Step) -> Any:
        etag = self.etag(step.words[0], step.options.get("etag", [""])[0])
        return self.engine.remove_cap(step.words[0], now_ns=self.now_ns, etag=etag)

    def etag(self, cap_id: str, word: str) -> str:
        """`present` is the cap's etag; any other word is taken as it is."""
        return str(self.engine.get_cap(cap_id).etag) if word == "present" else word

    def do_stats(self, step: Step) -> Any:
        status = self.engine.get_cap(step.words[0])
        return {"refused": f"{status.refused}", "shadow": f"{status.shadow_refused}"}

    def do_show(self, step: Step) -> Any:
        name = step.words[0]
        return self.engine.get_reservation(self.ids.get(name, name), now_ns=self.now_ns)

    def do_sku(self, step: Step) -> Any:
        (stock,) = self.engine.get_availability([step.words[0]], now_ns=self.now_ns)
        return stock

    def do_force(self, step: Step) -> Any:
        cap_id, subject, sku = step.words[0].split("|")
        counts = self.engine.dump(now_ns=self.now_ns)["cap_counts"]
        return counts.get((cap_id, subject, sku), 0)

    # What is told.

    def expect(self, step: Step, answer: Any) -> bool:
        """Compare an answer with what was told; returns whether nothing may have changed."""
        if isinstance(answer, FieldInvalid):
            assert step.outcome == "INVALID", f"refused as malformed: {answer}"
            assert list(step.told) == [answer.field], f"the field is {answer.field}"
            return True
        if isinstance(answer, Exception):
            assert step.outcome == type(answer).__name__, f"raised {answer!r}"
            return True
        facts: dict[type, Callable[..., tuple[str, dict[str, Any]]]] = {
            ReserveReply: reserve_facts,
            ChangeReply: change_facts,
            StockReply: stock_reply_facts,
            Reservation: reservation_facts,
            Stock: stock_facts,
        }
        if answer is None:
            assert step.outcome == ("" if step.verb == "at" else "UNKNOWN"), "found nothing"
            return False
        if isinstance(answer, int):
            seen, expected = f"{answer}", step.outcome.removeprefix("seq:")
            assert step.outcome in ("", "CHANGED") or seen == expected, f"answered {answer}"
            return False
        if isinstance(answer, dict):
            assert answer == {name: values[0] for name, values in step.told.items()}, answer
            return True
        outcome, known = facts[type(answer)](answer)
        assert outcome == (step.outcome or "DONE"), f"answered {answer}"
        for name, values in step.told.items():
            assert name in known, f"{name} is nothing that can be told"
            check_fact(name, values, known[name], answer)
        for name in ("repeated", "cap"):
            assert name in step.told or not known.get(name), f"not told of: {name} of {answer}"
        return outcome not in ("DONE", "GRANTED", "GRANTED_PARTIALLY") or bool(
            known.get("repeated")
        )


def check_fact(name: str, told: list[str], seen: Any, answer: Any) -> None:
    """Compare one fact; a line may be told shorter than it is."""
    if name == "line":
        assert len(told) == len(seen), f"{name}: {seen} in {answer}"
        short = [
            "|".join(whole.split("|")[: len(part.split("|"))])
            for whole, part in zip(seen, told, strict=True)
        ]
        assert short == told, f"{name}: {seen} in {answer}"
    elif name == "repeated":
        assert seen, f"not repeated: {answer}"
    else:
        assert told == (seen if isinstance(seen, list) else [seen]), f"{name}: {seen} in {answer}"


def time_text(time_ns: int | None) -> str:
    """A time after BASE_NS, or `none`."""
    return "none" if time_ns is None else f"{time_ns - BASE_NS}"


def reserve_facts(reply: ReserveReply) -> tuple[str, dict[str, Any]]:
    """What can be told of a reserve; what holds of every answer is asserted here."""
    outcome = reply.outcome.name
    granted = outcome in ("GRANTED", "GRANTED_PARTIALLY")
    assert (reply.reservation is not None) == granted, f"reservation or none: {reply}"
    assert (reply.sequence > 0) == granted, f"sequence of a grant alone: {reply}"
    speaks = outcome in REFUSALS_BY_LINES or (outcome == "GRANTED_PARTIALLY" and not reply.repeated)
    assert bool(reply.line_results) == speaks, f"line results where they belong: {reply}"
    assert bool(reply.limit_name) == (outcome == "LIMIT_REACHED"), f"limit name: {reply}"
    facts: dict[str, Any] = {
        "repeated": reply.repeated,
        "seq": f"{reply.sequence}",
        "limit": reply.limit_name,
        "line": [
            f"{r.line_index}|{r.outcome.name}|{r.granted}|{r.available}|{r.held}"
            f"|{time_text(r.first_expire_time_ns)}"
            for r in reply.line_results
        ],
        "cap": [
            f"{c.cap_id}|{c.subject}|{c.sku}|{c.limit}|{c.in_force}|{c.asked}"
            for c in reply.cap_refusals
        ],
    }
    if reply.reservation is not None:
        _, more = reservation_facts(reply.reservation)
        facts = more | facts
    return outcome, facts


def change_facts(reply: ChangeReply) -> tuple[str, dict[str, Any]]:
    """What can be told of a commit, release or extension."""
    outcome = reply.outcome.name
    assert (reply.sequence > 0) == (outcome == "DONE"), f"sequence of a change alone: {reply}"
    assert bool(reply.limit_name) == (outcome == "LIMIT_REACHED"), f"limit name: {reply}"
    facts: dict[str, Any] = {
        "repeated": reply.repeated,
        "seq": f"{reply.sequence}",
        "index": f"{reply.line_index}",
        "latest": time_text(reply.latest_expire_time_ns),
    }
    if reply.reservation is not None:
        state, more = reservation_facts(reply.reservation)
        facts = more | facts | {"state": state}
    return outcome, facts


def stock_reply_facts(reply: StockReply) -> tuple[str, dict[str, Any]]:
    """What can be told of a change of stock."""
    facts = {} if reply.stock is None else stock_facts(reply.stock)[1]
    told = {"repeated": reply.repeated, "seq": f"{reply.sequence}", "limit": reply.limit_name}
    return reply.outcome.name, facts | told


def reservation_facts(reservation: Reservation) -> tuple[str, dict[str, Any]]:
    """What can be told of a reservation; `unit` is SKU|quantity|held|committed|released|expired."""
    facts = {
        "unit": ["|".join(map(str, line)) for line in reservation.lines],
        "holds": ",".join(f"{line.sku}:{line.quantity}" for line in reservation.lines),
        "created": time_text(reservation.create_time_ns),
        "until": time_text(reservation.expire_time_ns),
        "ended": time_text(reservation.end_time_ns),
        "last": f"{reservation.sequence}",
        "customer": reservation.customer_id,
        "ip": reservation.client_ip,
    }
    return reservation.state.name, facts


def stock_facts(stock: Stock) -> tuple[str, dict[str, Any]]:
    """What can be told of a SKU."""
    facts = {name: f"{value}" for name, value in stock._asdict().items()}
    facts["first"] = time_text(stock.first_expire_time_ns)
    return "DONE", facts
