"""`python -m loadtests`: the sale before the sale, on one command.

Owns the options, the one screen at the end, and the exit status: 0 when the verdict is clean and
the load kept its profile's promises, 1 when not, 2 for wrong usage, 3 when it could not be held.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [path for path in (str(ROOT / "src"), str(ROOT)) if path not in sys.path]
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # each killed server is an error to it

from atp.audit import AuditFailed  # noqa: E402 - found by the lines above
from atp.cli.failed import Failed  # noqa: E402
from atp.history import HistoryDamaged  # noqa: E402
from loadtests import faults, screen  # noqa: E402
from loadtests.encryption import files_of, tls_options  # noqa: E402
from loadtests.engines import WEB_PORT, LoadFailed  # noqa: E402
from loadtests.faults.disk import NoCompiler  # noqa: E402
from loadtests.profiles import PROFILES  # noqa: E402
from loadtests.rehearsal import NotRehearsed, Options, rehearse  # noqa: E402
from loadtests.shelves import NotSetUp  # noqa: E402

NOT_CLEAN, WRONG_USAGE, NOT_HELD = 1, 2, 3
NOT_HELD_ERRORS = (NotRehearsed, NotSetUp, LoadFailed, NoCompiler, Failed, AuditFailed)
PROFILE_LINES = "\n".join(f"  {name:13} {each.text}" for name, each in PROFILES.items())
FAULT_LINES = "\n".join(f"  {name:13} {each.text}" for name, each in faults.KINDS.items())


@click.command(
    help=f"""Hold a sale before the sale, break things during it, and prove that it stayed right.

    Starts a server of its own on loopback unless --data-address and --control-address name one that
    runs. Everything is left in --out: the history of every call, the server's data and log, and the
    report.

    \b
    Profiles:
{PROFILE_LINES}

    \b
    Faults, any number of them, each as often as it is named:
{FAULT_LINES}

    \b
    Exit status: 0 every answer was true and the load was what its profile promises; 1 not so; 2
    wrong usage; 3 the sale could not be held.
    """,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--profile", "name", type=click.Choice(list(PROFILES)), required=True, help="Which.")
@click.option(
    "--engine",
    type=click.Choice(["locust", "native"]),
    default="locust",
    show_default=True,
    help="Users in Python with habits, or the product's generator at its rates.",
)
@click.option("--faults", "fault_names", default="", metavar="KIND,...", help="What to break.")
@click.option("--seconds", type=float, help="How long.  [default: the profile's]")
@click.option("--users", type=int, help="How many, at the height.  [default: the profile's]")
@click.option("--rate", type=float, help="Shoppers that come a second at the height; native only.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides who does what.")
@click.option("--data-address", default="", metavar="HOST:PORT", help="A server that runs already.")
@click.option("--control-address", default="", metavar="HOST:PORT", help="The same server's.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="That server's data directory, for the audit.",
)
@tls_options
@click.option(
    "--processes",
    type=int,
    default=1,
    show_default=True,
    help="Make the load with so many, which share it; Locust's own have one more that leads them.",
)
@click.option("--no-audit", is_flag=True, help="Prove nothing; for a server of another machine.")
@click.option("--web", is_flag=True, help=f"Locust's page on 127.0.0.1:{WEB_PORT} meanwhile.")
@click.option("--web-port", type=int, help="The same, on another port.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for all that is left.  [default: loadtest-out/PROFILE]",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The report's figures there too.",
)
def main(**values: Any) -> None:
    """See the help text above, which has the profiles."""
    # Whoever is told to end takes the server along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    web_port = values["web_port"] or (WEB_PORT if values["web"] else None)
    try:
        options = Options(
            profile=PROFILES[values["name"]].sized(
                users=values["users"], seconds=values["seconds"], rate=values["rate"]
            ),
            out=(values["out"] or Path("loadtest-out") / values["name"]).resolve(),
            engine=values["engine"],
            faults=tuple(faults.parse(values["fault_names"])),
            seed=values["seed"],
            data_address=values["data_address"],
            control_address=values["control_address"],
            data=values["data"],
            audits=not values["no_audit"],
            web_port=web_port,
            processes=values["processes"],
            data_tls=files_of(values, "data"),
            control_tls=files_of(values, "control"),
            tell=lambda line: click.echo(line, err=True),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if web_port is not None:
        click.echo(f"Locust's page: http://127.0.0.1:{web_port}", err=True)
    try:
        ended = rehearse(options)
    except (*NOT_HELD_ERRORS, HistoryDamaged) as error:
        click.echo(f"loadtests: {error}", err=True)
        sys.exit(NOT_HELD)
    if values["json_file"] is not None:
        values["json_file"].write_text(json.dumps(ended.figures, indent=1) + "\n")
    click.echo(screen.text_of(ended, options.out, shutil.get_terminal_size().columns))
    sys.exit(0 if ended.is_clean else NOT_CLEAN)


if __name__ == "__main__":
    main(prog_name="python -m loadtests")
