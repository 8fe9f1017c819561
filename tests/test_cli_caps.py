"""`atp caps` against a real server: one cap from options, and a file of caps compared and applied.

What a file may say is tested in test_capfile.py; here is what becomes of it on a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp import Client
from atp.v1 import cap_service_pb2 as pb
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject
from command import Command
from scripted_server import Fault, scripted
from server_process import ServerProcess, serving

FILE = """\
[[cap]]
cap_id = "per-ip"
subject = "ip"
limit_quantity = 10
window = "1h"
overrides = [{ subject = "10.0.0.0/8", limit_quantity = 500 }, { subject = "192.0.2.1" }]

[[cap]]
cap_id = "per-customer"
subject = "customer"
limit_quantity = 2
per_sku = true
skus = ["MUG", "TEAPOT"]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    """A client of the server, which has no caps when a test starts."""
    with Client(server.data_plane, server.control_plane) as client:
        for status in client.iterate_caps():
            client.remove_cap(status.cap.cap_id)
        yield client


@pytest.fixture
def atp(server: ServerProcess, client: Client) -> Command:
    return Command(server)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "caps.toml"
    path.write_text(FILE)
    return path


def test_a_new_cap_from_every_option(atp: Command, client: Client) -> None:
    ended = atp(
        *("caps", "set", "net", "--subject", "subnet", "--limit", "20", "--sku", "A", "--sku", "B"),
        *("--per-sku", "--window", "10m", "--mode", "shadow"),
        *("--ipv4-prefix", "24", "--ipv6-prefix", "48"),
        *("--override", "10.0.0.0/8=500", "--override", "192.0.2.1=none"),
    )
    assert (ended.status, ended.err) == (0, "")
    assert client.get_cap("net").cap == Cap(
        "net",
        CapSubject.SUBNET,
        limit=20,
        skus=("A", "B"),
        per_sku=True,
        window_ns=600 * 10**9,
        mode=CapMode.SHADOW,
        overrides=(CapOverride("10.0.0.0/8", 500), CapOverride("192.0.2.1", None)),
        ipv4_prefix_length=24,
        ipv6_prefix_length=48,
    )
    assert "IPv4 prefix length  24" in ended.out
    assert "holds from sequence" in ended.out


def test_a_change_keeps_what_it_does_not_name(atp: Command, client: Client) -> None:
    cap = Cap(
        "c",
        CapSubject.CUSTOMER,
        limit=5,
        skus=("A",),
        per_sku=True,
        window_ns=10**9,
        mode=CapMode.SHADOW,
        overrides=(CapOverride("vip", 50),),
    )
    client.set_cap(cap)
    for words, change in (
        (["--limit", "0"], {"limit": 0}),
        (["--mode", "enforce"], {"mode": CapMode.ENFORCE}),
        (["--no-limit"], {"limit": None}),
        (["--override", "bob=1"], {"overrides": (CapOverride("bob", 1),)}),
        (["--no-overrides"], {"overrides": ()}),
        (["--together"], {"per_sku": False}),
        (["--sku", "X"], {"skus": ("X",)}),
        (["--all-skus"], {"skus": ()}),
        (["--window", "1d"], {"window_ns": 86_400 * 10**9}),
        (["--no-window"], {"window_ns": None}),
    ):
        ended = atp("caps", "set", "c", *words)
        assert ended.status == 0, ended.err
        cap = cap._replace(**change)
        assert client.get_cap("c").cap == cap


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["new", "--limit", "3"], "there is no cap 'new'; a new one needs --subject"),
        (["c", "--limit", "3", "--no-limit"], "--limit and --no-limit contradict each other"),
        (["c", "--sku", "A", "--all-skus"], "--sku and --all-skus contradict"),
        (["c", "--window", "1m", "--no-window"], "--window and --no-window contradict"),
        (["c", "--override", "a=1", "--no-overrides"], "--override and --no-overrides"),
        (["c", "--override", "a"], "'a' is not an override; write SUBJECT=LIMIT"),
        (["c", "--override", "a=-1"], "'a=-1' is not an override"),
        (["c", "--mode", "on"], "'on' is none of enforce, shadow, off"),
        (["c", "--limit", "-1"], "-1 is not in the range"),
        (["c", "--window", "0s"], "cap.window"),
        (["c", "--ipv4-prefix", "24"], "cap.ipv4_prefix_length"),
    ],
)
def test_a_cap_that_makes_no_sense(
    atp: Command, client: Client, words: list[str], reason: str
) -> None:
    client.set_cap(Cap("c", CapSubject.CUSTOMER, limit=1))
    before = client.get_status().sequence
    ended = atp("caps", "set", *words)
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert client.get_status().sequence == before


