"""Locust by hand, as docs/sale-rehearsal.md has it: started on its web page, and stopped there.

Locust is a process of its own, on loopback, beside a real server; what its page counts is compared
with what the history has and the server sold.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atp.audit import audit
from atp.client import Client
from atp.history import list_files, read
from loadtests.profiles import PROFILES
from server_process import ROOT, ServerProcess, clean_environment, serving, wait_until

SECONDS = 30.0
USERS = 12


class Page:
    """Locust's page, as a browser has it."""

    def __init__(self, address: str, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.process = process

    def get(self, path: str) -> str:
        """What is there."""
        return self._fetch(path, None)

    def post(self, path: str, form: Mapping[str, object]) -> Any:
        """What a filled form is answered with."""
        return json.loads(self._fetch(path, urllib.parse.urlencode(form).encode()))

    def stats(self) -> Any:
        """What its charts and tables are drawn from."""
        return json.loads(self.get("/stats/requests"))

    def total(self) -> int:
        """Requests counted so far."""
        (row,) = (row for row in self.stats()["stats"] if row["name"] == "Aggregated")
        return int(row["num_requests"])

    def is_open(self) -> bool:
        """Whether anything answers."""
        assert self.process.poll() is None, "Locust has ended"
        try:
            self.get("/")
        except urllib.error.URLError:
            return False
        return True

    def _fetch(self, path: str, form: bytes | None) -> str:
        with urllib.request.urlopen(f"{self.address}{path}", form, timeout=SECONDS) as answer:
            text: str = answer.read().decode()
        return text


@contextmanager
def locust(server: ServerProcess, folder: Path) -> Iterator[Page]:
    """Locust with its page, as it is started by hand; nothing has begun."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py")]
    command += ["--set-up", "--sale", "steady", "--sale-seconds", "60"]
    command += ["--sale-users", str(USERS), "--history", str(folder / "history")]
    command += ["--host", server.data_plane, "--control-address", server.control_plane]
    command += ["--web-host", "127.0.0.1", "--web-port", port]
    with (folder / "locust.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=clean_environment(), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield Page(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "journal.keep=1d") as process:
        yield process


def test_a_sale_is_started_and_stopped_on_locusts_page(
    server: ServerProcess, tmp_path: Path
) -> None:
    with locust(server, tmp_path) as page:
        wait_until(page.is_open, "the page is open")
        assert "<title>Locust</title>" in page.get("/")
        before = page.stats()
        assert (before["state"], before["user_count"], page.total()) == ("ready", 0, 0)
        assert not (tmp_path / "history").exists(), "nothing has begun"
        begun = page.post("/swarm", {"user_count": USERS, "spawn_rate": USERS})
        assert begun["success"] is True, begun
        wait_until(lambda: page.total() > 100, "requests are counted")
        during = page.stats()
        assert during["state"] in ("spawning", "running")
        assert during["user_count"] > 0
        counted = {(row["method"], row["name"]) for row in during["stats"]}
        assert ("Reserve", "GRANTED") in counted
        assert not during["errors"], "a refusal is an answer"
        assert page.post("/stop", {})["success"] is True
        wait_until(lambda: page.stats()["user_count"] == 0, "everybody has gone")
        assert page.stats()["state"] == "stopped"
        total = page.total()
        page.process.send_signal(signal.SIGTERM)
        assert page.process.wait(SECONDS) in (0, 1), "1: a try of a call was told as failed"
    (path,) = list_files(tmp_path / "history")
    entries = list(read(path))
    assert entries[-1].WhichOneof("entry") == "finished"
    calls = sum(entry.WhichOneof("entry") == "sent" for entry in entries)
    set_up = 1 + len(PROFILES["steady"].caps)
    assert total + set_up <= calls <= total + set_up + USERS
    with Client(server.data_plane, server.control_plane) as client:
        assert sum(stock.sold + stock.held for stock in client.iterate_stock()) > 0
    verdict = audit(tmp_path / "history", server.folder / "atp-data")
    assert verdict.ok, verdict.findings
