"""The typed face of the load generator's compiled unit."""

from typing import Any

import numpy as np

class Generator:
    def __init__(
        self,
        draws: np.ndarray,
        *,
        sockets: list[int],
        authority: bytes,
        request_id: bytes,
        sku: bytes,
        sku_digits: int,
        ttl_seconds: int,
        brief: bool,
        is_availability: bool,
        commits: bool,
        batch: int,
        in_flight: int,
        deadline_ns: int,
        patience_ns: int,
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
    def begin(self, *, calls: int, seconds: float, rate: float) -> None: ...
    def step(self, *, seconds: float) -> bool: ...
    def stop(self) -> None: ...
    def close_streams(self, *, seconds: float) -> bool: ...
    def tally(self) -> dict[str, Any]: ...
    def latencies(self) -> tuple[list[int], int]: ...
