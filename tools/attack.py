"""Every known attack for a while, and what it costs the other client, the server and its laws.

Owns the measurement: the other client's p99 in half-second windows, the median of them without an
attack and under it, in turns, so that a noisy machine is as noisy for both. The attacks, the other
client and the bounds of memory are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from front_attacker import attacking  # noqa: E402  # the tests' modules are found from here on
from front_attacks import ATTACKS, SKU  # noqa: E402
from front_bystander import WINDOW_SECONDS, Watched, Window, bystander  # noqa: E402
from front_target import Target, bytes_allowed, serving_target  # noqa: E402
from front_tls_attacks import TLS_ATTACKS  # noqa: E402

KNOWN = ATTACKS | TLS_ATTACKS

TIMES_MOST = 2.0
FLOOR_MS = 20.0
"""A p99 below this is as good as any: the machine's own noise is of this size."""


class Seen(NamedTuple):
    """One attack, as the other client and the server have felt it."""

    attack: str
    p99_before_ms: float
    p99_ms: float
    calls_before: float
    calls: float
    failures: int
    grown_mib: float
    allowed_mib: float
    endings: dict[str, int]
    violations: list[str]

    def faults(self) -> list[str]:
        """What is not as it should be."""
        slow = self.p99_ms > max(FLOOR_MS, TIMES_MOST * self.p99_before_ms)
        return [
            *(["p99 is more than twice of before"] if slow else []),
            *([f"{self.failures} calls failed"] if self.failures else []),
            *(["memory beyond its bound"] if self.grown_mib > self.allowed_mib else []),
            *self.violations,
        ]


def windows(other: Watched, seconds: float) -> list[Window]:
    """What the other client sees in so much time."""
    return [other.window() for _ in range(max(1, round(seconds / WINDOW_SECONDS)))]


def attack_once(target: Target, attack: str, seconds: float, rounds: int) -> Seen:
    """Rounds of peace and of attack in turn."""
    calm: list[Window] = []
    under: list[Window] = []
    endings: dict[str, int] = {}
    target.forget_peak()
    before = target.resident_bytes()
    for _ in range(rounds):
        with bystander(target.address, SKU, target.authority) as other:
            calm += windows(other, seconds / 2)
            with attacking(attack, target.address, seconds) as attacker:
                under += windows(other, seconds)
        for ending, count in attacker.endings.items():
            endings[ending] = endings.get(ending, 0) + count
    return Seen(
        attack,
        statistics.median(window.p99_ms for window in calm),
        statistics.median(window.p99_ms for window in under),
        statistics.fmean(window.calls for window in calm) / WINDOW_SECONDS,
        statistics.fmean(window.calls for window in under) / WINDOW_SECONDS,
        sum(sum(window.failures.values()) for window in under),
        (target.peak_bytes() - before) / (1 << 20),
        bytes_allowed(attack) / (1 << 20),
        endings,
        target.violations(),
    )


def attack_all(attacks: Iterable[str], seconds: float, rounds: int) -> Iterator[Seen]:
    """Those that need no TLS on one server, then the others on another."""
    chosen = list(attacks)
    with tempfile.TemporaryDirectory(prefix="atp-attack-") as folder:
        for known, keys_folder in ((ATTACKS, None), (TLS_ATTACKS, Path(folder))):
            mine = [attack for attack in chosen if attack in known]
            if not mine:
                continue
            with serving_target(keys_folder) as target:
                for attack in mine:
                    yield attack_once(target, attack, seconds, rounds)


def main() -> None:
    """Exit status 0 when every attack stayed within its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=14.0, help="of each attack, in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(KNOWN))
    arguments = parser.parse_args()
    unknown = set(arguments.attacks) - set(KNOWN)
    if unknown:
        sys.exit(f"atp: no such attack: {', '.join(sorted(unknown))}; known: {', '.join(KNOWN)}")
    found = 0
    told = []
    print(f"{'attack':22}  p99 before / under, ms   calls/s before / under   MiB more (allowed)")
    for seen in attack_all(arguments.attacks or KNOWN, arguments.seconds, arguments.rounds):
        told.append(seen._asdict())
        found += bool(seen.faults())
        print(
            f"{seen.attack:22}  {seen.p99_before_ms:9.1f} / {seen.p99_ms:8.1f}   "
            f"{seen.calls_before:14.0f} / {seen.calls:5.0f}   "
            f"{seen.grown_mib:8.0f} ({seen.allowed_mib:.0f})   {seen.endings}  "
            f"{'; '.join(seen.faults()) or 'fine'}",
            flush=True,
        )
    out = ROOT / "bench" / "out" / "attacks.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if found:
        sys.exit(f"atp: {found} attacks were not borne as they should be; {out}")


if __name__ == "__main__":
    main()
