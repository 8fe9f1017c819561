"""One load made by several processes: each has its share of it, and what they did is added up.

Owns the processes: that all are connected before any begins, and that none is left behind. A share
is a plan like any other, with a seed, request ids and a file of the history of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import signal
from multiprocessing.connection import Connection, wait
from typing import Any

from atp.load.connecting import LoadFailed
from atp.load.driving import OnStep, run
from atp.load.plan import Kind, LoadPlan
from atp.load.result import LoadResult, added
from atp.load.stopping import Interrupts

PROCESSES_MAX = 256
END_S = 10.0
LOOK_S = 0.2


def check_processes(plan: LoadPlan, processes: int) -> None:
    """ValueError: there is not enough to divide among so many."""
    if not 1 <= processes <= PROCESSES_MAX:
        raise ValueError(f"processes is {processes}: it must be from 1 to {PROCESSES_MAX}")
    for name, value in (("connections", plan.connections), ("calls", plan.calls)):
        if value is not None and value < processes:
            raise ValueError(f"{name} is {value}: {processes} processes need one each at least")


def shares(plan: LoadPlan, processes: int) -> list[LoadPlan]:
    """The plan divided among so many processes. Raises ValueError."""
    check_processes(plan, processes)
    if processes == 1:
        return [plan]
    wanted = plan.wanted() if plan.kind is Kind.SALE else None
    return [_share(plan, number, processes, wanted) for number in range(processes)]


def _share(plan: LoadPlan, number: int, processes: int, wanted: Any) -> LoadPlan:
    def part(whole: int) -> int:
        return whole * (number + 1) // processes - whole * number // processes

    curve = None
    if plan.curve is not None:
        curve = tuple((time_s, rate / processes) for time_s, rate in plan.curve)
    if wanted is not None:
        wanted = wanted.from_place(len(wanted.rows) * number // processes)
    return dataclasses.replace(
        plan,
        run_name=f"{plan.run_name}{number}-",
        connections=part(plan.connections),
        calls=None if plan.calls is None else part(plan.calls),
        rate=None if plan.rate is None else plan.rate / processes,
        curve=curve,
        baskets=wanted,
        seed=plan.seed * PROCESSES_MAX + number,
    )


def run_many(plan: LoadPlan, processes: int, *, on_step: OnStep | None = None) -> LoadResult:
    """Runs a load as `run` does, by so many processes. Raises ValueError, LoadFailed.

    The processes are spawned: a program that calls this needs `if __name__ == "__main__"`.
    """
    plans = shares(plan, processes)
    if len(plans) == 1:
        return run(plan, on_step=on_step)
    context = multiprocessing.get_context("spawn")
    crew = [_Member(context, number, each) for number, each in enumerate(plans)]
    try:
        for member in crew:
            member.process.start()
            member.theirs.close()
        _follow(crew, on_step)
    finally:
        for member in crew:
            member.end()
    reasons = [member.reason for member in crew if member.reason]
    results = [member.result for member in crew if member.result is not None]
    if reasons:
        told = "; ".join(dict.fromkeys(reasons))
        raise LoadFailed(told, added(results) if len(results) == len(crew) else None)
    return added(results)


class _Member:
    """One process, and what it has told."""

    def __init__(self, context: Any, number: int, plan: LoadPlan) -> None:
        self.number = number
        self.pipe, self.theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(plan, self.theirs), daemon=True)
        self.is_ready = False
        self.is_over = False
        self.reason = ""
        self.result: LoadResult | None = None

    def hear(self) -> None:
        """Takes one message."""
        try:
            word, reason, result = self.pipe.recv()
        except EOFError:
            self.is_over = True
            self.reason = f"process {self.number} of the load ended before it was done"
            return
        self.is_ready = True
        self.result = result or self.result
        self.is_over = word in ("done", "failed")
        if word == "failed":
            self.reason = reason

    def end(self) -> None:
        """Waits for the end of the process; one that goes on is ended."""
        self.pipe.close()
        if self.process.pid is not None:
            self.process.join(END_S)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()


def _follow(crew: list[_Member], on_step: OnStep | None) -> None:
    """Lets all begin once all are ready, and hears them to their ends."""
    has_begun = False
    has_stopped = False
    with Interrupts() as interrupts:
        while not all(member.is_over for member in crew):
            members = {member.pipe: member for member in crew if not member.is_over}
            for pipe in wait(list(members), LOOK_S):
                members[pipe].hear()
            if not has_begun and any(member.is_over for member in crew):
                return  # closing the pipes ends the others
            if not has_begun and all(member.is_ready for member in crew):
                has_begun = True
                _tell(crew, "begin")
            results = [member.result for member in crew if member.result is not None]
            wishes = len(results) == len(crew) and on_step is not None and on_step(added(results))
            if has_begun and not has_stopped and (wishes or interrupts.came):
                has_stopped = True
                _tell(crew, "stop")


def _tell(crew: list[_Member], word: str) -> None:
    for member in crew:
        with contextlib.suppress(OSError):  # one that has ended is told by its pipe
            member.pipe.send(word)


class _Orphaned(Exception):
    """Whoever began this process has ended, and so does its load."""


def _work(plan: LoadPlan, pipe: Connection) -> None:
    """What each process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says when to stop

    def send(word: str, reason: str, result: LoadResult | None) -> None:
        try:
            pipe.send((word, reason, result))
        except OSError as error:
            raise _Orphaned from error

    def hear() -> bool:
        try:
            return bool(pipe.recv())
        except (EOFError, OSError) as error:
            raise _Orphaned from error

    def ready() -> None:
        send("ready", "", None)
        hear()

    def step(result: LoadResult) -> bool:
        send("step", "", result)
        return pipe.poll() and hear()

    with contextlib.suppress(_Orphaned):
        try:
            send("done", "", run(plan, on_ready=ready, on_step=step))
        except LoadFailed as failed:
            send("failed", str(failed), failed.result)
