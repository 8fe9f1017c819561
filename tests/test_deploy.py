"""What is in deploy/ fits the server: the systemd unit, the settings file, the container file."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp.server.journaling import JOURNAL_FAILED
from atp.server.notify import Notifier
from atp.setting_table import SETTINGS
from atp.settings import load, notify_address
from atp.units import parse_duration
from server_process import COMMAND, ROOT, clean_environment, free_ports, serving

DEPLOY = ROOT / "deploy"
SECONDS = 30.0


# The systemd unit.


def unit() -> dict[str, dict[str, list[str]]]:
    """The unit's sections, each setting with all its values."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in (DEPLOY / "atp.service").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    text = (DEPLOY / "atp.service").read_text(encoding="utf-8")
    (tmp_path / "atp.service").write_text(text.replace("/opt/atp/bin/atp", "/bin/true"))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "atp.service")],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (found.returncode, found.stderr) == (0, "")
    exposed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(tmp_path / "atp.service")],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    level = re.search(r"Overall exposure level for atp.service: ([\d.]+)", exposed.stdout)
    assert level is not None, exposed
    assert float(level[1]) < 2


def test_the_unit_fits_how_the_server_ends() -> None:
    service = unit()["Service"]
    assert service["Type"] == ["notify"]
    assert service["Restart"] == ["on-failure"]
    prevented = {int(status) for status in service["RestartPreventExitStatus"][0].split()}
    assert prevented == {2}
    assert JOURNAL_FAILED not in prevented
    assert "SuccessExitStatus" not in service
    stop = parse_duration(service["TimeoutStopSec"][0])
    assert stop >= 3 * load(environment={}).integer("server.drain")
    connections = load(environment={}).integer("server.connections_max")
    assert int(service["LimitNOFILE"][0]) > 2 * connections
    assert service["StateDirectory"] == ["atp"]
    assert "--data /var/lib/atp" in service["ExecStart"][0]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_command_of_the_unit_is_one() -> None:
    words = unit()["Service"]["ExecStart"][0].split()
    assert words[:2] == ["/opt/atp/bin/atp", "serve"]
    arguments = ["-c", COMMAND, *words[1:], "--print-config"]
    arguments[arguments.index("/etc/atp/atp.toml")] = str(DEPLOY / "atp.toml")
    printed = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
        timeout=SECONDS,
    )
    assert printed.returncode == 0, printed.stderr
    assert '"/var/lib/atp"' in printed.stdout


class Manager:
    """A service manager: what it is told, at an address of its own."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(SECONDS)

    def heard(self) -> dict[str, str]:
        """The next message."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


