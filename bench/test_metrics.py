"""What a scrape costs, what it costs a checkout, and how soon a changed cap is in force.

A real server with as many SKUs as live holds, which keeps everything, on loopback. Figures of pairs
are from one run, in turn, so that both meet the same weather.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest
from pairs import HOMES, home, in_turn
from prometheus_client.parser import text_string_to_metric_families

from atp import Client, load
from atp.history import list_files, read
from atp.journal.journal import Options, open_journal
from atp.load import Kind, LoadPlan, Spread
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import Cap, CapMode, CapSubject, ReserveOutcome
from test_snapshot import fill

Figure = Callable[[str, float, str], None]
DEADLINE_S = 120.0
HOT = "SKU-00000000"
RESERVE = "/atp.v1.ReservationService/Reserve"


class Shop(NamedTuple):
    """A server with much in it."""

    data_plane: str
    control_plane: str
    metrics: str
    count: int

    def plan(self, name: str, **more: object) -> LoadPlan:
        """Reserves of its SKUs."""
        values = {"address": self.data_plane, "run_name": name, "skus": self.count, **more}
        return LoadPlan(**values)  # type: ignore[arg-type]


def store(data: Path, count: int) -> None:
    """Leaves a snapshot of so many SKUs and live holds in a data directory."""
    now_ns = time.time_ns()
    options = Options(data, durability="interval")
    engine, journal, _ = open_journal(options, {}, now_ns=now_ns, owner_text="a benchmark")
    journal.start(on_failure=lambda error: pytest.fail(str(error)))
    fill(engine, count, now_ns, lambda: journal.writer.wait(engine.status().sequence, 10**11))
    journal.close(now_ns, snapshot=True)


@contextmanager
def served(data: Path, count: int) -> Iterator[Shop]:
    """A server on the store, until the block ends."""
    ready = data.parent / "ready.json"
    command = [sys.executable, "-m", "atp", "serve", "--data", str(data)]
    command += ["--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0"]
    command += ["--set", "metrics.address=127.0.0.1:0", "--ready-file", str(ready)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    begin = time.perf_counter()
    try:
        while not ready.exists():
            assert server.poll() is None, f"it ended with {server.returncode}"
            assert time.perf_counter() - begin < DEADLINE_S, "it is not ready in time"
            time.sleep(0.005)
        facts = json.loads(ready.read_text())
        yield Shop(facts["data_plane"], facts["control_plane"], facts["metrics"], count)
    finally:
        server.terminate()
        server.wait()


@contextmanager
def shop_at(place: str, full: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A million SKUs and a million live holds, in full size; its files on disk or in memory."""
    count = 1_000_000 if full else 5_000
    with home(place, tmp_path_factory.mktemp("metrics")) as folder:
        data = folder / "data"
        store(data, count)
        with served(data, count) as made:
            yield made


