"""Scrapes of a real server's /metrics, read with Prometheus's library.

Owns the asking and the reading; what a value should be is for the test that asks.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from server_process import ServerProcess, serving

SECONDS = 20.0


class Scrape:
    """Every sample of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """One sample; a KeyError says that it is not there."""
        return self._samples[name, frozenset(labels.items())]

    def labelled(self, name: str, label: str) -> dict[str, float]:
        """The samples of a name by the value of one label."""
        return {
            dict(labels)[label]: value
            for (sample, labels), value in self._samples.items()
            if sample == name
        }

    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _ in self._samples}

    def __len__(self) -> int:
        return len(self._samples)


@contextmanager
def scraped_server(*arguments: str, **more: Any) -> Iterator[ServerProcess]:
    """A server with metrics on a free port, until the block ends."""
    free = ("--set", "metrics.address=127.0.0.1:0")
    with serving(*free, *arguments, **more) as server:
        yield server


def get(address: str, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def scrape(address: str) -> Scrape:
    """What /metrics says now."""
    status, text = get(address)
    assert status == 200, text
    return Scrape(text)
