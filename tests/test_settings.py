"""Settings: one table, four sources, refusals of one line, and a page that tells the truth.

Checks each refusal by its whole message, because the message is all that an operator sees.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp import setting_values, settings, units
from atp.settings import SETTINGS, Settings, SettingsInvalid, load, print_config

ROOT = Path(__file__).resolve().parent.parent
MINUTE = 60_000_000_000


def load_file(tmp_path: Path, content: str | bytes, **sources) -> Settings:
    """Loads a settings file with this content and nothing else, unless sources say so."""
    path = tmp_path / "atp.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path=str(path), **{"environment": {}, **sources})


def refusal(tmp_path: Path, content: str | bytes) -> str:
    """The message with which a settings file is refused, without the file's folder."""
    with pytest.raises(SettingsInvalid) as refused:
        load_file(tmp_path, content)
    message = str(refused.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


def test_every_row_of_the_table_is_whole() -> None:
    for name, setting in SETTINGS.items():
        assert setting.name == name
        assert setting.meaning.endswith(".")
        text = setting_values.format_value(setting, setting.default)
        assert setting_values.parse_text(setting, text) == setting.default or setting.default == ""
        if setting.kind in ("integer", "duration", "size"):
            assert setting.minimum is not None, f"{name} has no lower bound"
            assert setting.maximum is not None, f"{name} has no upper bound"
    variables = {settings.variable_name(setting) for setting in SETTINGS.values()}
    assert len(variables) == len(SETTINGS)
    assert not variables & settings.OTHER_VARIABLES


def test_defaults_hold_without_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(environment={})
    assert dict(loaded) == {name: setting.default for name, setting in SETTINGS.items()}
    assert {loaded.source(name) for name in loaded} == {"default"}


def test_later_sources_win_over_earlier_ones(tmp_path: Path) -> None:
    content = '[hold]\ndefault_ttl = "5m"\nlongest_life = "2h"\n[log]\nlevel = "debug"\n'
    loaded = load_file(
        tmp_path,
        content,
        environment={"ATP_HOLD_DEFAULT_TTL": "6m", "ATP_LOG_LEVEL": "error", "HOME": "/"},
        overrides=[("log.level", "warning", "--set")],
    )
    assert loaded.integer("hold.longest_life") == 120 * MINUTE
    assert loaded.integer("hold.default_ttl") == 6 * MINUTE
    assert loaded["log.level"] == "warning"
    assert loaded.source("hold.longest_life") == f"{tmp_path}/atp.toml"
    assert loaded.source("hold.default_ttl") == "ATP_HOLD_DEFAULT_TTL"
    assert loaded.source("log.level") == "--set"


def test_the_file_in_the_working_folder_is_found_and_the_variable_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "atp.toml").write_text('log.level = "error"\n')
    (tmp_path / "other.toml").write_text('log.level = "debug"\n')
    monkeypatch.chdir(tmp_path)
    assert load(environment={})["log.level"] == "error"
    assert load(environment={"ATP_CONFIG": "other.toml"})["log.level"] == "debug"
    assert load(environment={"ATP_CONFIG": "other.toml"}, path="atp.toml")["log.level"] == "error"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '[hold]\ndefault_tll = "5m"\n',
            "atp.toml: hold.default_tll: no such setting; did you mean hold.default_ttl?",
        ),
        (
            "[zzz]\nqqq = 1\n",
            "atp.toml: zzz: no such setting; atp serve --print-config shows them all",
        ),
        (
            "[hold]\ndefault_ttl = 600\n",
            'atp.toml: hold.default_ttl: must be a duration in quotes, such as "10m"',
        ),
        (
            '[hold]\ndefault_ttl = "10 minutes"\n',
            'atp.toml: hold.default_ttl: "10 minutes" is not a duration; write numbers with units'
            ' from largest to smallest, such as "500ms", "30s", "10m", "1h30m", "7d"',
        ),
        ('[hold]\ndefault_ttl = "1ms"\n', "atp.toml: hold.default_ttl: must be at least 1s"),
        ('[hold]\nlongest_life = "367d"\n', "atp.toml: hold.longest_life: must be at most 366d"),
        (
            '[memory]\nsku_max = "many"\n',
            "atp.toml: memory.sku_max: must be a whole number, such as 16777216",
        ),
        (
            "[memory]\nsku_max = true\n",
            "atp.toml: memory.sku_max: must be a whole number, such as 16777216",
        ),
        ("[memory]\nsku_max = 0\n", "atp.toml: memory.sku_max: must be at least 1"),
        (
            "[server]\ninsecure = 1\n",
            "atp.toml: server.insecure: must be true or false, such as false",
        ),
        (
            '[server]\nmessage_bytes_max = "1KiB"\n',
            "atp.toml: server.message_bytes_max: must be at least 1MiB",
        ),
        (
            '[log]\nlevel = "loud"\n',
            'atp.toml: log.level: "loud" is none of debug, info, warning, error',
        ),
        (
            '[data_plane]\naddress = "7300"\n',
            'atp.toml: data_plane.address: "7300" is not an address; write host:port or'
            ' [IPv6]:port, such as "127.0.0.1:7300", "[::1]:7300", or "0.0.0.0:7300" for every'
            " interface",
        ),
        (
            '[data_plane]\naddress = "127.0.0.1:70000"\n',
            'atp.toml: data_plane.address: "127.0.0.1:70000": a port is at most 65535',
        ),
        (
            "[hold]\ndefault_ttl == 5\n",
            "atp.toml: not TOML: Invalid value (at line 2, column 14)",
        ),
        (
            "[hold\n",
            "atp.toml: not TOML: Expected ']' at the end of a table declaration"
            " (at line 1, column 6)",
        ),
        (b"\n# \xff\n", "atp.toml: not UTF-8 (at line 2, column 3)"),
        ("a = " + "[" * 5000, "atp.toml: nested too deeply; settings are two levels deep"),
        (
            '[hold]\ndefault_ttl = "2h"\nlongest_life = "1h"\n',
            "hold.default_ttl is longer than hold.longest_life (2h, 1h): every hold without a"
            " time to live of its own would be refused",
        ),
        (
            '[control_plane.tls]\ncert = "cert.pem"\n',
            "control_plane.tls: cert and key are needed together",
        ),
        (
            '[control_plane.tls]\nclient_ca = "ca.pem"\n',
            "control_plane.tls: cert and key are needed together",
        ),
        ('[data]\ndirectory = ""\n', "data.directory is empty: name a directory"),
        (
            '[journal]\ndurability = "always"\n',
            'atp.toml: journal.durability: "always" is none of sync, interval, off',
        ),
        ("[snapshot]\nkeep = 0\n", "atp.toml: snapshot.keep: must be at least 1"),
        (
            '[control_plane]\naddress = "127.0.0.1:7300"\n',
            "data_plane.address and control_plane.address are both 127.0.0.1:7300",
        ),
    ],
)
def test_a_bad_file_is_refused_with_one_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert refusal(tmp_path, content) == message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"nowhere\.toml: can't be read: No such file"):
        load(path=str(tmp_path / "nowhere.toml"), environment={})
    with pytest.raises(SettingsInvalid, match="can't be read: Is a directory"):
        load(path=str(tmp_path), environment={})
    assert "larger than 1048576 bytes" in refusal(tmp_path, b"#" * (1 << 20) + b"\n")


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "ATP_HOLD_TTL",
            "5m",
            "ATP_HOLD_TTL: no such setting; did you mean ATP_HOLD_DEFAULT_TTL?",
        ),
        (
            "ATP_SERVER_INSECURE",
            "maybe",
            'ATP_SERVER_INSECURE: "maybe" is neither true nor false',
        ),
        ("ATP_MEMORY_SKU_MAX", "1e6", 'ATP_MEMORY_SKU_MAX: "1e6" is not a whole number'),
        ("ATP_SERVER_CALLS_MAX", "0", "ATP_SERVER_CALLS_MAX: must be at least 1"),
        (
            "ATP_DATA_PLANE_TLS_KEY",
            "a\nb",
            "ATP_DATA_PLANE_TLS_KEY: 'a\\nb' is not a path: it has a character that can't be"
            " printed",
        ),
    ],
)
def test_a_bad_variable_is_refused_with_one_line(variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load(environment={variable: text})
    assert str(refused.value) == message


def test_a_bad_override_is_refused_with_its_option() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load(environment={}, overrides=[("hold.ttl", "5m", "--set")])
    assert str(refused.value) == (
        "--set: hold.ttl: no such setting; did you mean hold.default_ttl?"
    )
    with pytest.raises(SettingsInvalid) as refused:
        load(environment={}, overrides=[("hold.default_ttl", "5", "--set")])
    assert str(refused.value).startswith('--set: hold.default_ttl: "5" is not a duration')


def test_variables_that_kubernetes_sets_for_a_service_named_atp_are_no_settings() -> None:
    links = {
        "ATP_SERVICE_HOST": "10.0.0.1",
        "ATP_SERVICE_PORT": "7300",
        "ATP_SERVICE_PORT_DATA_PLANE": "7300",
        "ATP_PORT": "tcp://10.0.0.1:7300",
        "ATP_PORT_7300_TCP": "tcp://10.0.0.1:7300",
        "ATP_PORT_7300_TCP_ADDR": "10.0.0.1",
        "ATP_SERVER_SERVICE_HOST": "10.0.0.1",
        "ATP_SERVER_PORT_7300_TCP_PROTO": "tcp",
    }
    assert dict(load(environment=links)) == dict(Settings())


def test_print_config_marks_what_changed_and_can_be_fed_back(tmp_path: Path) -> None:
    content = (
        '[data_plane]\naddress = "[::1]:0"\n[data_plane.tls]\ncert = "a \\"b\\" \\\\.pem"\n'
        'key = "k.pem"\n[server]\ninsecure = true\nmessage_bytes_max = 1500000\n'
        '[hold]\ndefault_ttl = "1h30m0.5s"\n'
    )
    loaded = load_file(tmp_path, content)
    printed = print_config(loaded)
    assert f'default_ttl = "1h30m500ms"  # changed by {tmp_path}/atp.toml; default "10m"' in printed
    assert 'longest_life = "1d"  # default' in printed
    again = load_file(tmp_path, printed)
    assert dict(again) == dict(loaded)
    assert dict(load_file(tmp_path, print_config(Settings()))) == dict(Settings())


def test_the_page_is_what_the_table_gives() -> None:
    script = ROOT / "tools" / "generate_settings_doc.py"
    spec = importlib.util.spec_from_file_location("generate_settings_doc", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == module.render(), "run python tools/generate_settings_doc.py"


@given(st.integers(0, 1 << 63))
def test_durations_and_sizes_are_read_as_they_were_written(number: int) -> None:
    assert units.parse_duration(units.format_duration(number)) == number
    assert units.parse_size(units.format_size(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "5 m",
        "-5m",
        "1m1h",
        "1m1m",
        "0.5ns",
        "1.m",
        "1e3s",
        "5M",
        "\u0665m",
        "1h" * 99,
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1MB", "0.5B", "1 2", "\u0661", "1" * 99])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        units.parse_size(text)
