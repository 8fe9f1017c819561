# The native gRPC front's compiled unit: ReservationService and health, served by threads that know
# no Python. It answers; it works on the native engine that `_core.Engine` owns and waits for the
# journal's writer. The cimports below, from base to leaf, are the map of it:
#   clock       the server's time without the GIL
#   answer      what the judge hands to whoever speaks HTTP/2
#   tls         certificates, and the server's side of a TLS connection
#   judge_state, telling, judging   requests to commands, answers to responses
from libc.stdint cimport int64_t

from atp._core cimport Engine
from atp.front.answer cimport Answer
from atp.front.clock cimport FrontClock
from atp.front.judge_state cimport Judge
from atp.front.judging cimport (
    COMMIT, EXECUTE, EXTEND, GET_AVAILABILITY, GET_RESERVATION, RELEASE, RESERVE, check_bounds,
    judge_call,
)
from atp.journal._native cimport Writer

cimport cython

include "front/tls.pxi"
include "front/judge_face.pxi"


@cython.final
cdef class Front:
    """Serves the data plane; `_front.pyi` documents every method."""

    cdef FrontClock clock
    cdef Engine engine
    cdef Writer writer

    def __cinit__(self, Engine engine not None, Writer writer):
        self.engine = engine
        self.writer = writer

    def publish_clock(self, int64_t wall_ns, int64_t steady_ns, int64_t ppm):
        self.clock.publish(wall_ns, steady_ns, ppm)

    def now_ns(self):
        return self.clock.now()
