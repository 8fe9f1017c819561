"""Many real threads on one engine, everything that they are told kept.

Owns the starting together, the joining with a deadline (a deadlock fails the test and prints every
stack), and the keeping of answers. Judges nothing; see `laws.py`.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from atp.vocabulary import CapChanged, CapNotFound
from laws import Recount, Said

DEADLINE_SECONDS = 120


class Crowd:
    """An engine, and threads that call it."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.said: list[Said] = []

    def ask(self, name: str, *words: Any, **keywords: Any) -> Any:
        """Call the engine, and keep what it said. Threads may ask at once: appending is atomic."""
        try:
            answer = getattr(self.engine, name)(*words, **keywords)
        except (CapChanged, CapNotFound) as error:
            answer = error
        self.said.append(Said(name, words, keywords, answer))
        return answer

    def run(self, *jobs: Callable[[], None]) -> None:
        """Run all jobs at once, one thread each; an exception in one of them is raised here."""
        start = threading.Barrier(len(jobs))
        failures: list[BaseException] = []

        def run_one(job: Callable[[], None]) -> None:
            start.wait()
            try:
                job()
            except threading.BrokenBarrierError:
                pass  # another thread failed, and says why
            except BaseException as error:  # handed to the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=run_one, args=(job,), daemon=True) for job in jobs]
        # Threads change over often: what must not depend on luck is to be tried by it.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE_SECONDS)
        finally:
            sys.setswitchinterval(interval)
        if any(thread.is_alive() for thread in threads):
            faulthandler.dump_traceback(all_threads=True)
            raise AssertionError(f"threads are stuck after {DEADLINE_SECONDS} seconds")
        if failures:
            raise failures[0]

    def run_rounds(self, count: int, *jobs: Callable[[int], None]) -> None:
        """Run each job once a round, one thread each; all begin a round together."""
        ready = threading.Barrier(len(jobs), timeout=DEADLINE_SECONDS)

        def run_one(job: Callable[[int], None]) -> None:
            for number in range(count):
                ready.wait()
                try:
                    job(number)
                except BaseException:
                    ready.abort()
                    raise

        self.run(*(partial(run_one, job) for job in jobs))

    def recount(self, now_ns: int) -> dict[str, Any]:
        """Recount every law, by the engine and from the answers; returns the dump."""
        report = self.engine.check(now_ns=now_ns)
        assert report.violations == ()
        dump: dict[str, Any] = self.engine.dump(now_ns=now_ns)
        assert Recount(self.said, dump, now_ns).run() == []
        assert report.sequence == self.engine.status().sequence
        return dump
