"""Two equal engines that are told the same: one through the native judge, one the slow way.

Owns the comparing of their answers and of their states.
"""

from __future__ import annotations

from atp import _front
from conftest import native_engine
from front_reference import Answer, Reference
from histories import BASE_NS, LIFE_NS, SKUS

DEFAULT_TTL_NS = 100


class Twins:
    """Two engines and the time that both are told."""

    def __init__(self, **settings: int) -> None:
        self.native = native_engine(**settings)
        self.reference = Reference(native_engine(**settings), DEFAULT_TTL_NS)
        self.now_ns = BASE_NS

    def both(self, name: str, *words: object, **keywords: object) -> None:
        """The same to both engines by their face in Python; refused by both, or by none."""
        errors: list[type[Exception] | None] = []
        for engine in (self.native, self.reference.engine):
            try:
                getattr(engine, name)(*words, **keywords)
                errors.append(None)
            except Exception as error:
                errors.append(type(error))
        assert errors[0] is errors[1]

    def judge(self, method: str, raw: bytes) -> Answer:
        """The answer to one call, which must be the same both ways."""
        told = self.judge_native(method, raw)
        assert told == self.reference.judge(method, raw, now_ns=self.now_ns)
        return told

    def judge_native(self, method: str, raw: bytes) -> Answer:
        """The native answer alone."""
        default_ttl_ns = self.reference.default_ttl_ns
        return Answer(
            *_front.judge(
                self.native, method, raw, now_ns=self.now_ns, default_ttl_ns=default_ttl_ns
            )
        )

    def assert_equal(self) -> None:
        """Both engines are in the same state, and sound."""
        digests = [
            engine.digest(now_ns=self.now_ns) for engine in (self.native, self.reference.engine)
        ]
        assert digests[0] == digests[1]
        assert self.native.check(now_ns=self.now_ns).violations == ()


def stocked() -> Twins:
    """Two engines with something to sell."""
    pair = Twins(longest_life_ns=LIFE_NS, remember_ns=500)
    for sku in SKUS[:4]:
        pair.both("set_stock", sku, 50, now_ns=BASE_NS)
    return pair
