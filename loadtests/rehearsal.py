"""A whole rehearsal: server, set-up, load, faults, the server's end, the audit and the report.

Owns the order, the folder that all of it is left in, and the verdict of it: clean is what the audit
found nothing in, and what kept the profile's promises. Prints nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atp import report
from atp.audit import Verdict, audit
from atp.cli.supervisor import Supervisor
from atp.history import HistoryWriter
from atp.journal.copy_store import copy_store
from atp.journal.directory import Places
from atp.replay.clock import Clock
from loadtests import faults, promises
from loadtests.encryption import PLANES, Files
from loadtests.engines import Engine, Locust
from loadtests.faults.disk import Disk
from loadtests.faults.proxy import Proxy
from loadtests.faults.scene import Scene
from loadtests.native import CONNECTIONS, Native
from loadtests.profiles import Profile
from loadtests.sale import Sale
from loadtests.shelves import Shelves

LEFT = (
    *("history", "data", "switches", "report.html", "report.json"),
    *("server.log", "locust.log", "locust.json"),
)
"""What a rehearsal leaves in its folder; the next one in the same folder removes it."""
SETTINGS = {
    "journal.keep": "30d",  # the audit wants every change from the first one on
}
PROCESSES_MOST = 64
IMPATIENT_S = 1.0
"""Users who wait no longer lose calls by themselves."""
FULL_DISK_SETTINGS = {
    # A full disk is felt when the next spare segment is wanted: with small ones that is soon.
    "journal.segment_bytes": "64KiB",
}


class NotRehearsed(Exception):
    """A rehearsal that could not be held, or not to its end; says why."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for. Addresses are those of a server that runs already, or empty.

    `data` is that server's data directory. Without `audits` nothing is proved, and it need not be
    known. `processes` make the load. `seed` decides who does what and when what breaks.
    """

    profile: Profile
    out: Path
    engine: str = "locust"
    faults: tuple[str, ...] = ()
    seed: int = 1
    data_address: str = ""
    control_address: str = ""
    data: Path | None = None
    audits: bool = True
    web_port: int | None = None
    processes: int = 1
    data_tls: Files | None = None
    control_tls: Files | None = None
    tell: Callable[[str], None] = lambda line: None


@dataclass
class Ended:
    """What came of it."""

    figures: dict[str, Any]
    verdict: Verdict | None
    broken: list[str] = field(default_factory=list)
    """Promises of the profile that were not kept."""

    @property
    def is_clean(self) -> bool:
        """True when every answer was true and the load was what it was to be."""
        return not self.broken and (self.verdict is None or self.verdict.ok)


def rehearse(options: Options) -> Ended:
    """Holds a rehearsal to its end. Raises NotRehearsed, and what its parts raise."""
    check(options)
    prepare_folder(options.out)
    run = f"{time.time_ns() // 1_000_000:x}"
    with ExitStack() as stack:
        data = options.data
        disk, server = None, None
        if not options.data_address:
            data = options.out / "data"
            disk = _disk(options, data)
            server = stack.enter_context(_server(options, data, disk))
        data_address = server.data_plane if server else options.data_address
        control_address = server.control_plane if server else options.control_address
        proxy = None
        if faults.NEED_PROXY.intersection(options.faults):
            proxy = stack.enter_context(Proxy(data_address))
        writer = stack.enter_context(_writer(options, run))
        sale = Sale(
            profile=options.profile,
            data_address=proxy.address if proxy else data_address,
            data_tls=_behind(options, proxy),
            control_tls=options.control_tls,
            processes=options.processes,
            control_address=control_address,
            history=options.out / "history",
            run=run,
            seed=options.seed,
        )
        there = Shelves(options.profile, control_address, writer, options.control_tls)
        there.set_up()
        options.tell(f"the sale begins: {options.profile.seconds:g} s of {options.profile.name}")
        _hold(options, sale, Scene(writer, server, proxy, disk))
        if server is None:
            there.put_back()
    if options.data is not None:
        # It is written on: what is audited is a copy, taken in the order that makes it one.
        data = copy_store(Places(options.data), options.out / "data").path
    return _judge(options, data)


def check(options: Options) -> None:
    """Raises NotRehearsed when what was asked for can't go together."""
    if bool(options.data_address) != bool(options.control_address):
        raise NotRehearsed("a server that runs already has two addresses: give both of them")
    if options.data_address and options.audits and options.data is None:
        raise NotRehearsed(
            "to audit a server that runs already give its data directory, --data; or --no-audit"
        )
    own = set(options.faults) - faults.NEED_PROXY
    if options.data_address and own:
        names = ", ".join(sorted(own))
        raise NotRehearsed(f"{names}: only for a server that is started here; leave the addresses")
    if options.engine == "native" and options.web_port is not None:
        raise NotRehearsed("the web page is Locust's: the native engine has none")
    if not 1 <= options.processes <= PROCESSES_MOST:
        raise NotRehearsed(f"{options.processes} processes: 1 to {PROCESSES_MOST} make a load")
    if options.engine == "native" and options.processes > CONNECTIONS:
        raise NotRehearsed(f"the native engine's {CONNECTIONS} connections are one each at least")
    least = options.profile.users - options.profile.operators
    if options.processes > least:
        raise NotRehearsed(f"{options.processes} processes for {least} users: one each at least")
    check_tls(options)


