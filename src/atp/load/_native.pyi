"""The typed face of the load generator's compiled unit."""

from typing import Any

from atp.load.baskets import Baskets
from atp.load.encrypting import Tls

OUTCOMES: tuple[str, ...]

class TlsRefused(ValueError):
    part: str
    """ca, cert, key or server_name: what can't be used; the text says why."""

def now_ns() -> int: ...
def check_tls(tls: Tls) -> None: ...

class Generator:
    def __init__(
        self,
        baskets: Baskets,
        *,
        sockets: list[int],
        authority: bytes,
        request_id: bytes,
        ttl_seconds: int,
        brief: bool,
        batch: int,
        in_flight: int,
        deadline_ns: int,
        patience_ns: int,
        tries_max: int,
        tls: Tls | None,
    ) -> None: ...
    def greet(self, *, seconds: float) -> bool: ...
    def record(
        self,
        file: int,
        *,
        path: str,
        clock_name: bytes,
        recorder: bytes,
        settings_json: bytes,
    ) -> None: ...
    def end_record(self) -> None: ...
    def begin(
        self,
        *,
        calls: int,
        seconds: float,
        curve: list[tuple[float, float]],
        by_chance: bool,
        seed: int,
    ) -> None: ...
    def step(self, *, seconds: float) -> bool: ...
    def ended(self, *, silent_ns: int = ...) -> dict[int, str]: ...
    def replace(self, index: int, socket: int) -> None: ...
    def stop(self) -> None: ...
    def close_streams(self, *, seconds: float) -> bool: ...
    def tally(self) -> dict[str, Any]: ...
    def latencies(self) -> tuple[list[int], int]: ...
