"""A file of caps: TOML to `vocabulary.Cap` and back.

Owns the file's shape, its checks and its messages, each with the file, the line and the cap it is
about. Checks the whole file before it gives any cap. Talks to no server and knows only the
vocabulary and how durations are written.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from atp.units import format_duration, parse_duration
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject

# What the service accepts, as proto/atp/v1/cap_service.proto says.
NAME_BYTES_MAX = 64
CAP_SKUS_MAX = 1_024
CAP_OVERRIDES_MAX = 4_096
LIMIT_MAX = 2**63 - 1
WINDOW_DAYS_MAX = 366
_WINDOW_NS_MAX = WINDOW_DAYS_MAX * 86_400_000_000_000
_ADDRESS_SUBJECTS = (CapSubject.IP, CapSubject.SUBNET)

_HEADER = re.compile(r"^\s*\[\[\s*(?:cap|\"cap\"|'cap')\s*\]\]\s*(?:#.*)?$")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")

Word = TypeVar("Word", CapSubject, CapMode)


class Problem(NamedTuple):
    """One thing wrong with a file; `line` is None where it cannot be told."""

    line: int | None
    message: str


class CapFileInvalid(Exception):
    """A file of caps that cannot be used; `problems` says all that is wrong with it."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line of text for each problem, the file and the line first."""
        return [
            f"{self.name}:{problem.line}: {problem.message}"
            if problem.line is not None
            else f"{self.name}: {problem.message}"
            for problem in self.problems
        ]


class _Wrong(ValueError):
    """What is wrong with one key of a cap."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.key = key.partition("[")[0]


def parse(content: bytes, name: str) -> tuple[Cap, ...]:
    """Reads the caps of a file, in its order. Raises CapFileInvalid, naming every wrong cap."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad_line = content.count(b"\n", 0, error.start) + 1
        raise CapFileInvalid(name, [Problem(bad_line, "is not UTF-8")]) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_LINE.search(str(error))
        message = f"is not TOML: {error}"
        raise CapFileInvalid(name, [Problem(int(at[1]) if at else None, message)]) from None
    except RecursionError:
        message = "is nested too deeply; caps are [[cap]] tables"
        raise CapFileInvalid(name, [Problem(None, message)]) from None
    tables = document.get("cap")
    problems = [
        Problem(_line_of(text, key), f"{key}: no such key; caps are [[cap]] tables")
        for key in document
        if key != "cap"
    ]
    if tables is None or not isinstance(tables, list):
        if not problems:
            problems.append(Problem(None, "has no caps; each is a [[cap]] table"))
        raise CapFileInvalid(name, problems)
    where = _Lines(text, len(tables))
    caps: dict[str, tuple[Cap, int]] = {}
    for index, table in enumerate(tables):
        try:
            cap = _cap(table)
            if cap.cap_id in caps:
                first = where.table(caps[cap.cap_id][1])
                raise _Wrong("cap_id", f"{_quoted(cap.cap_id)} is named twice, first {first}")
            caps[cap.cap_id] = (cap, index)
        except _Wrong as wrong:
            line = where.key(index, wrong.key)
            problems.append(Problem(line, f"{_title(table, index)}: {wrong}"))
    if problems:
        raise CapFileInvalid(name, problems)
    return tuple(cap for cap, _ in caps.values())


def dump(caps: Iterable[Cap]) -> str:
    """Writes caps as a file that `parse` reads back to the same caps."""
    return "\n".join(_dump_cap(cap) for cap in caps)


def _cap(table: object) -> Cap:
    if not isinstance(table, dict):
        raise _Wrong("", "is not a table; write [[cap]]")
    _refuse_unknown(table, _KEYS, "")
    subject = _word(table, "subject", CapSubject)
    if subject is None:
        raise _Wrong("subject", f"is missing; {_choices(CapSubject)}")
    mode = _word(table, "mode", CapMode)
    cap = Cap(
        cap_id=_named(table.get("cap_id"), "cap_id"),
        subject=subject,
        limit=_limit(table, "limit_quantity"),
        skus=_skus(table.get("skus", [])),
        per_sku=_flag(table.get("per_sku", False), "per_sku"),
        window_ns=_window(table.get("window")),
        mode=CapMode.ENFORCE if mode is None else mode,
        overrides=_overrides(table.get("overrides", []), subject),
        ipv4_prefix_length=_prefix(table, "ipv4_prefix_length", 32, subject),
        ipv6_prefix_length=_prefix(table, "ipv6_prefix_length", 128, subject),
    )
    return cap


