"""What a well-formed call looks like, for the reference engine.

Owns the checks that end in FieldInvalid; each names the field by its path in the request message.
Decides nothing about stock, holds or caps, and knows nothing of the native engine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from atp.vocabulary import Cap, CapMode, CapSubject, FieldInvalid

QUANTITY_MAX = 1_000_000_000
STOCK_MAX = 1_000_000_000_000
LINES_MAX = 4_096
CAP_SKUS_MAX = 1_024
CAP_OVERRIDES_MAX = 4_096
WINDOW_NS_MAX = 366 * 24 * 3600 * 1_000_000_000
INT64_MAX = 2**63 - 1
PREFIX_BITS = {4: 32, 6: 128}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ADDRESS_SUBJECTS = (CapSubject.IP, CapSubject.SUBNET)


def require(condition: bool, field: str, reason: str) -> None:
    """Raise FieldInvalid for `field` unless the condition holds."""
    if not condition:
        raise FieldInvalid(field, reason)


def check_name(text: str, field: str, *, least: int = 1) -> None:
    """A name has `least` to 64 bytes."""
    size = len(text.encode())
    require(least <= size <= 64, field, f"has {size} bytes; {least} to 64 are allowed")


def check_reservation_id(text: str, field: str) -> None:
    """A reservation id is 32 lower-case hexadecimal digits."""
    require(
        re.fullmatch(r"[0-9a-f]{32}", text) is not None,
        field,
        "is no reservation id: 32 lower-case hexadecimal digits",
    )


def check_lines(lines: Sequence[tuple[str, int]]) -> None:
    """Every line has a SKU and a quantity within bounds, and there are not too many lines."""
    require(len(lines) <= LINES_MAX, "lines", f"has {len(lines)} lines; at most {LINES_MAX}")
    for index, (sku, quantity) in enumerate(lines):
        check_name(sku, f"lines[{index}].sku")
        within = 1 <= quantity <= QUANTITY_MAX
        require(within, f"lines[{index}].quantity", f"is {quantity}; 1 to {QUANTITY_MAX}")


def basket_of(lines: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Add up the lines of one SKU, in order of first mention."""
    require(len(lines) > 0, "lines", "is empty; a basket has at least one line")
    check_lines(lines)
    basket: dict[str, int] = {}
    for index, (sku, quantity) in enumerate(lines):
        basket[sku] = basket.get(sku, 0) + quantity
        total = basket[sku]
        fits = total <= QUANTITY_MAX
        require(fits, f"lines[{index}].quantity", f"brings the SKU to {total}; {QUANTITY_MAX}")
    return basket


def check_change_lines(lines: Sequence[tuple[str, int]], request_id: str) -> None:
    """Named lines of a commit or release: each SKU once, and a request id is given."""
    check_name(request_id, "request_id", least=0)
    check_lines(lines)
    require(not lines or request_id != "", "request_id", "is required with lines")
    seen: set[str] = set()
    for index, (sku, _) in enumerate(lines):
        require(sku not in seen, f"lines[{index}].sku", "is named twice")
        seen.add(sku)


def check_expiration(ttl_ns: int | None, expire_time_ns: int | None, default_ttl_ns: int) -> None:
    """Exactly one of ttl, expire time and the default decides when a hold ends."""
    require(ttl_ns is None or expire_time_ns is None, "ttl", "give ttl or expire_time, not both")
    if ttl_ns is not None:
        require(0 < ttl_ns <= INT64_MAX, "ttl", f"is {ttl_ns}; more than 0 nanoseconds")
    elif expire_time_ns is not None:
        fits = -INT64_MAX <= expire_time_ns <= INT64_MAX
        require(fits, "expire_time", "is outside the years that 64 bits of nanoseconds count")
    else:
        require(default_ttl_ns > 0, "ttl", "is missing, and there is no default")


def parse_address(text: str, field: str) -> Address | None:
    """Read an address; empty is none; an IPv4-mapped IPv6 address is an IPv4 address."""
    if text == "":
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise FieldInvalid(field, f"{text!r} is no IPv4 or IPv6 address") from None
    require("%" not in text, field, f"{text!r} has a zone; give the address alone")
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_range(text: str, field: str) -> Network:
    """Read an address or a CIDR range, IPv4-mapped ones as IPv4."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise FieldInvalid(field, f"{text!r} is no address and no CIDR range") from None
    if network.version == 6 and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def subnet_of(address: Address, prefix_length: int) -> Network:
    """The subnet of an address: the bits beyond the prefix length cleared."""
    return ipaddress.ip_network((address, prefix_length), strict=False)


def check_cap(cap: Cap) -> None:
    """A cap's fields are within their bounds and fit its subject."""
    check_name(cap.cap_id, "cap.cap_id")
    require(cap.subject in set(CapSubject), "cap.subject", f"{cap.subject} is no subject")
    require(cap.mode in set(CapMode), "cap.mode", f"{cap.mode} is no mode")
    check_limit(cap.limit, "cap.limit_quantity")
    require(len(cap.skus) <= CAP_SKUS_MAX, "cap.skus", f"has more than {CAP_SKUS_MAX} SKUs")
    for index, sku in enumerate(cap.skus):
        check_name(sku, f"cap.skus[{index}]")
    if cap.window_ns is not None:
        require(0 < cap.window_ns <= WINDOW_NS_MAX, "cap.window", "is not above 0 to 366 days")
    for field, length, bits in (
        ("cap.ipv4_prefix_length", cap.ipv4_prefix_length, 32),
        ("cap.ipv6_prefix_length", cap.ipv6_prefix_length, 128),
    ):
        if cap.subject == CapSubject.SUBNET:
            require(1 <= length <= bits, field, f"is {length}; 1 to {bits}")
        else:
            require(length == 0, field, "is only for caps on subnets")
    check_overrides(cap)


def check_overrides(cap: Cap) -> None:
    """Overrides name customers or address ranges, whichever the cap counts."""
    overrides_fit = len(cap.overrides) <= CAP_OVERRIDES_MAX
    require(overrides_fit, "cap.overrides", f"has more than {CAP_OVERRIDES_MAX} overrides")
    allowed = cap.subject in (*ADDRESS_SUBJECTS, CapSubject.CUSTOMER)
    require(allowed or not cap.overrides, "cap.overrides", "needs a subject that can be named")
    seen: set[object] = set()
    for index, override in enumerate(cap.overrides):
        field = f"cap.overrides[{index}]"
        if cap.subject == CapSubject.CUSTOMER:
            check_name(override.subject, f"{field}.subject")
            named: object = override.subject
        else:
            named = parse_range(override.subject, f"{field}.subject")
        require(named not in seen, f"{field}.subject", "is named twice")
        seen.add(named)
        check_limit(override.limit, f"{field}.limit_quantity")


def check_limit(limit: int | None, field: str) -> None:
    """A limit is unset, or 0 or more units."""
    require(limit is None or 0 <= limit <= INT64_MAX, field, f"is {limit}; 0 or more, or unset")
