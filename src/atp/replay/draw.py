"""Seeded draws that depend on a name alone, not on the order in which they are made.

Owns the only chance in a replay. The same seed and name give the same number in every process and
on every machine, so calls in flight may overtake one another without changing who does what.
"""

from __future__ import annotations

from hashlib import blake2b


def draw(seed: int, *names: str) -> float:
    """A number from 0 (included) to 1 (excluded), fixed by the seed and the names."""
    text = "\x1f".join((str(seed), *names))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return (int.from_bytes(digest) >> 3) / (1 << 53)