def test_somebody_elses_change_is_not_overwritten(atp: Command, client: Client) -> None:
    client.set_cap(Cap("c", CapSubject.CUSTOMER, limit=1))
    old = client.get_cap("c").etag
    client.set_cap(Cap("c", CapSubject.CUSTOMER, limit=2))
    ended = atp("caps", "set", "c", "--limit", "3", "--etag", old)
    assert ended.status == 1
    assert ended.err.startswith("atp: ")
    assert atp("caps", "remove", "c", "--etag", old).status == 1
    assert client.get_cap("c").cap.limit == 2


def test_listing_showing_and_removing(atp: Command, client: Client) -> None:
    client.set_stock("MUG", 10)
    client.set_cap(Cap("a", CapSubject.EVERYONE, limit=0, mode=CapMode.SHADOW))
    client.set_cap(Cap("b", CapSubject.CUSTOMER, limit=0, per_sku=True, skus=("MUG",)))
    client.reserve({"MUG": 1}, customer_id="alice")
    header, first, second = atp("caps", "list").out.splitlines()
    assert header.split()[:4] == ["CAP", "COUNTS", "LIMIT", "SKUS"]
    assert first.split() == ["a", "everyone", "0", "all", "none", "shadow", "0", "1"]
    assert second.split() == [
        "b",
        "customer",
        "0",
        "MUG,",
        "each",
        "apart",
        "none",
        "enforce",
        "1",
        "0",
    ]
    one, two = atp("caps", "list", "--json").lines
    assert (one["cap_id"], one["shadow_refused_count"], one["window"]) == ("a", 1, None)
    assert (two["skus"], two["mode"], two["refused_count"]) == (["MUG"], "CAP_MODE_ENFORCE", 1)
    assert atp("caps", "show", "b", "--json").json == two
    shown = atp("caps", "show", "a", "nosuch")
    assert (shown.status, shown.out.splitlines()[0]) == (1, "cap                 a")
    assert "nosuch" in shown.err
    assert atp("caps", "remove", "a").out.startswith("removed, from sequence ")
    assert atp("caps", "remove", "a").status == 1
    assert client.list_caps().caps[0].cap.cap_id == "b"


def test_import_shows_and_makes_the_difference(atp: Command, client: Client, file: Path) -> None:
    dry = atp("caps", "import", file, "--dry-run")
    assert dry.status == 0
    assert dry.out.splitlines()[-1] == "would be added 2, changed 0, removed 0; unchanged 0"
    assert client.list_caps().caps == ()

    assert atp("caps", "import", file).out.splitlines()[-1] == (
        "added 2, changed 0, removed 0; unchanged 0"
    )
    assert client.get_cap("per-ip").cap.overrides[1] == CapOverride("192.0.2.1", None)
    sequence = client.get_status().sequence
    again = atp("caps", "import", file, "--prune", "--json").json
    assert again["unchanged"] == ["per-ip", "per-customer"]
    assert client.get_status().sequence == sequence

    client.set_cap(Cap("other", CapSubject.EVERYONE))
    file.write_text(
        FILE.replace("limit_quantity = 10", "limit_quantity = 4").replace('"1h"', '"2h"')
    )
    ended = atp("caps", "import", file, "--dry-run", "--prune")
    assert [line.split() for line in ended.out.splitlines()[1:]] == [
        ["change", "per-ip", "limit_quantity:", "10", "->", "4", "counting", "starts", "anew"],
        ["change", "per-ip", "window:", "1h", "->", "2h", "counting", "starts", "anew"],
        ["remove", "other"],
        ["would", "be", "added", "0,", "changed", "1,", "removed", "1;", "unchanged", "1"],
    ]
    changed = atp("caps", "import", file, "--json").json
    assert changed["changed"] == [
        {
            "cap_id": "per-ip",
            "counting_restarts": True,
            "fields": [
                {"field": "limit_quantity", "before": 10, "after": 4},
                {"field": "window", "before": "1h", "after": "2h"},
            ],
        }
    ]
    assert (changed["removed"], changed["dry_run"]) == ([], False)
    assert client.get_cap("per-ip").cap.limit == 4
    assert len(client.list_caps().caps) == 3
    assert atp("caps", "import", file, "--prune", "--json").json["removed"] == ["other"]
    assert len(client.list_caps().caps) == 2


