"""Every setting's value, and the only reader of files and environment.

Owns where a value came from: default, settings file, environment or command line, the later
winning. Refuses what the table (setting_table.py) does not know with a suggestion. Acts on no
setting.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from atp.setting_table import SETTINGS
from atp.setting_values import (
    OFF,
    Setting,
    Value,
    format_value,
    parse_address,
    parse_text,
    parse_toml,
    toml_value,
)

PLANES = ("data_plane", "control_plane")
LISTENERS = (*PLANES, "metrics")
"""Whatever has an address, and TLS of its own."""
TLS_PARTS = ("cert", "key", "client_ca")
FILE_NAME = "atp.toml"
FILE_BYTES_MAX = 1 << 20
ENVIRONMENT_PREFIX = "ATP_"
OTHER_VARIABLES = frozenset(
    {
        "ATP_CONFIG",  # path of the settings file
        "ATP_DATA_ADDRESS",  # where the commands of a checkout call
        "ATP_CONTROL_ADDRESS",  # where the commands of an operator call
        "ATP_DEBUG",  # these five: the build's switches
        "ATP_FUZZ",
        "ATP_SANITIZE",
        "ATP_ANNOTATE",
        "ATP_PROFILE",
    }
)
"""Names in the environment that are no settings of a server."""

_SERVICE_LINK = re.compile(
    r"ATP_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes sets in every container when a service is named atp or atp-something."""


class SettingsInvalid(Exception):
    """A setting can't be taken. One line says where, what is wrong, what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class Settings(Mapping[str, Value]):
    """Every setting's value by name, and where it came from. Never changes.

    Durations are integers in nanoseconds, sizes integers in bytes, switches bool, the rest text.
    """

    def __init__(self, changed: Mapping[str, tuple[Value, str]] = MappingProxyType({})) -> None:
        """Takes {name: (value, where it came from)}; what is not named has its default.

        Raises SettingsInvalid when two settings contradict each other.
        """
        self._changed = dict(changed)
        _check_together(self)

    def __getitem__(self, name: str) -> Value:
        return self._changed[name][0] if name in self._changed else SETTINGS[name].default

    def __iter__(self) -> Iterator[str]:
        return iter(SETTINGS)

    def __len__(self) -> int:
        return len(SETTINGS)

    def integer(self, name: str) -> int:
        """The value of an integer, a duration (nanoseconds) or a size (bytes)."""
        value = self[name]
        assert isinstance(value, int), name
        return value

    def text(self, name: str) -> str:
        """The value of an address, a path or a choice; any other as it would be written."""
        value = self[name]
        return value if isinstance(value, str) else format_value(SETTINGS[name], value)

    def source(self, name: str) -> str:
        """Where the value came from: "default", the file, the variable, or the option."""
        return self._changed[name][1] if name in self._changed else "default"

    def with_live(self, wanted: Settings) -> Settings:
        """These settings, but the live ones as wanted. Raises SettingsInvalid."""
        sources = {name: wanted if SETTINGS[name].live else self for name in SETTINGS}
        return Settings(
            {
                name: settings._changed[name]
                for name, settings in sources.items()
                if name in settings._changed
            }
        )


def load(
    *,
    path: str | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Iterable[tuple[str, str, str]] = (),
) -> Settings:
    """Reads the settings file, the environment and the command line's (name, value, option).

    `path` None: the file that ATP_CONFIG names, else ./atp.toml where there is one. `environment`
    None: the process's. Raises SettingsInvalid.
    """
    environment = os.environ if environment is None else environment
    changed: dict[str, tuple[Value, str]] = {}
    path = path or environment.get("ATP_CONFIG") or (FILE_NAME if Path(FILE_NAME).exists() else "")
    if path:
        changed.update(_read_file(path))
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in OTHER_VARIABLES:
            if variable not in _BY_VARIABLE and _SERVICE_LINK.fullmatch(variable):
                continue
            setting = _find(variable, _BY_VARIABLE, variable)
            changed[setting.name] = (_from_text(setting, text, variable), variable)
    for name, text, option in overrides:
        setting = _find(name, SETTINGS, option)
        changed[name] = (_from_text(setting, text, f"{option}: {name}"), option)
    return Settings(changed)


def print_config(settings: Settings) -> str:
    """Every setting in force as a settings file: fed back, it gives the same settings."""
    lines = [
        "# Settings in force. A setting's comment says what it means and where its value is from."
    ]
    section = ""
    for name, setting in SETTINGS.items():
        prefix, _, key = name.rpartition(".")
        if prefix != section:
            section = prefix
            lines += ["", f"[{section}]"]
        source = settings.source(name)
        origin = (
            source
            if source == "default"
            else (f"changed by {source}; default {toml_value(setting)}")
        )
        live = " Live." if setting.live else ""
        lines.append(f"# {setting.meaning}{live}")
        lines.append(f"{key} = {toml_value(setting, settings[name])}  # {origin}")
    return "\n".join(lines) + "\n"


def variable_name(setting: Setting) -> str:
    """The setting's name in the environment: hold.default_ttl is ATP_HOLD_DEFAULT_TTL."""
    return ENVIRONMENT_PREFIX + setting.name.upper().replace(".", "_")