_KEYS = (
    *("cap_id", "subject", "limit_quantity", "skus", "per_sku", "window", "mode"),
    *("overrides", "ipv4_prefix_length", "ipv6_prefix_length"),
)
_OVERRIDE_KEYS = ("subject", "limit_quantity")


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], at: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise _Wrong(f"{at}{key}", f"no such key; {hint}")


def _choices(kind: type[Word]) -> str:
    return f"one of {', '.join(word.name.lower() for word in kind)}"


def _word(table: Mapping[str, Any], key: str, kind: type[Word]) -> Word | None:
    value = table.get(key)
    if value is None:
        return None
    words = {word.name.lower(): word for word in kind}
    if not isinstance(value, str) or value not in words:
        raise _Wrong(key, f"is {_quoted(value)}; {_choices(kind)}")
    return words[value]


def _named(value: object, key: str) -> str:
    if value is None:
        raise _Wrong(key, "is missing")
    if not isinstance(value, str):
        raise _Wrong(key, f"is {_quoted(value)}; it must be text in quotes")
    size = len(value.encode())
    if not 1 <= size <= NAME_BYTES_MAX:
        raise _Wrong(key, f"has {size} bytes; 1 to {NAME_BYTES_MAX} are allowed")
    return value


def _limit(table: Mapping[str, Any], key: str, at: str = "") -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LIMIT_MAX:
        raise _Wrong(
            f"{at}{key}", f"is {_quoted(value)}; a whole number, 0 or more; left out: no limit"
        )
    return value