def test_the_order_of_skus_and_the_way_a_range_is_written_are_no_change(
    atp: Command, client: Client, tmp_path: Path
) -> None:
    client.set_cap(
        Cap(
            "c",
            CapSubject.IP,
            limit=1,
            skus=("B", "A"),
            overrides=(CapOverride("2001:db8::/32", 2), CapOverride("192.0.2.1", 3)),
        )
    )
    file = tmp_path / "caps.toml"
    file.write_text(
        '[[cap]]\ncap_id = "c"\nsubject = "ip"\nlimit_quantity = 1\nskus = ["A", "B"]\n'
        'overrides = [{ subject = "::ffff:192.0.2.1", limit_quantity = 3 },\n'
        '  { subject = "2001:DB8:0::/32", limit_quantity = 2 }]\n'
    )
    assert atp("caps", "import", file, "--json").json["unchanged"] == ["c"]


def test_export_is_what_import_reads(atp: Command, client: Client, file: Path) -> None:
    atp("caps", "import", file)
    client.set_cap(Cap('odd "id"\t', CapSubject.SUBNET, ipv4_prefix_length=8, ipv6_prefix_length=9))
    exported = atp("caps", "export")
    file.write_text(exported.out)
    for status in client.iterate_caps():
        client.remove_cap(status.cap.cap_id)
    assert len(atp("caps", "import", file, "--json").json["added"]) == 3
    assert atp("caps", "export").out == exported.out


def test_a_bad_file_changes_nothing(atp: Command, client: Client, file: Path) -> None:
    before = client.get_status().sequence
    file.write_text(FILE.replace("limit_quantity = 2", "limit = 2").replace('"ip"', '"IP"'))
    ended = atp("caps", "import", file)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f'atp: {file}:3: cap "per-ip": subject: is "IP"; one of ip, subnet, customer,'
        " reservation, everyone",
        f'atp: {file}:11: cap "per-customer": limit: no such key; did you mean limit_quantity?',
        f"atp: {file}: nothing was changed",
    ]
    assert client.get_status().sequence == before
    missing = atp("caps", "import", "nosuch.toml")
    assert (missing.status, missing.err) == (2, "atp: nosuch.toml: No such file or directory\n")


def test_an_import_that_fails_half_way_says_how_far_it_came(file: Path) -> None:
    done = pb.SetCapResponse(
        cap=pb.Cap(cap_id="x", subject=pb.CAP_SUBJECT_IP, mode=pb.CAP_MODE_OFF)
    )
    full = Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "caps_max is reached", "LIMIT_REACHED")
    with scripted(pb.ListCapsResponse(), done, full) as server:
        ended = Command()("caps", "import", file, "--control-address", server.address)
    assert ended.status == 1
    assert "added 2" not in ended.out
    assert ended.err == "atp: caps_max is reached (done before that: per-ip; import again)\n"


def test_an_import_changes_only_what_it_has_seen(file: Path) -> None:
    """Each change carries the etag that was compared, so a change made meanwhile ends it."""
    present = pb.Cap(cap_id="per-ip", subject=pb.CAP_SUBJECT_IP, mode=pb.CAP_MODE_OFF, etag="7")
    other = pb.Cap(cap_id="other", subject=pb.CAP_SUBJECT_IP, mode=pb.CAP_MODE_OFF, etag="8")
    changed = Fault(grpc.StatusCode.ABORTED, "per-ip has changed", "CAP_CHANGED")
    with scripted(
        pb.ListCapsResponse(caps=[other, present]), pb.RemoveCapResponse(sequence=9), changed
    ) as server:
        ended = Command()("caps", "import", file, "--prune", "--control-address", server.address)
    assert ended.status == 1
    assert "per-ip has changed (done before that: other; import again)" in ended.err
    _, removed, changed_cap = server.asked
    assert pb.RemoveCapRequest.FromString(removed.request).etag == "8"
    assert pb.SetCapRequest.FromString(changed_cap.request).cap.etag == "7"