def check_tls(options: Options) -> None:
    """Raises NotRehearsed when a plane can't be spoken to as was asked for."""
    for plane in PLANES:
        files: Files | None = getattr(options, f"{plane}_tls")
        if files is None:
            continue
        if not options.data_address:
            raise NotRehearsed("TLS: only of a server that runs already; give its addresses")
        try:
            files.check(getattr(options, f"{plane}_address"))
        except ValueError as error:
            raise NotRehearsed(f"TLS of the {plane} plane: {error}") from None


def _behind(options: Options, proxy: Proxy | None) -> Files | None:
    """A proxy cuts what it can't read: the certificate is still that of the server behind it."""
    if proxy is None or options.data_tls is None:
        return options.data_tls
    return options.data_tls.behind(options.data_address)


def prepare_folder(out: Path) -> None:
    """Makes the folder; removes what the rehearsal before left there, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for name in LEFT:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _disk(options: Options, data: Path) -> Disk | None:
    if not faults.NEED_SHIM.intersection(options.faults):
        return None
    return Disk(options.out / "switches", data)


@contextmanager
def _server(options: Options, data: Path, disk: Disk | None) -> Iterator[Supervisor]:
    """A server on loopback with its own data; it is stopped in order at the end."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("ATP_")}
    data.mkdir()
    if disk is not None:
        environment |= disk.environment()
    settings = {**SETTINGS, **dict(options.profile.server)}
    if "full_disk" in options.faults:
        settings |= FULL_DISK_SETTINGS
    server = Supervisor(options.out, data, settings, Clock(), environment)
    with server:
        try:
            yield server
        finally:
            if disk is not None:
                disk.restore()


@contextmanager
def _writer(options: Options, run: str) -> Iterator[HistoryWriter]:
    """The history of what is not load: the set-up and the faults."""
    told = {
        "profile": options.profile.name,
        "engine": options.engine,
        "users": options.profile.users,
        "seconds": options.profile.seconds,
        "seed": options.seed,
        "run": run,
        "faults": list(options.faults),
    }
    folder = options.out / "history"
    with HistoryWriter(folder, f"rehearsal-{run}", recorder="loadtests", settings=told) as writer:
        yield writer


def _engine(options: Options, sale: Sale) -> Engine:
    if options.engine == "native":
        return Native(sale, options.out / "locust.log")
    return Locust(sale, options.out / "locust.log", web_port=options.web_port)


def _hold(options: Options, sale: Sale, scene: Scene) -> None:
    """The sale itself, and what is broken during it."""
    plan = faults.plan(options.faults, options.profile.seconds, options.seed)
    with _engine(options, sale) as engine:
        engine.begin()
        scene.begin(plan)
        try:
            engine.wait()
        finally:
            scene.end()
    if scene.failure is not None:
        raise NotRehearsed(f"a fault could not be done: {scene.failure}") from scene.failure


def _judge(options: Options, data: Path | None) -> Ended:
    """The audit, the report and the promises."""
    history = options.out / "history"
    verdict = None
    if data is not None and options.audits:
        options.tell("the audit reads the history and the journal")
        verdict = audit(history, data)
    made = report.make(history, data, verdict)
    (options.out / "report.html").write_text(made.as_html(), encoding="utf-8")
    text = json.dumps(made.figures, indent=1) + "\n"
    (options.out / "report.json").write_text(text, encoding="utf-8")
    broken = promises.broken(
        made.figures,
        options.profile.promise,
        faults=options.faults,
        may_lose=bool(options.faults)
        or options.profile.habits.deadline_s < IMPATIENT_S
        or options.engine == "native",  # at its rates a server turns calls away, and should
    )
    return Ended(made.figures, verdict, broken)