_BY_VARIABLE = MappingProxyType({variable_name(setting): setting for setting in SETTINGS.values()})


def _find(name: str, known: Mapping[str, Setting], where: str) -> Setting:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "atp serve --print-config shows them all"
    subject = where if where == name else f"{where}: {name}"
    raise SettingsInvalid(f"{subject}: no such setting; {hint}")


def _read_file(path: str) -> dict[str, tuple[Value, str]]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsInvalid(f"{path}: can't be read: {error.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise SettingsInvalid(f"{path}: larger than {FILE_BYTES_MAX} bytes; no settings file is")
    try:
        tree = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise SettingsInvalid(f"{path}: not UTF-8 (at line {line}, column {column})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise SettingsInvalid(f"{path}: nested too deeply; settings are two levels deep") from None
    changed: dict[str, tuple[Value, str]] = {}
    for name, value in _flatten(tree, ""):
        setting = _find(name, SETTINGS, path)
        try:
            changed[name] = (parse_toml(setting, value), path)
        except ValueError as error:
            raise SettingsInvalid(f"{path}: {name}: {error}") from None
    return changed


def quieten_grpc() -> None:
    """Has gRPC write its errors alone on stderr, unless the environment says otherwise.

    It would write a line for each handshake that fails, which any stranger can have at will. To be
    called before grpc is imported.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def is_journal(file: int) -> bool:
    """Whether that file of this process leads to the system's journal, as JOURNAL_STREAM says."""
    try:
        here = os.fstat(file)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"


def notify_address() -> str:
    """Where a service manager wants to hear how this process is; empty: nobody does."""
    return os.environ.get("NOTIFY_SOCKET", "")


def _flatten(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = prefix + key
        if isinstance(value, dict) and name not in SETTINGS:
            if not any(known.startswith(f"{name}.") for known in SETTINGS):
                yield name, value  # an unknown section, refused by that name
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


def _from_text(setting: Setting, text: str, where: str) -> Value:
    try:
        return parse_text(setting, text)
    except ValueError as error:
        raise SettingsInvalid(f"{where}: {error}") from None


def _check_together(settings: Settings) -> None:
    """Refuses settings that are right one by one and contradict each other."""
    if settings.integer("hold.default_ttl") > settings.integer("hold.longest_life"):
        raise SettingsInvalid(
            "hold.default_ttl is longer than hold.longest_life"
            f" ({settings.text('hold.default_ttl')}, {settings.text('hold.longest_life')}):"
            " every hold without a time to live of its own would be refused"
        )
    for plane in LISTENERS:
        cert, key, client_ca = (settings[f"{plane}.tls.{part}"] for part in TLS_PARTS)
        if bool(cert) != bool(key) or (client_ca and not cert):
            raise SettingsInvalid(f"{plane}.tls: cert and key are needed together")
    if not settings["data.directory"]:
        raise SettingsInvalid("data.directory is empty: name a directory")
    taken: dict[str, str] = {}
    for name in (f"{listener}.address" for listener in LISTENERS):
        address = settings.text(name)
        if address in taken:
            raise SettingsInvalid(f"{taken[address]} and {name} are both {address}")
        if address != OFF and parse_address(address)[1] != 0:
            taken[address] = name