def test_the_manager_hears_when_the_server_is_ready_and_when_it_stops(
    manager: Manager, tmp_path: Path
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with serving(environment=environment) as server:
        assert manager.heard() == {"READY": "1", "STATUS": f"serving on {server.data_plane}"}
        server.signal(signal.SIGTERM)
        told = manager.heard()
        assert told["STOPPING"] == "1"
        assert "10 s to finish" in told["STATUS"]
        assert manager.heard() == {"STATUS": "closing the journal"}
        assert server.wait() == 0


def test_an_address_without_a_path_is_spoken_to() -> None:
    name = f"atp-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        Notifier(f"@{name}").status("well")
        assert manager.heard() == {"STATUS": "well"}
    finally:
        manager.socket.close()


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here"])
def test_whoever_cannot_be_told_is_not_told(address: str) -> None:
    Notifier(address).ready("serving")


def test_who_wants_to_hear_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert notify_address() == "/run/systemd/notify"
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert notify_address() == ""


def test_under_the_journal_lines_have_priorities_and_no_time(tmp_path: Path) -> None:
    """As systemd starts it: stdout and stderr lead to the journal, which JOURNAL_STREAM says."""
    log = tmp_path / "journal"
    with log.open("wb") as stream:
        facts = os.fstat(stream.fileno())
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", *free_ports(()), "--ready-file", "ready"],
            stdout=stream,
            stderr=stream,
            cwd=tmp_path,
            env=clean_environment({"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}),
        )
    try:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            os.sched_yield()
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    lines = log.read_text().splitlines()
    assert [re.match(r"<6>(\w+): ", line)[1] for line in lines] == [  # type: ignore[index]
        "data_directory", "new_store", "ready", "stopping", "stopped",
    ]  # fmt: skip


# The settings file.


def test_the_settings_file_is_one_and_says_which_settings_are_live() -> None:
    text = (DEPLOY / "atp.toml").read_text(encoding="utf-8")
    settings = load(path=str(DEPLOY / "atp.toml"), environment={})
    named = {f"{section}.{key}" for section, keys in tomllib.loads(text).items() for key in keys}
    assert named <= set(SETTINGS)
    assert settings.text("journal.durability") == "sync"
    assert SETTINGS["hold.default_ttl"].live
    assert SETTINGS["server.drain"].live
    assert all(SETTINGS[name].live for name in named if name.startswith("log."))


# The container file.


def instructions() -> list[tuple[str, str]]:
    """The container file's instructions in order, continued lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines if line.strip()]


def test_the_container_file_has_only_what_a_container_file_may_have() -> None:
    known = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
             "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # fmt: skip
    found = instructions()
    assert {name for name, _ in found} == known
    assert [value.split()[-1] for name, value in found if name == "FROM"] == [
        "build", "docker.io/library/python:3.11-slim-bookworm",
    ]  # fmt: skip
    for name, value in found:
        if name in ("CMD", "ENTRYPOINT") or (name == "HEALTHCHECK"):
            words = json.loads(value[value.index("[") :])
            assert all(isinstance(word, str) for word in words)


def test_what_the_image_is_built_from_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, value in instructions():
        if name == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, f"{source} is kept out by .dockerignore"


def test_each_command_of_the_container_file_is_a_command_of_a_shell() -> None:
    runs = [value for name, value in instructions() if name == "RUN"]
    assert len(runs) >= 5
    for run in runs:
        checked = subprocess.run(["sh", "-n", "-c", run], capture_output=True, check=False)
        assert checked.returncode == 0, run


def test_the_image_installs_what_the_build_needs() -> None:
    """The same packages as tools/install_system.sh takes for the headers that setup.py asks for."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    wanted = re.findall(r'"[\w./]+\.hp?p?": "(lib[\w-]+|robin-map-dev)"',
                        (ROOT / "setup.py").read_text(encoding="utf-8"))  # fmt: skip
    assert len(wanted) == 6
    for package in wanted:
        assert package in text


def test_the_image_runs_without_rights_and_keeps_its_data_in_a_volume() -> None:
    last = instructions()[max(i for i, (name, _) in enumerate(instructions()) if name == "FROM") :]
    found = dict(last)
    assert found["USER"] == "atp"
    assert found["VOLUME"] == "/var/lib/atp"
    assert found["ENTRYPOINT"] == '["atp"]'
    environment = dict(
        word.split("=", 1) for name, value in last if name == "ENV" for word in value.split()
    )
    named = {name: text for name, text in environment.items() if name.startswith("ATP_")}
    overrides = [("server.insecure", "true", "--insecure")]
    settings = load(environment=named, overrides=overrides)
    assert settings.text("data.directory") == "/var/lib/atp"
    assert settings.text("data_plane.address") == "0.0.0.0:7300"
    assert settings.text("log.format") == "json"


def test_the_health_check_of_the_image_asks_a_server(tmp_path: Path) -> None:
    (check,) = (value for name, value in instructions() if name == "HEALTHCHECK")
    words = json.loads(check[check.index("[") :])
    assert words[0] == "atp"
    with serving() as server:
        for address, status in ((server.control_plane, 0), ("127.0.0.1:1", 3)):
            asked = subprocess.run(
                [sys.executable, "-c", COMMAND, *words[1:]],
                env=clean_environment({"ATP_CONTROL_ADDRESS": address}),
                capture_output=True,
                check=False,
                timeout=SECONDS,
            )
            assert asked.returncode == status
