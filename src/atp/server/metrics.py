"""Metrics for Prometheus: one scrape at a time, over a port of its own.

Owns the registry and the turn-taking. Which values there are is metrics_table.py's, where they come
from metrics_values.py's, the port metrics_http.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from atp.journal._native import monotonic_ns
from atp.server import log_events, logs
from atp.server.certificates import Pem
from atp.server.listen import Listen
from atp.server.metrics_families import SECOND, Families
from atp.server.metrics_http import MetricsPort, told
from atp.server.metrics_values import Sources, Values

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["Metrics", "Sources"]

TURN_SECONDS = 2.0
"""How long a scrape waits for the one before it to end."""


class Metrics:
    """The metrics of one server."""

    name = "metrics"

    def __init__(self, sources: Sources) -> None:
        self._scraping = _Scraping(Values(sources))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._scraping)
        ProcessCollector(registry=registry)
        self._application = make_wsgi_app(registry)
        self._turn = threading.Lock()
        self._port = MetricsPort(self._answer, self._scraping.count_refused)
        self.address = ""
        """Where it listens, once opened."""

    def open(self, listen: Listen) -> None:
        """Opens the port and answers from then on. Raises StartFailed."""
        self.address = self._port.open(listen)

    def take_certificate(self, pem: Pem) -> None:
        """New connections see this one."""
        self._port.take_certificate(pem)

    def tls_refusals(self) -> tuple[int, str]:
        """None that are told of: whoever scrapes sees why."""
        return 0, ""

    def close(self) -> None:
        """Ends. Harmless when it has ended or never opened."""
        self._port.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._turn.acquire(timeout=TURN_SECONDS):
            self._scraping.count_refused()
            return told(
                start_response,
                "503 Service Unavailable",
                "another scrape is under way and takes long: the disk or the machine is slow",
            )
        try:
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        except Exception as error:
            kind, place = type(error).__name__, logs.place_of(error)
            logs.tell(log_events.SCRAPE_FAILED, error=kind, place=place)
            return told(start_response, "500 Internal Server Error", "the scrape failed; see log")
        finally:
            self._turn.release()


class _Scraping(Collector):
    """What the library asks for values."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._refused = 0

    def count_refused(self) -> None:
        """One scrape was not answered. From any thread; a count may be lost, and no law with it."""
        self._refused += 1

    def collect(self) -> Iterator[Metric]:
        """Everything there is to tell, gathered now."""
        begun_ns = monotonic_ns()
        told: Families = self._values.gather()
        told.set("atp_scrapes_refused_total", self._refused)
        told.set("atp_scrape_duration_seconds", (monotonic_ns() - begun_ns) / SECOND)
        yield from told
