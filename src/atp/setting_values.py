"""One setting's value: its type, its bounds, and how it is written.

Owns the row that a setting is, and reading a value of each type from text and from TOML. Knows no
setting by name and reads nothing by itself: the table and the sources are settings.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from atp.units import format_duration, format_size, parse_duration, parse_size

Value = str | int | bool

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]/]+)):(\d{1,5})", re.ASCII)
OFF = "off"
"""An address that is none."""
_SWITCH_WORDS = {"true": True, "1": True, "false": False, "0": False}


class Setting(NamedTuple):
    """One row of the table. Durations are nanoseconds, sizes bytes; bounds are inclusive."""

    name: str
    kind: str
    """address, address or off, choice, duration, integer, path, size or switch."""
    default: Value
    meaning: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    """True when SIGHUP makes a running server take a new value from its settings file."""


def parse_address(text: str) -> tuple[str, int]:
    """Reads "host:port" or "[IPv6]:port". Raises ValueError."""
    address = _ADDRESS.fullmatch(text)
    if address is None:
        raise ValueError(
            f'"{text}" is not an address; write host:port or [IPv6]:port, such as "127.0.0.1:7300",'
            ' "[::1]:7300", or "0.0.0.0:7300" for every interface'
        )
    if int(address[3]) > 65_535:
        raise ValueError(f'"{text}": a port is at most 65535')
    return address[1] or address[2], int(address[3])


def parse_text(setting: Setting, text: str) -> Value:
    """Reads a value as the environment and the command line give it, and holds it to its bounds.

    Raises ValueError, which says what would be right.
    """
    return check(setting, _PARSERS[setting.kind](text.strip()))


def parse_toml(setting: Setting, value: object) -> Value:
    """Reads a value as a TOML file gives it, and holds it to its bounds. Raises ValueError."""
    if setting.kind == "switch" and isinstance(value, bool):
        return value
    if setting.kind in ("integer", "size") and type(value) is int:
        return check(setting, value)
    if setting.kind not in ("integer", "switch") and isinstance(value, str):
        return parse_text(setting, value)
    raise ValueError(f"must be {_ARTICLES[setting.kind]}, such as {toml_value(setting)}")


def check(setting: Setting, value: Value) -> Value:
    """Holds a value to the setting's own bounds. Raises ValueError."""
    low, high = setting.minimum, setting.maximum
    if setting.choices and value not in setting.choices:
        raise ValueError(f'"{value}" is none of {", ".join(setting.choices)}')
    if low is not None and int(value) < low:
        raise ValueError(f"must be at least {format_value(setting, low)}")
    if high is not None and int(value) > high:
        raise ValueError(f"must be at most {format_value(setting, high)}")
    return value


def format_value(setting: Setting, value: Value) -> str:
    """The value as text that the environment and the command line would read back."""
    if setting.kind == "switch":
        return "true" if value else "false"
    if setting.kind == "duration":
        return format_duration(int(value))
    if setting.kind == "size":
        return format_size(int(value))
    return str(value)


def toml_value(setting: Setting, value: Value | None = None) -> str:
    """The value, or the default, as a TOML file would have it."""
    text = format_value(setting, setting.default if value is None else value)
    return text if setting.kind in ("integer", "switch") else _toml_string(text)


def _toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parse_address_text(text: str) -> str:
    parse_address(text)
    return text


def _parse_address_or_off(text: str) -> str:
    return text if text == OFF else _parse_address_text(text)


def _parse_path(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{text!a} is not a path: it has a character that can't be printed")
    return text


def _parse_integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'"{text[:40]}" is not a whole number') from None


def _parse_switch(text: str) -> bool:
    if text.lower() not in _SWITCH_WORDS:
        raise ValueError(f'"{text[:40]}" is neither true nor false')
    return _SWITCH_WORDS[text.lower()]


_PARSERS: dict[str, Callable[[str], Value]] = {
    "address": _parse_address_text,
    "address or off": _parse_address_or_off,
    "choice": str,
    "duration": parse_duration,
    "integer": _parse_integer,
    "path": _parse_path,
    "size": parse_size,
    "switch": _parse_switch,
}
_ARTICLES = {
    "address": "an address in quotes",
    "address or off": "an address or off, in quotes",
    "choice": "a word in quotes",
    "duration": "a duration in quotes",
    "integer": "a whole number",
    "path": "a path in quotes",
    "size": "a size",
    "switch": "true or false",
}