def _flag(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(key, f"is {_quoted(value)}; true or false")
    return value


def _skus(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Wrong("skus", f"is {_quoted(value)}; a list of SKUs in quotes")
    if len(value) > CAP_SKUS_MAX:
        raise _Wrong("skus", f"has {len(value)} SKUs; at most {CAP_SKUS_MAX}")
    skus = tuple(_named(sku, f"skus[{index}]") for index, sku in enumerate(value))
    for index, sku in enumerate(skus):
        if sku in skus[:index]:
            raise _Wrong(f"skus[{index}]", f"{_quoted(sku)} is named twice")
    return skus


def _window(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Wrong("window", f'is {_quoted(value)}; a duration in quotes, such as "10m"')
    try:
        window_ns = parse_duration(value)
    except ValueError as error:
        raise _Wrong("window", str(error)) from None
    if not 0 < window_ns <= _WINDOW_NS_MAX:
        raise _Wrong("window", f"is {value}; more than 0, at most {WINDOW_DAYS_MAX}d")
    return window_ns


def _prefix(table: Mapping[str, Any], key: str, bits: int, subject: CapSubject) -> int:
    value = table.get(key)
    if subject is not CapSubject.SUBNET:
        if value is not None:
            raise _Wrong(key, "is only for caps on subnets")
        return 0
    if type(value) is not int or not 1 <= value <= bits:
        said = "is missing" if value is None else f"is {_quoted(value)}"
        raise _Wrong(key, f"{said}; a cap on subnets needs it, 1 to {bits}")
    return value


def _overrides(value: object, subject: CapSubject) -> tuple[CapOverride, ...]:
    if not isinstance(value, list):
        raise _Wrong("overrides", f"is {_quoted(value)}; a list of tables")
    if len(value) > CAP_OVERRIDES_MAX:
        raise _Wrong("overrides", f"has {len(value)} entries; at most {CAP_OVERRIDES_MAX}")
    if value and subject not in (*_ADDRESS_SUBJECTS, CapSubject.CUSTOMER):
        raise _Wrong("overrides", "are only for caps on addresses, subnets and customers")
    named: dict[object, int] = {}
    overrides = []
    for index, table in enumerate(value):
        at = f"overrides[{index}]."
        if not isinstance(table, dict):
            raise _Wrong(f"overrides[{index}]", "is not a table with subject and limit_quantity")
        _refuse_unknown(table, _OVERRIDE_KEYS, at)
        name = _named(table.get("subject"), f"{at}subject")
        identity = same_subject(name, subject)
        if identity is None:
            raise _Wrong(f"{at}subject", f"{_quoted(name)} is no address and no CIDR range")
        if identity in named:
            raise _Wrong(f"{at}subject", f"{_quoted(name)} is named twice")
        named[identity] = index
        overrides.append(CapOverride(name, _limit(table, "limit_quantity", at)))
    return tuple(overrides)


def same_subject(name: str, subject: CapSubject) -> object | None:
    """What two overrides have in common when they mean the same subject.

    A customer's id as it is; for addresses, the range, IPv4-mapped ones as IPv4. None: no range.
    """
    if subject not in _ADDRESS_SUBJECTS:
        return name
    try:
        network = ipaddress.ip_network(name)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


class _Lines:
    """Finds the lines that tables and keys are on, where the text lets it be told."""

    def __init__(self, text: str, tables: int) -> None:
        self._text = text.splitlines()
        headers = [line for line, content in enumerate(self._text) if _HEADER.match(content)]
        # Written otherwise (cap = [...]), or a text that only looks like a header: say nothing.
        self._headers = headers if len(headers) == tables else None

    def table(self, index: int) -> str:
        return f"in table {index + 1}" if self._headers is None else f"on line {self.line(index)}"

    def line(self, index: int) -> int | None:
        return None if self._headers is None else self._headers[index] + 1

    def key(self, index: int, key: str) -> int | None:
        """The line of a key of a table, or else of the table's header."""
        if self._headers is None:
            return None
        ends = [*self._headers, len(self._text)][index + 1]
        for line in range(self._headers[index] + 1, ends):
            if re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", self._text[line]) and key:
                return line + 1
        return self.line(index)


def _line_of(text: str, key: str) -> int | None:
    pattern = re.compile(rf"^\s*(?:\[+\s*)?\"?{re.escape(key)}\"?\s*[\].=]")
    for line, content in enumerate(text.splitlines()):
        if pattern.match(content):
            return line + 1
    return None


def _title(table: object, index: int) -> str:
    cap_id = table.get("cap_id") if isinstance(table, dict) else None
    return f"cap {_quoted(cap_id)}" if isinstance(cap_id, str) else f"cap number {index + 1}"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, default=str)


def _dump_cap(cap: Cap) -> str:
    lines = [
        "[[cap]]",
        f"cap_id = {_toml(cap.cap_id)}",
        f"subject = {_toml(cap.subject.name.lower())}",
    ]
    if cap.subject is CapSubject.SUBNET:
        lines.append(f"ipv4_prefix_length = {cap.ipv4_prefix_length}")
        lines.append(f"ipv6_prefix_length = {cap.ipv6_prefix_length}")
    if cap.limit is not None:
        lines.append(f"limit_quantity = {cap.limit}")
    if cap.skus:
        # A server takes a SKU twice and counts it once; a file does not, because it is a slip.
        lines.append(f"skus = [{', '.join(_toml(sku) for sku in dict.fromkeys(cap.skus))}]")
    if cap.per_sku:
        lines.append("per_sku = true")
    if cap.window_ns is not None:
        lines.append(f"window = {_toml(format_duration(cap.window_ns))}")
    lines.append(f"mode = {_toml(cap.mode.name.lower())}")
    if cap.overrides:
        lines.append("overrides = [")
        lines += [f"  {_dump_override(override)}," for override in cap.overrides]
        lines.append("]")
    return "\n".join(lines) + "\n"


def _dump_override(override: CapOverride) -> str:
    fields = [f"subject = {_toml(override.subject)}"]
    if override.limit is not None:
        fields.append(f"limit_quantity = {override.limit}")
    return f"{{ {', '.join(fields)} }}"


def _toml(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too, but for the one character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
