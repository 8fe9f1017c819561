"""A real Prometheus scrapes a real server with the repository's own configuration.

Rules are loaded and healthy, every question of the dashboards and rules is answered, and every name
in them is one that the server tells.
"""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from scrape import get, scrape, scraped_server
from server_process import ROOT, ServerProcess, wait_until
from server_stubs import stubs_to

DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
SECONDS = 20.0
PROMETHEUS_OWN = {"up", "ALERTS", "ALERTS_FOR_STATE"}
SOMETIMES = {
    "atp_snapshot_timestamp_seconds",
    "atp_snapshot_sequence",
    "atp_snapshot_bytes",
    "atp_snapshot_duration_seconds",
    "atp_snapshot_stall_seconds",
    "atp_certificate_expiry_timestamp_seconds",
    "atp_cap_refused_total",
    "atp_cap_shadow_refused_total",
}
"""Names without samples in a server without snapshots, TLS and caps."""


class Watched(NamedTuple):
    """A server, and the Prometheus that scrapes it."""

    server: ServerProcess
    prometheus: str

    def ask(self, path: str, **words: str) -> Any:
        """The data of an answer of Prometheus's API."""
        question = f"/api/v1/{path}?{urllib.parse.urlencode(words)}"
        status, body = get(self.prometheus, question)
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "success"), (words, body)
        return answer["data"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def sell(server: ServerProcess) -> None:
    """A little of everything that dashboards show."""
    with stubs_to(server) as stubs:
        request = stock_pb.SetStockRequest(sku="MUG", on_hand_quantity=10)
        stubs.stock.SetStock(request, timeout=SECONDS)
        for number in range(12):
            hold = pb.ReserveRequest(
                request_id=f"r{number}", lines=[pb.Line(sku="MUG", quantity=1)]
            )
            stubs.reservations.Reserve(hold, timeout=SECONDS)


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Prometheus with the configuration of the repository, for this target, each second."""
    for file in (DEPLOY / "prometheus").glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:7302", target).replace("interval: 5s", "interval: 1s")
        (folder / file.name).write_text(text.replace("timeout: 4s", "timeout: 1s"))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: answers(address), "Prometheus to be ready")
        yield address
    except BaseException:
        print((folder / "log").read_text(encoding="utf-8"))
        raise
    finally:
        process.terminate()
        process.wait(SECONDS)


def answers(address: str) -> bool:
    try:
        return get(address, "/-/ready")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with (
        scraped_server() as server,
        tempfile.TemporaryDirectory(prefix="atp-prometheus-") as folder,
        prometheus(Path(folder), server.metrics) as address,
    ):
        sell(server)
        made = Watched(server, address)
        wait_until(
            lambda: bool(
                made.ask("query", query='atp_commands_total{outcome="GRANTED"} == 10')["result"]
            ),
            "a scrape after the sale",
        )
        wait_until(
            lambda: bool(made.ask("query", query="instance_limit:atp_limit_used:ratio")["result"]),
            "the rules to be evaluated",
        )
        yield made


def rules() -> Iterator[tuple[str, str]]:
    """The name and the question of every rule."""
    for name in ("recording.yml", "alerts.yml"):
        tree = yaml.safe_load((DEPLOY / "prometheus" / name).read_text(encoding="utf-8"))
        for group in tree["groups"]:
            for rule in group["rules"]:
                yield rule.get("record") or rule["alert"], rule["expr"]


def questions() -> Iterator[str]:
    """Everything that dashboards ask."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield target["expr"].replace("$job", "atp").replace("$instance", ".+")


def names_in(question: str) -> set[str]:
    """Names of metrics in a question."""
    bare = re.sub(r'"[^"]*"', "", question)
    return set(re.findall(r"\b(?:instance\w*:)?(?:atp|process)_[a-z0-9_]+(?::\w+)?", bare))


def test_the_target_is_up_and_every_rule_is_healthy(watched: Watched) -> None:
    targets = watched.ask("targets")["activeTargets"]
    assert [target["health"] for target in targets] == ["up"]
    found = {
        rule["name"]: rule["health"]
        for group in watched.ask("rules")["groups"]
        for rule in group["rules"]
    }
    assert found == dict.fromkeys((name for name, _ in rules()), "ok")


def test_no_alert_fires_at_a_server_that_is_well(watched: Watched) -> None:
    firing = {
        alert["labels"]["alertname"]
        for alert in watched.ask("alerts")["alerts"]
        if alert["state"] == "firing"
    }
    assert firing <= {"AtpDiskFills"}  # which is the machine's own


def silent(watched: Watched) -> list[str]:
    """Questions of the dashboards to which there is no answer, though there should be one."""
    return [
        question
        for question in questions()
        if not watched.ask("query", query=question)["result"]
        and not names_in(question) <= SOMETIMES
    ]


def test_every_question_of_the_dashboards_is_answered(watched: Watched) -> None:
    assert len(list(questions())) > 40
    # A rate needs two scrapes and a rule.
    wait_until(lambda: not silent(watched), f"answers to {silent(watched)}", pause_s=0.2)


def test_every_name_in_rules_and_dashboards_is_one_that_is_told(watched: Watched) -> None:
    told = scrape(watched.server.metrics).names() | SOMETIMES
    recorded = {name for name, _ in rules() if ":" in name}
    used = set()
    for question in (*questions(), *(question for _, question in rules())):
        found = names_in(question)
        assert found or "up{" in question, question
        used |= found
    assert used - told - recorded - PROMETHEUS_OWN == set()
    assert recorded - used == set(), "a rule that nobody asks for"
    assert len(used) > 40
    assert names_in('rate(atp_nosuch_total{job="atp_x"}[1m])') == {"atp_nosuch_total"}


def test_promtool_likes_a_real_scrape(watched: Watched) -> None:
    text = scrape(watched.server.metrics).text
    for scraped, good in ((text, True), ("# TYPE atp_bad counter\natp_bad 1\n", False)):
        done = subprocess.run(
            ["promtool", "check", "metrics"],
            input=scraped,
            capture_output=True,
            text=True,
            check=False,
        )
        told = done.stdout + done.stderr
        assert (done.returncode == 0 and not told) is good, told


def test_the_dashboards_are_what_their_tables_give() -> None:
    script = ROOT / "tools" / "generate_dashboards.py"
    spec = importlib.util.spec_from_file_location("generate_dashboards", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {file.name for file in DASHBOARDS} == set(module.DASHBOARDS)
    for file in DASHBOARDS:
        assert file.read_text(encoding="utf-8") == module.render(file.name), (
            "run python tools/generate_dashboards.py"
        )
