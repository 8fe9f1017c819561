"""`atp caps`: caps shown and changed, live.

Owns reading one cap from options and printing caps; a file of caps is caps_import.py's. A change of
a cap keeps whatever no option names, and never overwrites somebody else's change made meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from atp import capfile
from atp.cli import tables
from atp.cli.caps_import import import_
from atp.cli.failed import BAD_INPUT, Failed
from atp.cli.session import Session, asks
from atp.cli.values import DURATION, OVERRIDE, word_of
from atp.client import NotFound, control_calls
from atp.units import format_duration
from atp.vocabulary import Cap, CapMode, CapOverride, CapStatus, CapSubject

PAGE_SIZE = 100


@click.group(short_help="Show and change caps, live.")
def caps() -> None:
    """Show and change caps: how many units a subject may have in force, held or sold.

    A change holds from the next reserve on. Lowering a limit under what is in force revokes nothing
    and grants nothing more.

    \b
    Examples:
      $ atp caps set per-customer --subject customer --limit 2 --per-sku
      $ atp caps list
    """


@caps.command(name="set", short_help="Set a cap, new or changed.")
@click.argument("cap_id")
@click.option("--subject", type=word_of(CapSubject), help="Whom it counts. Needed for a new cap.")
@click.option("--limit", type=click.IntRange(min=0), help="Units a subject may have; 0: closed.")
@click.option("--no-limit", is_flag=True, help="Count, and limit only where --override says so.")
@click.option("--sku", "skus", multiple=True, help="Count this SKU; may be given many times.")
@click.option("--all-skus", is_flag=True, help="Count every SKU (so it is for a new cap).")
@click.option("--per-sku/--together", default=None, help="Count each SKU apart, or all together.")
@click.option("--window", type=DURATION, help="Count units for this long after their grant.")
@click.option("--no-window", is_flag=True, help="Count for as long as the cap lives.")
@click.option("--mode", type=word_of(CapMode), help="shadow only reports; off only counts.")
@click.option("--ipv4-prefix", type=int, help="Bits that make a subnet, 1 to 32.")
@click.option("--ipv6-prefix", type=int, help="Bits that make a subnet, 1 to 128.")
@click.option(
    "--override",
    "overrides",
    type=OVERRIDE,
    multiple=True,
    metavar="SUBJECT=LIMIT",
    help="Another limit for one customer, address or CIDR range; LIMIT none for no limit.",
)
@click.option("--no-overrides", is_flag=True, help="Take all overrides away.")
@click.option("--etag", default="", help="Only if this is the cap's present etag.")
@asks("control")
def set_(session: Session, *, cap_id: str, etag: str, **options: Any) -> None:
    """Set a cap. One that exists keeps whatever is not named; a new one needs --subject.

    Changing whom, which SKUs or how long it counts starts its counting anew; changing its limit,
    mode or overrides does not. Several --sku or --override replace all that were there.

    \b
    Exit status: 0 set; 1 somebody else changed it meanwhile, or a bound on caps is reached; 2 wrong
    usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp caps set per-ip --subject ip --limit 10 --window 1h
      $ atp caps set per-ip --limit 5
      $ atp caps set per-ip --override 10.0.0.0/8=500 --override 192.0.2.1=none
      $ atp caps set per-subnet --subject subnet --ipv4-prefix 24 --ipv6-prefix 48 --limit 20
      $ atp caps set drop --subject everyone --sku MUG --limit 80 --mode shadow
    """
    _refuse_contradictions(options)
    try:
        present = session.client.get_cap(cap_id)
        etag = etag or present.etag
        cap = present.cap
    except NotFound:
        if options["subject"] is None:
            raise Failed(
                f"there is no cap {cap_id!r}; a new one needs --subject", BAD_INPUT
            ) from None
        cap = Cap(cap_id, options["subject"])
    answer = session.ask(control_calls.set_cap(_changed(cap, options), etag=etag))
    if not session.show_json(answer.message):
        show_cap(answer.reply.status)
        click.echo(f"holds from sequence {answer.reply.sequence}")


def _refuse_contradictions(options: dict[str, Any]) -> None:
    for option, name, opposite in (
        ("--limit", "limit", "no_limit"),
        ("--sku", "skus", "all_skus"),
        ("--window", "window", "no_window"),
        ("--override", "overrides", "no_overrides"),
    ):
        if options[name] not in (None, ()) and options[opposite]:
            raise click.UsageError(
                f"{option} and --{opposite.replace('_', '-')} contradict each other"
            )


def _changed(cap: Cap, options: dict[str, Any]) -> Cap:
    """The cap with what the options name."""
    names = {
        "subject": "subject",
        "limit": "limit",
        "skus": "skus",
        "per_sku": "per_sku",
        "window": "window_ns",
        "mode": "mode",
        "overrides": "overrides",
        "ipv4_prefix": "ipv4_prefix_length",
        "ipv6_prefix": "ipv6_prefix_length",
    }
    changes = {
        name: options[option] for option, name in names.items() if options[option] not in (None, ())
    }
    unset: dict[str, dict[str, Any]] = {
        "no_limit": {"limit": None},
        "all_skus": {"skus": ()},
        "no_window": {"window_ns": None},
        "no_overrides": {"overrides": ()},
    }
    for option, nothing in unset.items():
        if options[option]:
            changes |= nothing
    return cap._replace(**changes)


@caps.command(name="list", short_help="Show all caps.")
@asks("control")
def list_(session: Session) -> None:
    """Show all caps, with how many commands each refused, or in shadow mode would have refused.

    With --json, one object a line.

    \b
    Exit status: 0 shown; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp caps list
      $ atp caps list --json
    """
    statuses: list[CapStatus] = []
    page_token = ""
    while True:
        answer = session.ask(control_calls.list_caps(page_size=PAGE_SIZE, page_token=page_token))
        for message in answer.message.caps:
            session.show_json(message)
        statuses += answer.reply.caps
        page_token = answer.reply.next_page_token
        if not page_token:
            break
    if not session.as_json:
        _show_caps(statuses)


@caps.command(short_help="Show caps in full.")
@click.argument("cap_ids", nargs=-1, required=True, metavar="CAP_ID...")
@asks("control")
def show(session: Session, *, cap_ids: tuple[str, ...]) -> None:
    """Show caps in full. With --json, one object a line.

    \b
    Exit status: 0 shown; 1 one is unknown; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp caps set per-ip --subject ip --limit 10
      $ atp caps show per-ip
    """
    for cap_id in cap_ids:
        answer = session.ask(control_calls.get_cap(cap_id))
        if not session.show_json(answer.message.cap):
            show_cap(answer.reply)


@caps.command(short_help="Remove a cap and its counts.")
@click.argument("cap_id")
@click.option("--etag", default="", help="Only if this is the cap's present etag.")
@asks("control")
def remove(session: Session, *, cap_id: str, etag: str) -> None:
    """Remove a cap and its counts. To keep its counts, set its mode to off instead.

    \b
    Exit status: 0 removed; 1 unknown, or changed meanwhile; 2 wrong usage; 3 not reached or not
    judged.

    \b
    Examples:
      $ atp caps set per-ip --subject ip --limit 10
      $ atp caps remove per-ip
    """
    answer = session.ask(control_calls.remove_cap(cap_id, etag=etag))
    if not session.show_json(answer.message):
        click.echo(f"removed, from sequence {answer.reply} on")


@caps.command(short_help="Print all caps as a TOML file.")
@asks("control")
def export(session: Session) -> None:
    """Print all caps as a TOML file, which atp caps import reads.

    \b
    Exit status: 0 printed; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp caps export > caps.toml
    """
    statuses = session.client.iterate_caps(page_size=PAGE_SIZE)
    click.echo(capfile.dump(status.cap for status in statuses), nl=False)


caps.add_command(import_)


def show_cap(status: CapStatus) -> None:
    """Prints one cap in full."""
    cap = status.cap
    subnet = cap.subject is CapSubject.SUBNET
    tables.show_facts(
        (
            ("cap", cap.cap_id),
            ("counts", tables.word(cap.subject)),
            ("IPv4 prefix length", cap.ipv4_prefix_length if subnet else None),
            ("IPv6 prefix length", cap.ipv6_prefix_length if subnet else None),
            ("limit", _limit(cap.limit)),
            ("SKUs", _skus(cap)),
            ("window", _window(cap)),
            ("mode", tables.word(cap.mode)),
            ("refused", status.refused),
            ("would have refused", status.shadow_refused),
            ("set", tables.instant(status.update_time_ns)),
            ("etag", status.etag),
        )
    )
    if cap.overrides:
        tables.show_table(
            ("override for", "limit"), (_override_row(each) for each in cap.overrides)
        )


def _show_caps(statuses: Iterable[CapStatus]) -> None:
    tables.show_table(
        ("cap", "counts", "limit", "SKUs", "window", "mode", "overrides", "refused", "would have"),
        (
            (
                cap.cap_id,
                _counts(cap),
                _limit(cap.limit),
                _skus(cap),
                _window(cap),
                tables.word(cap.mode),
                len(cap.overrides) or None,
                status.refused,
                status.shadow_refused,
            )
            for status in statuses
            for cap in (status.cap,)
        ),
    )


def _counts(cap: Cap) -> str:
    if cap.subject is CapSubject.SUBNET:
        return f"subnet /{cap.ipv4_prefix_length} /{cap.ipv6_prefix_length}"
    return tables.word(cap.subject)


def _limit(limit: int | None) -> str | int:
    return "none" if limit is None else limit


def _skus(cap: Cap) -> str:
    shown = ", ".join(cap.skus[:3]) + (f" and {len(cap.skus) - 3} more" if cap.skus[3:] else "")
    return (shown or "all") + (", each apart" if cap.per_sku else "")


def _window(cap: Cap) -> str:
    return "none" if cap.window_ns is None else format_duration(cap.window_ns)


def _override_row(override: CapOverride) -> tuple[str, str | int]:
    return override.subject, _limit(override.limit)
