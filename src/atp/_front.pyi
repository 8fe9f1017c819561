"""The native gRPC front's face in Python."""

from atp._core import Engine
from atp.journal._native import Writer

class Front:
    """Serves ReservationService and health on native threads."""

    def __init__(self, engine: Engine, writer: Writer | None) -> None: ...
    def publish_clock(self, wall_ns: int, steady_ns: int, ppm: int) -> None:
        """From here on the front's time is what atp.clock.Clock says: its anchor."""

    def now_ns(self) -> int:
        """The front's time: nanoseconds since the Unix epoch."""
