"""A file of caps: every kind of mistake is told with its line, and what is written reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp import capfile
from atp._core import LIMITS
from atp.capfile import CapFileInvalid
from atp.cli import stock_file
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject

WHOLE = b"""\
# Caps of the sale.
[[cap]]
cap_id = "everything"            # each key there is
subject = "subnet"
ipv4_prefix_length = 24
ipv6_prefix_length = 48
limit_quantity = 20
skus = ["MUG", "TEAPOT"]
per_sku = true
window = "1h30m"
mode = "shadow"
overrides = [
  { subject = "10.0.0.0/8", limit_quantity = 500 },
  { subject = "2001:db8::/32" },
]

[[ cap ]]
cap_id = "least"
subject = "everyone"
"""


def test_every_key_and_the_least() -> None:
    assert capfile.parse(WHOLE, "caps.toml") == (
        Cap(
            "everything",
            CapSubject.SUBNET,
            limit=20,
            skus=("MUG", "TEAPOT"),
            per_sku=True,
            window_ns=5400 * 10**9,
            mode=CapMode.SHADOW,
            overrides=(CapOverride("10.0.0.0/8", 500), CapOverride("2001:db8::/32", None)),
            ipv4_prefix_length=24,
            ipv6_prefix_length=48,
        ),
        Cap("least", CapSubject.EVERYONE, limit=None, mode=CapMode.ENFORCE),
    )


def cap(*lines: str, cap_id: str = "c", subject: str = "customer") -> str:
    return "\n".join([f'[[cap]]\ncap_id = "{cap_id}"\nsubject = "{subject}"', *lines, ""])


BAD_FILES: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", ["f: has no caps; each is a [[cap]] table"]),
    "not TOML": ("[[cap]]\ncap_id = c\n", ["f:2: is not TOML: Invalid value"]),
    "a table that is no list": ("[cap]\nx = 1\n", ["f: has no caps"]),
    "another table": (cap() + "[caps]\n", ["f:4: caps: no such key; caps are [[cap]] tables"]),
    "a cap that is no table": ("cap = [1]\n", ["f: cap number 1: is not a table"]),
    "no id": ('[[cap]]\nsubject = "ip"\n', ["f:1: cap number 1: cap_id: is missing"]),
    "an id that is no text": (
        '[[cap]]\nsubject = "ip"\ncap_id = 7\n',
        ["f:3: cap number 1: cap_id: is 7; it must be text in quotes"],
    ),
    "an empty id": (cap(cap_id=""), ['f:2: cap "": cap_id: has 0 bytes; 1 to 64 are allowed']),
    "a long id": (cap(cap_id="é" * 33), ["cap_id: has 66 bytes; 1 to 64 are allowed"]),
    "an id twice": (
        cap() + cap(),
        ['f:5: cap "c": cap_id: "c" is named twice, first on line 1'],
    ),
    "no subject": ('[[cap]]\ncap_id = "c"\n', ["f:1: cap \"c\": subject: is missing; one of ip,"]),
    "a bad subject": (cap(subject="user"), ['f:3: cap "c": subject: is "user"; one of ip, subnet']),
    "a bad mode": (cap('mode = "on"'), ['f:4: cap "c": mode: is "on"; one of enforce,']),
    "an unknown key": (
        cap("limit_quantiy = 3"),
        ['f:4: cap "c": limit_quantiy: no such key; did you mean limit_quantity?'],
    ),
    "a key far from any": (cap("zzz = 3"), ['f:4: cap "c": zzz: no such key; known are cap_id,']),
    "a limit below 0": (cap("limit_quantity = -1"), ["limit_quantity: is -1; a whole"]),
    "a limit that is no number": (cap('limit_quantity = "3"'), ['limit_quantity: is "3"; a whole']),
    "a limit that is true": (cap("limit_quantity = true"), ["limit_quantity: is true; a whole"]),
    "a limit too large": (cap(f"limit_quantity = {2**63}"), ["quantity: is 9223372036854775808"]),
    "a window without a unit": (cap("window = 10"), ['window: is 10; a duration in quotes']),
    "a window that is none": (cap('window = "soon"'), ['f:4: cap "c": window: "soon" is not a']),
    "a window of 0": (cap('window = "0s"'), ["window: is 0s; more than 0, at most 366d"]),
    "a window too long": (cap('window = "367d"'), ["window: is 367d; more than 0, at most 366d"]),
    "SKUs that are no list": (cap('skus = "MUG"'), ['skus: is "MUG"; a list of SKUs in quotes']),
    "a SKU that is no text": (cap("skus = [1]"), ['f:4: cap "c": skus[0]: is 1; it must be text']),
    "an empty SKU": (cap('skus = ["A", ""]'), ["skus[1]: has 0 bytes; 1 to 64 are allowed"]),
    "a SKU twice": (cap('skus = ["A", "A"]'), ['skus[1]: "A" is named twice']),
    "too many SKUs": (
        cap(f"skus = {[f's{number}' for number in range(1025)]}"),
        ["skus: has 1025 SKUs; at most 1024"],
    ),
    "a flag that is none": (cap('per_sku = "yes"'), ['per_sku: is "yes"; true or false']),
    "a prefix of no subnet": (
        cap("ipv4_prefix_length = 24"),
        ["f:4: cap \"c\": ipv4_prefix_length: is only for caps on subnets"],
    ),
    "a subnet without prefixes": (
        cap("ipv4_prefix_length = 24", subject="subnet"),
        ["ipv6_prefix_length: is missing; a cap on subnets needs it, 1 to 128"],
    ),
    "a prefix too long": (
        cap("ipv4_prefix_length = 33", "ipv6_prefix_length = 48", subject="subnet"),
        ["f:4: cap \"c\": ipv4_prefix_length: is 33; a cap on subnets needs it, 1 to 32"],
    ),
    "overrides for everyone": (
        cap('overrides = [{ subject = "x" }]', subject="everyone"),
        ["overrides: are only for caps on addresses, subnets and customers"],
    ),
    "overrides that are no list": (cap("overrides = 3"), ["overrides: is 3; a list of tables"]),
    "an override that is no table": (
        cap('overrides = ["x"]'),
        ["overrides[0]: is not a table with subject and limit_quantity"],
    ),
    "an unknown key of an override": (
        cap('overrides = [{ subject = "x", limit = 3 }]'),
        ["overrides[0].limit: no such key; did you mean limit_quantity?"],
    ),
    "an override of nobody": (
        cap("overrides = [{ limit_quantity = 3 }]"),
        ["overrides[0].subject: is missing"],
    ),
    "an override of no range": (
        cap('overrides = [{ subject = "10.0.0.1/8" }]', subject="ip"),
        ['overrides[0].subject: "10.0.0.1/8" is no address and no CIDR range'],
    ),
    "a range twice, written otherwise": (
        cap(
            'overrides = [{ subject = "10.0.0.0/8" }, { subject = "::ffff:10.0.0.0/104" }]',
            subject="ip",
        ),
        ['overrides[1].subject: "::ffff:10.0.0.0/104" is named twice'],
    ),
    "too many overrides": (
        cap("overrides = [" + ",".join(f'{{subject="{n}"}}' for n in range(4097)) + "]"),
        ["overrides: has 4097 entries; at most 4096"],
    ),
    "every cap with a mistake": (
        cap("zzz = 1") + cap(cap_id="d") + cap("per_sku = 1", cap_id="e"),
        ['f:4: cap "c": zzz', 'f:11: cap "e": per_sku: is 1; true or false'],
    ),
    "caps written in one line": (
        'cap = [{ cap_id = "a", subject = "x" }, { cap_id = "b" }]\n',
        ['f: cap "a": subject: is "x"', 'f: cap "b": subject: is missing'],
    ),
    "nested without end": ("cap = " + "[" * 5000 + "]" * 5000, ["f: is nested too deeply"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_mistake_is_told_with_its_line(name: str) -> None:
    text, reasons = BAD_FILES[name]
    with pytest.raises(CapFileInvalid) as caught:
        capfile.parse(text.encode(), "f")
    told = caught.value.lines()
    assert len(told) == len(reasons)
    for line, reason in zip(told, reasons, strict=True):
        assert reason in line
        assert line.startswith("f:")
    assert str(caught.value) == "\n".join(told)


def test_no_utf8() -> None:
    with pytest.raises(CapFileInvalid, match="f:2: is not UTF-8"):
        capfile.parse(b"# fine\n# \xff\n", "f")


def test_a_byte_order_mark_and_line_ends_of_windows() -> None:
    content = "\ufeff" + cap("zzz = 1").replace("\n", "\r\n")
    with pytest.raises(CapFileInvalid, match="f:4: cap"):
        capfile.parse(content.encode(), "f")


def test_a_line_that_only_looks_like_a_table_takes_no_line_for_another() -> None:
    text = cap('skus = ["""\n[[cap]]\n"""]', "zzz = 1")
    with pytest.raises(CapFileInvalid, match=r'^f: cap "c": zzz'):
        capfile.parse(text.encode(), "f")


def test_the_bounds_of_files_are_those_of_the_engine() -> None:
    """Files are checked without a server, so the numbers are written twice."""
    assert {
        "cap_id_bytes_max": capfile.NAME_BYTES_MAX,
        "customer_id_bytes_max": capfile.NAME_BYTES_MAX,
        "sku_bytes_max": capfile.NAME_BYTES_MAX,
        "cap_skus_max": capfile.CAP_SKUS_MAX,
        "cap_overrides_max": capfile.CAP_OVERRIDES_MAX,
    }.items() <= LIMITS.items()
    assert LIMITS["sku_bytes_max"] == stock_file.SKU_BYTES_MAX
    assert LIMITS["stock_max"] == stock_file.ON_HAND_MAX


names = st.text(min_size=1, max_size=16).filter(lambda text: len(text.encode()) <= 64)
limits = st.none() | st.integers(0, 2**63 - 1)
ranges = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.just("10.0.0.0/8")
)


@st.composite
def caps(draw: st.DrawFn) -> Cap:
    subject = draw(st.sampled_from(CapSubject))
    subnet = subject is CapSubject.SUBNET
    of_ranges = subject in (CapSubject.IP, CapSubject.SUBNET)
    named = ranges if of_ranges else names
    overridable = of_ranges or subject is CapSubject.CUSTOMER
    overrides = draw(
        st.lists(
            st.builds(CapOverride, named, limits),
            unique_by=lambda override: capfile.same_subject(override.subject, subject),
            max_size=3 if overridable else 0,
        )
    )
    return Cap(
        cap_id=draw(names),
        subject=subject,
        limit=draw(limits),
        skus=tuple(draw(st.lists(names, unique=True, max_size=3))),
        per_sku=draw(st.booleans()),
        window_ns=draw(st.none() | st.integers(1, 366 * 86_400 * 10**9)),
        mode=draw(st.sampled_from(CapMode)),
        overrides=tuple(overrides),
        ipv4_prefix_length=draw(st.integers(1, 32)) if subnet else 0,
        ipv6_prefix_length=draw(st.integers(1, 128)) if subnet else 0,
    )


@given(st.lists(caps(), min_size=1, max_size=4, unique_by=lambda each: each.cap_id))
def test_what_is_written_reads_back(written: list[Cap]) -> None:
    text = capfile.dump(written)
    assert list(capfile.parse(text.encode(), "f")) == written


def test_a_sku_that_a_server_has_twice_is_written_once() -> None:
    twice = Cap("c", CapSubject.CUSTOMER, skus=("B", "A", "B"))
    assert capfile.parse(capfile.dump([twice]).encode(), "f")[0].skus == ("B", "A")