@pytest.fixture(scope="module")
def shop(full: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """On disk."""
    with shop_at("disk", full, tmp_path_factory) as made:
        yield made


def scrape(shop: Shop) -> str:
    """One scrape, as Prometheus makes it."""
    connection = http.client.HTTPConnection(shop.metrics, timeout=10)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def value(text: str, name: str) -> float:
    """One sample without labels."""
    (found,) = (
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    )
    return found


def test_scrape(shop: Shop, figure: Figure, full: bool) -> None:
    """metrics_scrape_ms: from the request to the last byte, all caps and hot SKUs included."""
    load.run(shop.plan("warm-", calls=100_000 if full else 2_000, connections=4))
    took: list[float] = []
    for _ in range(100 if full else 5):
        begin = time.perf_counter()
        text = scrape(shop)
        took.append((time.perf_counter() - begin) * 1e3)
    assert value(text, "atp_skus") == shop.count
    assert value(text, "atp_holds") == shop.count + (100_000 if full else 2_000)
    assert text.count("\natp_sku_heat{") == 20
    figure("metrics_scrape_ms", statistics.median(took), "ms")
    figure("metrics_scrape_most_ms", max(took), "ms")


SCRAPER = """
import http.client, select, sys
every_s, done = float(sys.argv[2]), 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], every_s)[0]:
    connection = http.client.HTTPConnection(sys.argv[1], timeout=10)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    done += answer.status == 200 and answer.read().count(b"\\natp_skus ")
    connection.close()
print(done)
"""
"""A process that scrapes every so many seconds, as Prometheus is one, until stdin is closed."""


@contextmanager
def scraped(shop: Shop, every_s: float, done: list[int]) -> Iterator[None]:
    """Scrapes meanwhile; tells how often at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRAPER, shop.metrics, str(every_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as scraper:
        assert scraper.stdout is not None
        assert scraper.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            told, _ = scraper.communicate()
    done.append(int(told))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", HOMES)
def test_checkouts_with_and_without_scrapes(
    place: str, figure: Figure, full: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """checkout_p99_ms, checkout_p99_scraped_ms: reserve and commit in an open loop, in pairs.

    The ratio is the figure: with files in memory it is what a scrape takes from a checkout, on disk
    what of that is seen beside the disk's own pauses.
    """
    count, seconds, rate, every_s = (9, 4.0, 2_000.0, 1.0) if full else (1, 0.5, 500.0, 0.1)

    def p99(number: int, is_scraped: bool) -> float:
        plan = one.plan(
            f"out{number}-",
            kind=Kind.PAIR,
            rate=rate,
            duration_s=seconds,
            connections=16,
            allow_refused_calls=True,  # where the disk stands still too much waits
        )
        done: list[int] = []
        with scraped(one, every_s, done) if is_scraped else nullcontext():
            result = load.run(plan)
        assert result.asked >= result.good > 0.9 * result.asked
        assert (done[0] >= seconds / every_s - 2) if is_scraped else not done
        return result.latency_ms(0.99)

    with shop_at(place, full, tmp_path_factory) as one:
        p99(999, False)  # the first calls meet what has not been touched yet
        pairs = in_turn(count, p99)
    name = HOMES[place]
    figure(f"checkout_p99_ms{name}", statistics.median(pairs.without), "ms")
    figure(f"checkout_p99_scraped_ms{name}", statistics.median(pairs.beside), "ms")
    figure(f"checkout_p99_scraped_vs_not{name}", pairs.ratio, "times")


class Answers(NamedTuple):
    """What a recorded load was told of one SKU with a cap that closes it."""

    sent_ns: dict[int, int]
    granted: list[tuple[int, int, int]]
    """When it ended, when it was sent, the sequence."""
    refused: int


def answers_in(history: Path) -> Answers:
    """Reads every answer of a recorded load."""
    sent: dict[int, int] = {}
    granted, refused = [], 0
    for file in list_files(history):
        for entry in read(file):
            if entry.HasField("sent"):
                sent[entry.sent.number] = entry.sent.time_ns
            elif entry.HasField("ended"):
                answer = pb.ReserveResponse.FromString(entry.ended.response)
                if answer.outcome == pb.RESERVE_OUTCOME_GRANTED:
                    number = entry.ended.number
                    granted.append((entry.ended.time_ns, sent[number], answer.sequence))
                else:
                    assert answer.outcome == pb.RESERVE_OUTCOME_CAP_REACHED
                    refused += 1
    return Answers(sent, granted, refused)


def test_cap_change(shop: Shop, figure: Figure, full: bool, tmp_path: Path) -> None:
    """cap_change_under_load_ms: from asking for a cap to the last answer that was given without it.

    All ask for one SKU, as fast as they are answered; the cap closes it.
    """
    connections, in_flight = (8, 16) if full else (2, 2)
    took: list[float] = []
    with Client(shop.data_plane, shop.control_plane, timeout_s=30) as client:
        for number in range(7 if full else 1):
            folder = tmp_path / str(number)
            plan = shop.plan(
                f"cap{number}-",
                spread=Spread.HOT,
                duration_s=1.5,
                connections=connections,
                in_flight=in_flight,
                outcomes=frozenset({ReserveOutcome.GRANTED, ReserveOutcome.CAP_REACHED}),
                history=folder,
            )
            under_way, failed = threading.Event(), list[Exception]()
            runner = threading.Thread(target=run_load, args=(plan, under_way, failed))
            runner.start()
            assert under_way.wait(30)
            asked_ns = time.monotonic_ns()
            closing = Cap("close", CapSubject.EVERYONE, skus=(HOT,), limit=0, mode=CapMode.ENFORCE)
            changed = client.set_cap(closing)
            told_ns = time.monotonic_ns()
            runner.join()
            assert not failed, failed
            found = answers_in(folder)
            assert found.granted
            assert found.refused, "the load ended before the cap was in force"
            assert all(sequence < changed.sequence for _, _, sequence in found.granted)
            assert all(sent_ns < told_ns for _, sent_ns, _ in found.granted)
            last_ns = max(ended_ns for ended_ns, _, _ in found.granted)
            took.append((last_ns - asked_ns) / 1e6)
            client.remove_cap("close")
    figure("cap_change_under_load_ms", statistics.median(took), "ms")
    figure("cap_change_under_load_most_ms", max(took), "ms")


def run_load(plan: LoadPlan, under_way: threading.Event, failed: list[Exception]) -> None:
    """One load in a thread of its own; `under_way` is set once it is."""

    def look(result: load.LoadResult) -> None:
        if result.answered > 1_000:
            under_way.set()

    try:
        load.run(plan, on_step=look)
    except Exception as error:
        failed.append(error)
    finally:
        under_way.set()
