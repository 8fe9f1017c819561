"""Each alert fires on what it is for, and not on what comes close, by promtool's own evaluation."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

RULES = Path(__file__).resolve().parent.parent / "deploy" / "prometheus"
FILES = [str(RULES / name) for name in ("recording.yml", "alerts.yml")]
AT = {"job": "atp", "instance": "shop:7302"}
STEP_S = 15
MINUTES = 14
"""How long everything goes on before alerts are looked at."""
FOREVER = MINUTES * 60 // STEP_S + 1
"""Samples."""
DAY = 86_400


class Case(NamedTuple):
    """Series, by name and labels, with which an alert fires, and with which it does not."""

    alert: str
    labels: dict[str, str]
    """Of the alert, beyond those of where it is."""
    fires: dict[str, str]
    rests: dict[str, str]


def still(value: float) -> str:
    """A series that stands where it is."""
    return f"{value}x{FOREVER}"


def grows(step: float, begin: float = 0) -> str:
    """A series that grows by so much a second."""
    return f"{begin}{step * STEP_S:+}x{FOREVER}"


def reserves(fast: float, slow: float) -> dict[str, str]:
    """A histogram with so many calls under 20 ms and so many between 100 and 200 ms a second."""
    name = "atp_call_duration_seconds_bucket"
    steps = {"0.02": fast, "0.1": fast, "0.2": fast + slow, "+Inf": fast + slow}
    return {f'{name}{{method="Reserve",le="{le}"}}': grows(step) for le, step in steps.items()}


def syncs(fast: float, slow: float) -> dict[str, str]:
    """The same of syncs, under 1 ms and between 50 and 100 ms."""
    steps = {"0.001": fast, "0.05": fast, "0.1": fast + slow, "+Inf": fast + slow}
    return {
        f'atp_sync_duration_seconds_bucket{{le="{le}"}}': grows(step) for le, step in steps.items()
    }


def snapshots(age: float, interval: float, behind: float) -> dict[str, str]:
    """A snapshot that is so old when the test begins; so many changes came since."""
    return {
        "atp_snapshot_timestamp_seconds": still(-age),
        "atp_snapshot_interval_seconds": still(interval),
        "atp_snapshot_sequence": still(100),
        "atp_sequence": still(100 + behind),
    }


CASES = (
    Case("AtpDown", {}, {"up": still(0)}, {"up": "1 0 1 " * (FOREVER // 3)}),
    Case(
        "AtpRestarted",
        {},
        {"process_start_time_seconds": f"1000x40 2000x{FOREVER}"},
        {"process_start_time_seconds": still(1_000)},
    ),
    Case("AtpLatencyHigh", {"method": "Reserve"}, reserves(98, 2), reserves(995, 5)),
    Case(
        "AtpOverloaded",
        {},
        {
            'atp_calls_overloaded_total{reason="calls_max"}': grows(1),
            'atp_calls_overloaded_total{reason="wait_max"}': grows(2),
            'atp_calls_total{plane="data",method="Reserve",code="OK"}': grows(150),
        },
        {
            'atp_calls_overloaded_total{reason="calls_max"}': grows(1),
            'atp_calls_total{plane="data",method="Reserve",code="OK"}': grows(150),
        },
    ),
    Case(
        "AtpErrors",
        {},
        {'atp_calls_total{plane="data",method="Reserve",code="INTERNAL"}': f"0x50 1x{FOREVER}"},
        {
            'atp_calls_total{plane="data",method="Reserve",code="INTERNAL"}': still(7),
            'atp_calls_total{plane="data",method="Reserve",code="UNAVAILABLE"}': grows(5),
        },
    ),
    Case(
        "AtpFlooded",
        {},
        {'atp_connections_ended_total{reason="resets"}': grows(2)},
        {'atp_connections_ended_total{reason="resets"}': grows(0.5)},
    ),
    Case(
        "AtpRefusesChanges",
        {"reason": "disk_full"},
        {
            'atp_journal_refusing{reason="disk_full"}': still(1),
            'atp_journal_refusing{reason="behind"}': still(0),
        },
        {'atp_journal_refusing{reason="disk_full"}': still(0)},
    ),
    Case(
        "AtpDurableLag",
        {},
        {"atp_durable_lag_seconds": still(1.5), 'atp_journal_info{durability="sync"}': still(1)},
        {"atp_durable_lag_seconds": still(30), 'atp_journal_info{durability="off"}': still(1)},
    ),
    Case("AtpSyncSlow", {}, syncs(98, 2), syncs(995, 5)),
    Case(
        "AtpDiskFills",
        {},
        {"atp_journal_free_bytes": grows(-4e6, 50e9)},  # which is full in less than four hours
        {"atp_journal_free_bytes": grows(-1e6, 50e9)},
    ),
    Case(
        "AtpDiskFills",
        {},
        {"atp_journal_free_bytes": still(1e9)},
        {"atp_journal_free_bytes": still(2e9)},
    ),
    Case("AtpSnapshotOld", {}, snapshots(9_000, 3_600, 5), snapshots(9_000, 3_600, 0)),
    Case("AtpSnapshotOld", {}, snapshots(9_000, 3_600, 1), snapshots(5_000, 3_600, 5)),
    Case(
        "AtpSnapshotOld",
        {},
        {
            "atp_snapshot_interval_seconds": still(60),
            "atp_sequence": grows(1),
            "process_start_time_seconds": still(0),
        },
        {
            "atp_snapshot_interval_seconds": still(3_600),
            "atp_sequence": grows(1),
            "process_start_time_seconds": still(0),
        },
    ),
    Case(
        "AtpSnapshotFails",
        {},
        {"atp_snapshot_failing": still(1)},
        {"atp_snapshot_failing": still(0)},
    ),
    Case(
        "AtpLimitNear",
        {"limit": "live_holds_max"},
        {
            'atp_limit{limit="live_holds_max"}': still(100),
            'atp_limit_used{limit="live_holds_max"}': still(91),
        },
        {  # old request ids are forgotten at this bound, and nothing is refused
            'atp_limit{limit="ended_max"}': still(100),
            'atp_limit_used{limit="ended_max"}': still(100),
            'atp_limit{limit="live_holds_max"}': still(100),
            'atp_limit_used{limit="live_holds_max"}': still(89),
        },
    ),
    Case(
        "AtpConnectionsNear",
        {"limit": "server.connections_max"},
        {
            'atp_limit{limit="server.connections_max"}': still(1_000),
            'atp_limit_used{limit="server.connections_max"}': still(950),
        },
        {
            'atp_limit{limit="server.connections_max"}': still(1_000),
            'atp_limit_used{limit="server.connections_max"}': still(850),
        },
    ),
    Case(
        "AtpFilesNear",
        {},
        {"process_open_fds": still(950), "process_max_fds": still(1_000)},
        {"process_open_fds": still(850), "process_max_fds": still(1_000)},
    ),
    Case(
        "AtpCertificateEnds",
        {"plane": "data_plane"},
        {'atp_certificate_expiry_timestamp_seconds{plane="data_plane"}': still(13 * DAY)},
        {'atp_certificate_expiry_timestamp_seconds{plane="data_plane"}': still(15 * DAY)},
    ),
    Case(
        "AtpClockDrifts",
        {},
        {"atp_clock_drift_seconds": still(-1.5)},
        {"atp_clock_drift_seconds": still(0.9)},
    ),
    Case(
        "AtpScrapeSlow",
        {},
        {"atp_scrape_duration_seconds": still(0.3)},
        {"atp_scrape_duration_seconds": still(0.1)},
    ),
)


def alerts() -> dict[str, Any]:
    tree = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in tree["groups"] for rule in group["rules"]}


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def placed(series: str) -> str:
    """A series with the labels that every scrape has."""
    name, _, labels = series.rstrip("}").partition("{")
    where = ",".join(f'{label}="{value}"' for label, value in AT.items())
    return f"{name}{{{where}{',' if labels else ''}{labels}}}"


def tried(case: Case, series: dict[str, str], fires: bool) -> dict[str, Any]:
    rule = alerts()[case.alert]
    expected = {
        "exp_labels": {**AT, **case.labels, **rule["labels"]},
        "exp_annotations": rule["annotations"],
    }
    return {
        "interval": f"{STEP_S}s",
        "input_series": [
            {"series": placed(name), "values": values} for name, values in series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": f"{MINUTES}m",
                "alertname": case.alert,
                "exp_alerts": [expected] if fires else [],
            }
        ],
    }


def test_every_alert_has_cases_a_severity_and_a_runbook() -> None:
    assert {case.alert for case in CASES} == set(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket", "info")


def test_promtool_finds_nothing_wrong() -> None:
    for done in (
        promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES),
        promtool("check", "config", str(RULES / "prometheus.yml")),
    ):
        assert done.returncode == 0, done.stdout + done.stderr


def judge(folder: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What promtool says of alerts and what is expected of them."""
    tree = {"rule_files": FILES, "evaluation_interval": f"{STEP_S}s", "tests": tests}
    file = folder / "cases.yml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return promtool("test", "rules", str(file))


def test_alerts_fire_on_what_they_are_for_and_on_nothing_less(tmp_path: Path) -> None:
    tests = [tried(case, case.fires, True) for case in CASES]
    tests += [tried(case, case.rests, False) for case in CASES]
    done = judge(tmp_path, tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_judge_can_tell_a_silent_alert_and_a_false_one(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.alert == "AtpScrapeSlow")
    for series, fires in ((case.rests, True), (case.fires, False)):
        done = judge(tmp_path, [tried(case, series, fires)])
        assert done.returncode != 0
        assert "alertname: AtpScrapeSlow" in done.stdout + done.stderr
