"""Kills a server again and again, under load and in every way, and counts what it lost.

Owns the options and the exit status: 0 when nothing was lost, invented or wrong. How it is done is
in tests/crash. A failure names the one command that does the same again, and where the data is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import SystemRandom

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from crash import campaign  # noqa: E402 - found by the line above
from crash.kills import BY_NAME, KINDS  # noqa: E402


def main() -> None:
    """Runs the campaign and prints what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many (default 200)")
    parser.add_argument(
        "--seed", type=int, help="the same seed draws the same (default: by chance)"
    )
    parser.add_argument("--only", choices=sorted(BY_NAME), help="one kind of kill alone")
    arguments = parser.parse_args()
    seed = SystemRandom().randrange(1 << 30) if arguments.seed is None else arguments.seed
    kinds = (BY_NAME[arguments.only],) if arguments.only else KINDS
    print(f"atp: {arguments.kills} kills, seed {seed}", flush=True)
    totals, failures = campaign.run(
        arguments.kills, seed, kinds, say=lambda line: print(line, flush=True)
    )
    print(campaign.table(totals))
    for line in failures:
        print(line, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
